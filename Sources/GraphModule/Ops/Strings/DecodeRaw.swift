import TensorModule

/// The bytes of texts read as numbers, as in `tf.io.decode_raw`.
package struct DecodeRaw: DataDependentOp {
  package static let name = "decode_raw"
  package static let summary =
    "the bytes of each text of x [...] as numbers of the dtype: [..., n]; texts are equally long, or cut and filled up with zeros to width bytes unless that is -1; `dims` declares n"

  package var dtype: DType
  package var littleEndian: Bool
  package var width: Int
  package var dims: [Dim]

  package init(_ dtype: DType, littleEndian: Bool = true, width: Int = -1, _ dims: [Dim]) {
    (self.dtype, self.littleEndian, self.width, self.dims) = (dtype, littleEndian, width, dims)
  }

  package var attributes: Attributes {
    [("dtype", .word(dtype.name)), ("little_endian", .bool(littleEndian)), ("width", .int(width)), ("dims", .dims(dims))]
  }

  package init(from reader: inout AttributeReader) throws {
    dtype = try reader.dtype("dtype")
    littleEndian = try reader.bool("little_endian")
    width = try reader.int("width")
    dims = try reader.dims("dims")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    try Expect.strings(inputs[0], Self.name, "the operand")
    try Expect.rank(inputs[0], 0...(maximumRank - 1), Self.name, "the operand")
    try Expect.that(dtype != .string, Self.name, "the dtype must be a number's")
    try Expect.that((-1...1 << 30).contains(width), Self.name, "width must be -1 or more, found \(width)")
    try SizeOperand.declared(dims, Self.name)
    try Expect.that(dims.count == 1, Self.name, "dims must be the number alone")
    let size = dtype.byteCount
    try Expect.that(
      width < 0 || (width % size == 0 && dims[0] == Dim(width / size)), Self.name, "\(width) bytes of \(dtype.name) are not \(dims[0]) numbers")
    return [TensorType(dtype, inputs[0].dims + dims)]
  }

  package func results(_ inputs: [ReferenceTensor]) throws -> [ReferenceTensor] {
    let (texts, size) = (inputs[0].texts, dtype.byteCount)
    let length = width >= 0 ? width : texts.first?.count ?? 0
    guard length % size == 0 else {
      throw KilnError(.badInput, "op '\(Self.name)': \(length) bytes are no whole number of \(dtype.name)")
    }
    var bytes: [UInt8] = []
    for text in texts {
      guard width >= 0 || text.count == length else {
        throw KilnError(.badInput, "op '\(Self.name)': texts have \(length) and \(text.count) bytes")
      }
      bytes += text.bytes.prefix(length)
      bytes += repeatElement(0, count: max(length - text.count, 0))
    }
    if !littleEndian, size > 1 {
      for start in stride(from: 0, to: bytes.count, by: size) { bytes[start..<start + size].reverse() }
    }
    let shape = inputs[0].shape + [length / size]
    guard checkedProduct(shape) == bytes.count / size else { throw KilnError(.badInput, "op '\(Self.name)': the sizes \(shape.shapeText) are not those of a tensor") }
    if dtype == .bool { for index in bytes.indices where bytes[index] != 0 { bytes[index] = 1 } }
    let tensor = try Tensor(dtype: dtype, shape: shape) { memory in bytes.withUnsafeBytes { memory.copyMemory(from: $0) } }
    return [ReferenceTensor(tensor)]
  }

  package func substituting(_ bindings: [String: Int]) -> DecodeRaw {
    DecodeRaw(dtype, littleEndian: littleEndian, width: width, dims.map { $0.substituting(bindings) })
  }

  package static var examples: [OpExample] {
    [
      OpExample(DecodeRaw(.uint8, width: 4, [4]), [TensorType(.string, [2])]),
      OpExample(DecodeRaw(.int16, littleEndian: false, width: 6, [3]), [TensorType(.string, [2, 1])]),
      OpExample(DecodeRaw(.bool, width: 2, [2]), [TensorType(.string, [])]), OpExample(DecodeRaw(.float32, [0]), [TensorType(.string, [0])]),
    ]
  }
}
