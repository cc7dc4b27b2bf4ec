#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Reading a large tensor a piece at a time, so that little of it is in memory at once. Not for strings.
extension Tensor {
  /// Bytes of a piece that is computed: they stay in the processor's cache.
  private static let computedPiece = 512 << 10
  /// Bytes of a piece of memory or of a mapped file.
  private static let piece = 4 << 20

  /// Whether the elements are computed when they are asked for.
  package var isDeferred: Bool { deferred != nil }

  /// Hands over all bytes in order, in pieces that end with an element; a mapped file's memory is let go after each.
  package func forEachPiece(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
    let size = dtype.byteCount
    guard let deferred else {
      for start in stride(from: 0, to: byteCount, by: Tensor.piece) {
        let piece = UnsafeRawBufferPointer(start: base + start, count: min(Tensor.piece, byteCount - start))
        try body(piece)
        releaseMapping(piece)
      }
      return
    }
    let length = max(Tensor.computedPiece / size, 1)
    let buffer = try AlignedMemory.allocate(byteCount: min(length * size, byteCount), zeroed: false)
    defer { AlignedMemory.free(buffer) }
    for start in stride(from: 0, to: count, by: length) {
      let elements = start..<min(start + length, count)
      let piece = UnsafeMutableRawBufferPointer(start: buffer, count: elements.count * size)
      deferred.copy(elements, to: piece)
      try body(UnsafeRawBufferPointer(piece))
    }
  }

  /// Copies some elements.
  ///
  /// - Parameter target: memory of their size.
  package func copy(_ elements: Range<Int>, to target: UnsafeMutableRawBufferPointer) {
    if let deferred { return deferred.copy(elements, to: target) }
    let size = dtype.byteCount
    target.copyMemory(from: UnsafeRawBufferPointer(start: base + elements.lowerBound * size, count: elements.count * size))
  }

  /// Lets go of memory that mirrors these elements of a mapped file.
  package func releaseMapping(_ elements: Range<Int>) {
    let size = dtype.byteCount
    if !isDeferred { releaseMapping(UnsafeRawBufferPointer(start: base + elements.lowerBound * size, count: elements.count * size)) }
  }

  /// A few elements from the beginning, the middle and the end: what differs there differs.
  package var sample: [UInt8] {
    guard dtype != .string, count > 0 else { return [] }
    let length = min(16, count)
    let size = length * dtype.byteCount
    return [UInt8](unsafeUninitializedCapacity: 3 * size) { memory, written in
      for (index, start) in [0, (count - length) / 2, count - length].enumerated() {
        copy(start..<start + length, to: UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(memory)[index * size..<(index + 1) * size]))
      }
      written = 3 * size
    }
  }

  /// Whether two tensors of one dtype and shape have the same bits; not for strings.
  package func hasSameBits(as other: Tensor) -> Bool {
    if base == other.base { return true }
    let (whole, pieces) = isDeferred ? (other, self) : (self, other)
    var place = whole.address
    var isSame = true
    do {
      try pieces.forEachPiece { piece in
        if isSame, let start = piece.baseAddress { isSame = memcmp(place, start, piece.count) == 0 }
        place += piece.count
      }
    } catch { return false }
    return isSame
  }
}
