import COpenCL
import Synchronization
import TensorModule

/// A device that this process uses: its context, and the programs built for it. Shared by all models.
package final class GPUContext: @unchecked Sendable {
  package let device: GPUDevice
  let cl: kiln_cl_functions
  let handle: kiln_cl_context
  /// Where compiled programs are kept; nil keeps none.
  let cacheFolder: String?
  let tuning: TuningTable
  private let programs = Mutex<[String: GPUProgram]>([:])

  /// What was made so far; a prediction after the first makes nothing.
  package struct Counts: Hashable, Sendable {
    /// Programs compiled from source, and taken from the cache on disk.
    package var compiled = 0
    package var loaded = 0
    package var buffers = 0
    package var kernels = 0
    package var uploads = 0
    package var downloads = 0
  }

  private let tally = Mutex(Counts())

  package var counts: Counts { tally.withLock { $0 } }

  func count(_ field: WritableKeyPath<Counts, Int> & Sendable) { tally.withLock { $0[keyPath: field] += 1 } }

  // Drivers keep a context cheap to hold and slow to make.
  private static let contexts = Mutex<[UInt: GPUContext]>([:])

  /// The context of a device.
  ///
  /// - Throws: `KilnError` (`failed`) when the device cannot be used.
  package static func shared(_ device: GPUDevice) throws -> GPUContext {
    let key = UInt(bitPattern: device.id)
    return try contexts.withLock { contexts in
      if let found = contexts[key] { return found }
      let made = try GPUContext(device)
      contexts[key] = made
      return made
    }
  }

  /// The functions of the OpenCL library.
  ///
  /// - Throws: `KilnError` (`failed`) when it is not there.
  package static func functions() throws -> kiln_cl_functions { try OpenCL.library.get().functions.pointee }

  /// A context that nobody shares.
  ///
  /// - Parameters:
  ///   - functions: other functions than the library's: those of a device that fails, in tests.
  ///   - cacheFolder: another folder for compiled programs than the user's.
  package init(_ device: GPUDevice, functions: kiln_cl_functions? = nil, cacheFolder: String? = ProgramCache.folder) throws {
    cl = try functions ?? Self.functions()
    self.device = device
    self.cacheFolder = cacheFolder
    tuning = TuningTable(device, folder: cacheFolder)
    guard device.isAvailable else { throw KilnError(.failed, "the GPU '\(device.name)' is not available") }
    guard device.hasCompiler else { throw KilnError(.failed, "the driver of the GPU '\(device.name)' has no compiler") }
    var status: Int32 = 0
    var id: kiln_cl_device? = device.id
    let made = cl.create_context(nil, 1, &id, nil, nil, &status)
    try OpenCL.check(status, "be opened ('\(device.name)')")
    guard let made else { throw KilnError(.failed, "the GPU '\(device.name)' could not be opened") }
    handle = made
  }

  /// The program of a source text, built once in a process and kept on disk.
  func program(_ source: String) throws -> GPUProgram {
    try programs.withLock { programs in
      if let found = programs[source] { return found }
      let made = try GPUProgram(source, self)
      programs[source] = made
      return made
    }
  }
}

/// A queue of commands that run in order.
final class GPUQueue: @unchecked Sendable {
  let context: GPUContext
  let handle: kiln_cl_queue

  init(_ context: GPUContext, profiling: Bool = false) throws {
    var status: Int32 = 0
    let made = context.cl.create_queue(context.handle, context.device.id, profiling ? kiln_cl_profiling : 0, &status)
    try OpenCL.check(status, "make a queue")
    guard let made else { throw KilnError(.failed, "the GPU could not make a queue") }
    self.context = context
    handle = made
  }

  deinit {
    _ = context.cl.finish(handle)
    _ = context.cl.release_queue(handle)
  }
}

/// Memory of the device, or a part of another buffer.
final class GPUBuffer: @unchecked Sendable {
  let context: GPUContext
  let handle: kiln_cl_memory
  let byteCount: Int
  /// The buffer that this one is a part of.
  private let whole: GPUBuffer?

  /// Memory whose contents are not set.
  init(_ context: GPUContext, byteCount: Int) throws {
    let size = max(context.device.alignment, byteCount)
    guard size <= context.device.maximumBufferBytes else {
      throw KilnError(
        .failed, "out of device memory: '\(context.device.name)' has no buffer of \(size >> 20) MiB, \(context.device.maximumBufferBytes >> 20) MiB at most")
    }
    var status: Int32 = 0
    let made = context.cl.create_buffer(context.handle, kiln_cl_read_write, size, nil, &status)
    try OpenCL.check(status, "allocate \(size) bytes")
    guard let made else { throw KilnError(.failed, "the GPU could not allocate \(size) bytes") }
    context.count(\.buffers)
    self.context = context
    handle = made
    self.byteCount = size
    whole = nil
  }

  /// The part of `whole` from `offset` on, which is aligned.
  init(part whole: GPUBuffer, offset: Int, byteCount: Int) throws {
    var region = kiln_cl_region(origin: offset, size: min(max(byteCount, 1), whole.byteCount - offset))
    var status: Int32 = 0
    let made = whole.context.cl.create_sub_buffer(
      whole.handle, kiln_cl_read_write, KILN_CL_BUFFER_CREATE_TYPE_REGION.rawValue, &region, &status)
    try OpenCL.check(status, "take a part of a buffer")
    guard let made else { throw KilnError(.failed, "the GPU could not take a part of a buffer") }
    whole.context.count(\.buffers)
    context = whole.context
    handle = made
    self.byteCount = region.size
    self.whole = whole
  }

  /// Fills the buffer, and waits until that is done.
  func write(_ bytes: UnsafeRawBufferPointer, _ queue: GPUQueue) throws {
    guard let base = bytes.baseAddress, bytes.count > 0, bytes.count <= byteCount else { return }
    try OpenCL.check(context.cl.enqueue_write(queue.handle, handle, 1, 0, bytes.count, base, 0, nil, nil), "take weights")
  }

  deinit { _ = context.cl.release_memory(handle) }
}
