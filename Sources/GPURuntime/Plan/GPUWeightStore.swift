import InferenceRuntime
import Synchronization
import TensorModule

/// Weights on the device, shared by all plans of one model: each constant is uploaded once for each layout.
final class GPUWeightStore: Sendable {
  private struct Entry {
    let buffer: GPUBuffer
    let constant: Tensor
  }

  private let fitting = Mutex<[ObjectIdentifier: (tensor: Tensor, fits: Bool)]>([:])

  /// Whether all finite numbers of a constant are stored with 16 bits as what they are, rounded.
  func fitsHalf(_ constant: Tensor) -> Bool {
    guard constant.dtype == .float32 else { return true }
    return fitting.withLock { known in
      if let found = known[ObjectIdentifier(constant)] { return found.fits }
      let fits = constant.bytes.bindMemory(to: Float.self).allSatisfy { !($0.magnitude > 65504 && $0.isFinite) }
      known[ObjectIdentifier(constant)] = (constant, fits)
      return fits
    }
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
