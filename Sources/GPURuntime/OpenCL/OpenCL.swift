import COpenCL
import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The functions of the OpenCL library, opened when they are first asked for.
struct OpenCL: @unchecked Sendable {
  let functions: UnsafePointer<kiln_cl_functions>

  /// The library, or why there is none. `KILN_OPENCL` names another file than the system's `libOpenCL.so.1`.
  static let library: Result<OpenCL, KilnError> = {
    var message = [CChar](repeating: 0, count: 256)
    let path = GPUHardware.asks("KILN_OPENCL") ? getenv("KILN_OPENCL").map { String(cString: $0) } : nil
    let opened = path.map { kiln_cl_open($0, &message, message.count) } ?? kiln_cl_open(nil, &message, message.count)
    if let opened { return .success(OpenCL(functions: opened)) }
    let text = String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return .failure(
      KilnError(
        .failed, "there is no OpenCL on this machine: \(text)",
        hint: "install the GPU's driver and the OpenCL loader (Debian: ocl-icd-libopencl1)"))
  }()

  /// Throws when a call did not succeed.
  ///
  /// - Parameter what: what was tried, as in "the GPU could not …".
  static func check(_ status: Int32, _ what: @autoclosure () -> String) throws {
    guard status != KILN_CL_SUCCESS.rawValue else { return }
    throw KilnError(.failed, "the GPU could not \(what()): \(text(status))")
  }

  /// What a status says, in words where it has any.
  static func text(_ status: Int32) -> String {
    let known: [(Int32, String)] = [
      (-1, "no device was found"), (-2, "the device is not available, or was lost"), (-3, "the driver has no compiler"),
      (-4, "out of device memory"), (-5, "out of resources (device memory, or the device was lost)"), (-6, "out of host memory"),
      (-11, "the kernels do not compile"), (-13, "a misaligned part of a buffer"), (-36, "the device was lost"),
      (-46, "a kernel is missing"), (-51, "an argument has the wrong size"), (-52, "arguments are missing"),
      (-54, "the work-group is too large"), (-61, "the buffer is too large for the device"), (-1001, "no OpenCL platform is installed"),
    ]
    return (known.first { $0.0 == status }.map { "\($0.1), " } ?? "") + "OpenCL error \(status)"
  }
}
