import InferenceRuntime
import Synchronization
import TensorModule

/// Weights on the device, shared by all plans of one model: each constant is uploaded once for each layout.
final class GPUWeightStore: Sendable {
  private struct Entry {
    let buffer: GPUBuffer
    let constant: Tensor
  }

  private let entries = Mutex<[GPUWeights.Key: Entry]>([:])

  func buffer(_ weights: GPUWeights, _ context: GPUContext, _ queue: GPUQueue) throws -> GPUBuffer {
    try entries.withLock { entries in
      if let found = entries[weights.key] { return found.buffer }
      let buffer = try GPUBuffer(context, byteCount: weights.byteCount)
      let memory = try RuntimeMemory(byteCount: weights.byteCount)
      let bytes = UnsafeMutableRawBufferPointer(start: memory.base, count: weights.byteCount)
      weights.fill(bytes)
      try buffer.write(UnsafeRawBufferPointer(bytes), queue)
      entries[weights.key] = Entry(buffer: buffer, constant: weights.constant)
      return buffer
    }
  }

  /// Bytes of all weights on the device.
  var byteCount: Int { entries.withLock { $0.values.reduce(0) { $0 + $1.buffer.byteCount } } }
}
