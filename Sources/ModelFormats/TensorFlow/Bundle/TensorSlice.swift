import CGraphSchemas
import TensorModule

/// A part of a tensor: a range of each axis, nil where it is the whole axis.
struct TensorSlice: Hashable, Sendable {
  var extents: [Range<Int>?]

  init(_ extents: [Range<Int>?]) { self.extents = extents }

  init(_ proto: Tf__TensorSliceProto) throws {
    extents = try Repeated.messages(proto.extent, proto.n_extent).map { extent in
      guard extent.pointee.has_length_case == TF__TENSOR_SLICE_PROTO__EXTENT__HAS_LENGTH_LENGTH else { return nil }
      guard let start = Int(exactly: extent.pointee.start), let length = Int(exactly: extent.pointee.length), start >= 0,
        length >= 0, start <= 1 << 48, length <= 1 << 48
      else { throw KilnError(.badInput, "a slice of a tensor has an impossible extent") }
      return start..<start + length
    }
  }

  /// Reads the text that names a slice in a graph: `12 5 0,4:-`, the whole shape, then start and length of each axis.
  ///
  /// - Returns: nil for an empty text, the whole tensor.
  static func parse(_ text: String) throws -> TensorSlice? {
    if text.isEmpty { return nil }
    func wrong() -> KilnError { KilnError(.badInput, "\(KilnError.quoted(text)) is no slice of a tensor") }
    guard let last = text.split(separator: " ").last else { throw wrong() }
    return TensorSlice(
      try last.split(separator: ":", omittingEmptySubsequences: false).map { part in
        if part == "-" { return nil }
        let numbers = part.split(separator: ",").map { Int($0) }
        guard numbers.count == 2, let start = numbers[0], let length = numbers[1], start >= 0, length >= 0,
          start <= 1 << 48, length <= 1 << 48
        else { throw wrong() }
        return start..<start + length
      })
  }

  /// The ranges in a tensor of that shape, or nil when the slice does not fit into it.
  func ranges(in shape: Shape) -> [Range<Int>]? {
    guard extents.count == shape.count else { return nil }
    var ranges: [Range<Int>] = []
    for (extent, length) in zip(extents, shape) {
      let range = extent ?? 0..<length
      guard range.upperBound <= length else { return nil }
      ranges.append(range)
    }
    return ranges
  }

  /// The key under which a checkpoint holds this slice of the variable `name`: TensorFlow's order-preserving code.
  func key(of name: String) -> [UInt8] {
    var key: [UInt8] = [0]
    for byte in name.utf8 {
      switch byte {
      case 0: key += [0, 0xFF]
      case 0xFF: key += [0xFF, 0]
      default: key.append(byte)
      }
    }
    key += [0, 1]
    var count: [UInt8] = []
    var rest = extents.count
    while rest > 0 {
      count.insert(UInt8(truncatingIfNeeded: rest), at: 0)
      rest >>= 8
    }
    key.append(UInt8(truncatingIfNeeded: count.count))
    key += count
    for extent in extents {
      TensorSlice.append(extent?.lowerBound ?? 0, to: &key)
      TensorSlice.append(extent.map(\.count) ?? -1, to: &key)
    }
    return key
  }

  /// A number in 1 to 10 bytes; the leading ones of the first tell how many, inverted for negative numbers.
  private static func append(_ value: Int, to key: inout [UInt8]) {
    let magnitude = value < 0 ? ~value : value
    var length = 1
    while length < 10, length * 7 - 1 < 63, magnitude >> (length * 7 - 1) != 0 { length += 1 }
    var bytes = [UInt8](repeating: value < 0 ? 0xFF : 0, count: 10)
    for index in 0..<8 { bytes[9 - index] = UInt8(truncatingIfNeeded: value >> (8 * index)) }
    var code = Array(bytes.suffix(length))
    let ones: UInt16 = length >= 16 ? 0xFFFF : ~(0xFFFF >> UInt16(length))
    code[0] ^= UInt8(truncatingIfNeeded: ones >> 8)
    if length > 8 { code[1] ^= UInt8(truncatingIfNeeded: ones) }
    key += code
  }
}

extension Tensor {
  /// Copies `source` into the place `ranges` of memory that is laid out as `shape`.
  static func place(
    _ source: UnsafeRawBufferPointer, at ranges: [Range<Int>], of shape: Shape, elementBytes: Int,
    into memory: UnsafeMutableRawBufferPointer
  ) {
    copyBox(ranges, of: shape, elementBytes: elementBytes) { small, large, count in
      UnsafeMutableRawBufferPointer(rebasing: memory[large..<large + count])
        .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[small..<small + count]))
    }
  }

  /// The part of a numeric tensor in these ranges, which lie inside its shape.
  func box(_ ranges: [Range<Int>]) throws -> Tensor {
    let bytes = self.bytes
    return try Tensor(dtype: dtype, shape: ranges.map(\.count)) { memory in
      Tensor.copyBox(ranges, of: shape, elementBytes: dtype.byteCount) { small, large, count in
        UnsafeMutableRawBufferPointer(rebasing: memory[small..<small + count])
          .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[large..<large + count]))
      }
    }
  }

  /// Calls `copy` with the offsets, in the box and in the whole, of each run of bytes that both have in one piece.
  private static func copyBox(
    _ ranges: [Range<Int>], of shape: Shape, elementBytes: Int, _ copy: (_ small: Int, _ large: Int, _ count: Int) -> Void
  ) {
    guard ranges.allSatisfy({ !$0.isEmpty }) else { return }
    let strides = shape.rowMajorStrides
    // The axes from `inner` on are whole, the one before it is one run.
    var inner = shape.count
    while inner > 0, ranges[inner - 1] == 0..<shape[inner - 1] { inner -= 1 }
    let run = inner == 0 ? shape.elementCount : ranges[inner - 1].count * strides[inner - 1]
    let outer = inner == 0 ? 0 : inner - 1
    let runs = ranges.prefix(outer).reduce(1) { $0 * $1.count }
    let tail = inner == 0 ? 0 : ranges[inner - 1].lowerBound * strides[inner - 1]
    for number in 0..<runs {
      var rest = number
      var offset = tail
      for axis in stride(from: outer - 1, through: 0, by: -1) {
        offset += (ranges[axis].lowerBound + rest % ranges[axis].count) * strides[axis]
        rest /= ranges[axis].count
      }
      copy(number * run * elementBytes, offset * elementBytes, run * elementBytes)
    }
  }
}
