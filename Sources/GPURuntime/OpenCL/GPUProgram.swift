import COpenCL
import TensorModule

/// Compiled kernels.
final class GPUProgram: @unchecked Sendable {
  let context: GPUContext
  let handle: kiln_cl_program

  /// Strict IEEE arithmetic: kernels are held to the results of the processor. Some drivers print warnings to the program's own error output.
  static let buildOptions = "-cl-std=CL1.2 -w"

  /// - Throws: `KilnError` (`failed`) with the compiler's first complaint.
  init(_ source: String, _ context: GPUContext) throws {
    self.context = context
    let cache = ProgramCache(context.device, source, in: context.cacheFolder)
    if let binary = cache.load(), let made = Self.load(binary, context) {
      context.count(\.loaded)
      handle = made
      return
    }
    var status: Int32 = 0
    let made = source.utf8CString.withUnsafeBufferPointer { text in
      var pointer = text.baseAddress
      var length = text.count - 1
      return context.cl.create_program_with_source(context.handle, 1, &pointer, &length, &status)
    }
    try OpenCL.check(status, "take a program")
    guard let made else { throw KilnError(.failed, "the GPU could not take a program") }
    do { try Self.build(made, context) } catch {
      _ = context.cl.release_program(made)
      throw error
    }
    context.count(\.compiled)
    handle = made
    if let binary = Self.binary(made, context) { cache.store(binary) }
  }

  deinit { _ = context.cl.release_program(handle) }

  /// A kernel object of its own: its arguments belong to one caller.
  func kernel(_ name: String) throws -> GPUKernel {
    var status: Int32 = 0
    let made = context.cl.create_kernel(handle, name, &status)
    try OpenCL.check(status, "find kernel '\(name)'")
    guard let made else { throw KilnError(.failed, "the GPU could not find kernel '\(name)'") }
    context.count(\.kernels)
    return GPUKernel(context, made)
  }

  private static func build(_ program: kiln_cl_program, _ context: GPUContext) throws {
    var id: kiln_cl_device? = context.device.id
    let status = context.cl.build_program(program, 1, &id, buildOptions, nil, nil)
    guard status != 0 else { return }
    var size = 0
    var log = ""
    let what = KILN_CL_PROGRAM_BUILD_LOG.rawValue
    if context.cl.get_program_build_info(program, context.device.id, what, 0, nil, &size) == 0, size > 0, size < 1 << 20 {
      var bytes = [UInt8](repeating: 0, count: size)
      if context.cl.get_program_build_info(program, context.device.id, what, size, &bytes, nil) == 0 {
        log = String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
    }
    let lines = log.split(separator: "\n").map(String.init)
    let complaint = lines.first { $0.contains("error") } ?? lines.first ?? "the compiler says nothing"
    throw KilnError(
      .failed, "the GPU's compiler refuses a kernel (OpenCL error \(status)): \(complaint)",
      hint: "--device cpu runs the model on the processor")
  }

  /// A program from a binary, or nil when the driver does not want it.
  private static func load(_ binary: [UInt8], _ context: GPUContext) -> kiln_cl_program? {
    binary.withUnsafeBufferPointer { bytes in
      var status: Int32 = 0
      var accepted: Int32 = 0
      var id: kiln_cl_device? = context.device.id
      var length = bytes.count
      var pointer = bytes.baseAddress
      guard
        let made = context.cl.create_program_with_binary(context.handle, 1, &id, &length, &pointer, &accepted, &status),
        status == 0, accepted == 0
      else { return nil }
      if context.cl.build_program(made, 1, &id, buildOptions, nil, nil) == 0 { return made }
      _ = context.cl.release_program(made)
      return nil
    }
  }

  private static func binary(_ program: kiln_cl_program, _ context: GPUContext) -> [UInt8]? {
    var size = 0
    guard
      context.cl.get_program_info(program, KILN_CL_PROGRAM_BINARY_SIZES.rawValue, MemoryLayout<Int>.size, &size, nil) == 0,
      size > 0, size < 1 << 30
    else { return nil }
    var bytes = [UInt8](repeating: 0, count: size)
    let status = bytes.withUnsafeMutableBufferPointer { buffer in
      var pointer = buffer.baseAddress
      return context.cl.get_program_info(
        program, KILN_CL_PROGRAM_BINARIES.rawValue, MemoryLayout<UnsafeMutablePointer<UInt8>?>.size, &pointer, nil)
    }
    return status == 0 ? bytes : nil
  }
}

/// A kernel with its arguments.
final class GPUKernel: @unchecked Sendable {
  let handle: kiln_cl_kernel
  private let context: GPUContext

  init(_ context: GPUContext, _ handle: kiln_cl_kernel) {
    self.context = context
    self.handle = handle
  }

  deinit { _ = context.cl.release_kernel(handle) }

  func set<Value>(_ index: Int, _ value: Value) throws {
    try withUnsafePointer(to: value) {
      try OpenCL.check(
        context.cl.set_kernel_argument(handle, UInt32(index), MemoryLayout<Value>.size, $0), "set argument \(index)")
    }
  }
}
