import CKernels

/// What kernels are picked by.
package enum Machine {
  /// The instruction set in use: `scalar`, `avx2`, `avx512`.
  package static var instructionSet: String { String(cString: kiln_tier_name(kiln_cpu_tier())) }
}
