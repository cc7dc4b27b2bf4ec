extension Tensor {
  /// The tensor with its axes in another order; not for strings.
  package func transposed(_ permutation: [Int]) throws -> Tensor {
    let strides = shape.rowMajorStrides
    return try strided(permutation.map { shape[$0] }, permutation.map { strides[$0] })
  }

  /// A tensor of another shape whose element at coordinates c is this one's at Σ c[i] · strides[i] (in elements).
  package func strided(_ shape: Shape, _ strides: [Int]) throws -> Tensor {
    try Tensor(dtype: dtype, shape: shape) { memory in
      switch dtype.byteCount {
      case 8: Tensor.copy(address, to: memory, shape, strides, UInt64.self)
      case 4: Tensor.copy(address, to: memory, shape, strides, UInt32.self)
      case 2: Tensor.copy(address, to: memory, shape, strides, UInt16.self)
      default: Tensor.copy(address, to: memory, shape, strides, UInt8.self)
      }
    }
  }

  private static func copy<Element>(
    _ source: UnsafeRawPointer, to memory: UnsafeMutableRawBufferPointer, _ shape: Shape, _ strides: [Int], _: Element.Type
  ) {
    let count = shape.elementCount
    if count == 0 { return }
    let size = MemoryLayout<Element>.stride
    let rowLength = shape.last ?? 1
    let rowStride = strides.last ?? 0
    var at = [Int](repeating: 0, count: max(shape.count - 1, 0))
    var offset = 0
    for row in 0..<(count / rowLength) {
      for column in 0..<rowLength {
        let value = source.loadUnaligned(fromByteOffset: (offset + column * rowStride) * size, as: Element.self)
        memory.storeBytes(of: value, toByteOffset: (row * rowLength + column) * size, as: Element.self)
      }
      for axis in at.indices.reversed() {
        at[axis] += 1
        offset += strides[axis]
        if at[axis] < shape[axis] { break }
        offset -= at[axis] * strides[axis]
        at[axis] = 0
      }
    }
  }
}
