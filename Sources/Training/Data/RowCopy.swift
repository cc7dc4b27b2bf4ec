import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Rows of a tensor copied to where a batch is put together, converted where the model wants another dtype.
enum RowCopy {
  /// Whether `copy` converts between these; other pairs are converted once, when data are loaded.
  static func converts(_ source: DType, to target: DType) -> Bool {
    if source == target { return true }
    guard target == .float32 else { return false }
    return [.uint8, .int8, .int16, .int32, .int64, .float64, .bool].contains(source)
  }

  /// Copies one row (all axes but the first) to `target`.
  static func copy(_ tensor: Tensor, row: Int, to target: UnsafeMutableRawPointer, as dtype: DType) {
    let count = tensor.shape.dropFirst().reduce(1, *)
    let source = tensor.address + row * count * tensor.dtype.byteCount
    if tensor.dtype == dtype {
      memcpy(target, source, count * dtype.byteCount)
      return
    }
    let floats = target.assumingMemoryBound(to: Float.self)
    switch tensor.dtype {
    case .uint8, .bool: convert(source, UInt8.self, floats, count)
    case .int8: convert(source, Int8.self, floats, count)
    case .int16: convert(source, Int16.self, floats, count)
    case .int32: convert(source, Int32.self, floats, count)
    case .int64: convert(source, Int64.self, floats, count)
    case .float64:
      for index in 0..<count { floats[index] = Float(source.loadUnaligned(fromByteOffset: 8 * index, as: Double.self)) }
    default: break
    }
  }

  @inline(__always)
  private static func convert<Number: BinaryInteger>(
    _ source: UnsafeRawPointer, _: Number.Type, _ target: UnsafeMutablePointer<Float>, _ count: Int
  ) {
    let width = MemoryLayout<Number>.stride
    for index in 0..<count { target[index] = Float(source.loadUnaligned(fromByteOffset: width * index, as: Number.self)) }
  }
}
