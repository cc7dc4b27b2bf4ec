import GPURuntime
import InferenceRuntime
import TensorModule

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
  /// The OpenCL devices, the one that is chosen first, and why there are none.
  public let gpuDevices: [String]
  /// Ops with GPU kernels.
  public let gpuKernels: [String]
  /// The environment variables that change how models run, and what each does.
  public let environment: [(name: String, effect: String)]
}

/// Looks at the machine: the instruction set, threads, kernels and libraries.
public func doctor() -> SystemReport {
  let gpus = gpuDevices()
  return SystemReport(
    instructionSet: Machine.instructionSet, threads: ThreadPool.availableProcessors,
    kernels: PlanBuilder.opsWithKernels,
    blas: OpenBLAS.library.map { $0.configuration.isEmpty ? $0.name : "\($0.name): \($0.configuration)" },
    usesBLAS: OpenBLAS.isPreferred, gpuDevices: gpus, gpuKernels: GPUCatalog.opsWithKernels,
    environment: [
      ("KILN_ISA_MAX", "the highest instruction set to use: scalar, avx2 or avx512"),
      ("KILN_BLAS", "1 sends dense products to OpenBLAS, 0 never does"),
      ("KILN_GPU", "the OpenCL device to use: a part of its name, or its number in this list; auto takes a processor only when this names it"),
      ("KILN_OPENCL", "another file than the system's libOpenCL.so.1"),
      ("KILN_GPU_COST", "0 sends every node that has a kernel to the GPU, whatever it costs"),
      ("KILN_GPU_LANES", "how many batches run on the GPU at once: 2, on a processor 1, when unset"),
      ("KILN_GPU_TUNING", "the most seconds to time GPU kernels for a new model, 0 for none; 1.5 when unset"),
      ("KILN_GPU_CACHE", "0 keeps no compiled GPU programs on disk"),
    ])
}

private func gpuDevices() -> [String] {
  do {
    let devices = try GPUDevice.all()
    return devices.isEmpty ? ["none (no OpenCL driver is installed)"] : devices.enumerated().map { "\($0): \($1.summary)" }
  } catch { return ["none (\((error as? KilnError)?.message ?? "no OpenCL"))"] }
}
