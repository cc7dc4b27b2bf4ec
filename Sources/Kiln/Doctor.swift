import InferenceRuntime

/// What Kiln found on this machine.
public struct SystemReport: Sendable {
  /// The instruction set in use: `scalar`, `avx2`, `avx512`.
  public let instructionSet: String
  /// Threads that a model takes by default.
  public let threads: Int
  /// Ops with fast kernels; all others run by their definition.
  public let kernels: [String]
  /// OpenBLAS's name and build, when it is installed.
  public let blas: String?
  /// Whether dense products go to OpenBLAS.
  public let usesBLAS: Bool
  /// The environment variables that change how models run, and what each does.
  public let environment: [(name: String, effect: String)]
}

/// Looks at the machine: the instruction set, threads, kernels and libraries.
public func doctor() -> SystemReport {
  SystemReport(
    instructionSet: Machine.instructionSet, threads: ThreadPool.availableProcessors,
    kernels: PlanBuilder.opsWithKernels,
    blas: OpenBLAS.library.map { $0.configuration.isEmpty ? $0.name : "\($0.name): \($0.configuration)" },
    usesBLAS: OpenBLAS.isPreferred,
    environment: [
      ("KILN_ISA_MAX", "the highest instruction set to use: scalar, avx2 or avx512"),
      ("KILN_BLAS", "1 sends dense products to OpenBLAS, 0 never does"),
    ])
}
