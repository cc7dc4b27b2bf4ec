import InferenceRuntime
import TensorModule

/// A buffer that stays, with the queue that all who use it go through.
final class GPUMemory: DeviceMemory {
  let buffer: GPUBuffer
  let queue: GPUQueue
  private let failure: GPUFailure
  let byteCount: Int

  init(_ context: GPUContext, _ queue: GPUQueue, _ failure: GPUFailure, byteCount: Int) throws {
    buffer = try GPUBuffer(context, byteCount: byteCount)
    (self.queue, self.failure, self.byteCount) = (queue, failure, byteCount)
  }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws {
    guard let base = bytes.baseAddress, bytes.count > 0 else { return }
    try check(offset, bytes.count)
    let context = buffer.context
    try failure.noting {
      try OpenCL.check(context.cl.enqueue_write(queue.handle, buffer.handle, 1, offset, bytes.count, base, 0, nil, nil), "take a state")
    }
  }

  func read(_ bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws {
    guard let base = bytes.baseAddress, bytes.count > 0 else { return }
    try check(offset, bytes.count)
    let context = buffer.context
    try failure.noting {
      // What went wrong before must not be taken for a state.
      try OpenCL.check(context.cl.finish(queue.handle), "finish its work")
      try OpenCL.check(context.cl.enqueue_read(queue.handle, buffer.handle, 1, offset, bytes.count, base, 0, nil, nil), "give a state")
    }
  }

  private func check(_ offset: Int, _ count: Int) throws {
    guard offset >= 0, count <= byteCount, offset <= byteCount - count else { throw KilnError(.internal, "a state lies behind its memory") }
  }
}
