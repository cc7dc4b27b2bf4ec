import CGraphSchemas
import TensorModule

/// A constant tensor whose bytes stay in the mapped file until they are asked for.
struct TFTensor: Sendable {
  let dtype: TFDataType
  let shape: Shape
  /// Raw little-endian elements, when it has any.
  let content: Range<Int>?
  /// Runs of encoded elements; the last element stands for all that follow.
  let runs: [Range<Int>]
  let file: MappedFile

  /// How the elements of `runs` are encoded.
  private enum Encoding { case fixed(Int), varint, bytes }

  /// - Parameter proto: read from `file` by `ProtobufSlimmer`, whose places it holds.
  init(_ proto: Tf__TensorProto, _ file: MappedFile) throws {
    dtype = TFDataType(proto.dtype)
    var shape: Shape = []
    if let declared = proto.tensor_shape?.pointee {
      guard let dims = try TFShape(declared).dims else { throw KilnError(.badInput, "a constant has an unknown rank") }
      for dim in dims {
        guard let dim else { throw KilnError(.badInput, "a constant has a dim of unknown length") }
        shape.append(dim)
      }
    }
    guard shape.count <= maximumRank, let count = checkedProduct(shape), count <= 1 << 40 else {
      throw KilnError(.badInput, "a constant has an impossible shape \(shape.shapeText)")
    }
    self.shape = shape
    self.file = file
    content = try ProtobufPlaces.ranges(proto.tensor_content_at, proto.n_tensor_content_at, file).last
    let runs: (UnsafeMutablePointer<UInt64>?, Int) =
      switch dtype.number {
      case 1: (proto.float_val_at, proto.n_float_val_at)
      case 2: (proto.double_val_at, proto.n_double_val_at)
      case 7: (proto.string_val_at, proto.n_string_val_at)
      case 8: (proto.scomplex_val_at, proto.n_scomplex_val_at)
      case 9: (proto.int64_val_at, proto.n_int64_val_at)
      case 10: (proto.bool_val_at, proto.n_bool_val_at)
      case 14, 19: (proto.half_val_at, proto.n_half_val_at)
      case 18: (proto.dcomplex_val_at, proto.n_dcomplex_val_at)
      case 22: (proto.uint32_val_at, proto.n_uint32_val_at)
      case 23: (proto.uint64_val_at, proto.n_uint64_val_at)
      default: (proto.int_val_at, proto.n_int_val_at)
      }
    self.runs = try ProtobufPlaces.ranges(runs.0, runs.1, file)
  }

  var count: Int { shape.elementCount }

  /// The values; raw bytes of a type with the same layout in a graph are used where they lie in the file.
  ///
  /// - Throws: `KilnError`: `badInput` when values and shape do not fit, `unsupportedModel` for a type without a dtype.
  func load() throws -> Tensor {
    guard let target = dtype.dtype else {
      throw KilnError(.unsupportedModel, "a constant of type \(dtype.name) is not supported")
    }
    if dtype == .string { return Tensor(strings: try byteStrings().map { ByteString($0) }, shape: shape) }
    if let content, !content.isEmpty || count == 0 { return try raw(content, target) }
    return try listed(target)
  }

  /// Both parts of complex numbers; nil for other types.
  func loadComplex() throws -> (real: Tensor, imaginary: Tensor)? {
    guard let part = dtype.complexPart else { return nil }
    let size = part.byteCount
    var numbers: [Double] = []
    func read(_ place: Int) -> Double {
      size == 4 ? Double(file.bytes.loadUnaligned(fromByteOffset: place, as: Float.self)) : file.bytes.loadUnaligned(fromByteOffset: place, as: Double.self)
    }
    if let content, !content.isEmpty || count == 0 {
      guard checkedProduct(shape + [2 * size]) == content.count else {
        throw KilnError(.badInput, "tensor_content has \(content.count) bytes, which do not fill \(shape.shapeText) of \(dtype.name)")
      }
      numbers = stride(from: content.lowerBound, to: content.upperBound, by: size).map(read)
    } else {
      for run in runs {
        var reader = WireReader(file.bytes, run)
        while !reader.isAtEnd { numbers.append(read(try reader.take(UInt64(size)).lowerBound)) }
      }
      guard numbers.count % 2 == 0, numbers.count / 2 <= count, count <= 1 << 22 else {
        throw KilnError(.badInput, "\(numbers.count) numbers do not fill \(shape.shapeText) of \(dtype.name)")
      }
      // The last number stands for all that follow.
      let last = numbers.count >= 2 ? Array(numbers.suffix(2)) : [0, 0]
      while numbers.count < 2 * count { numbers += last }
    }
    func half(_ first: Int) throws -> Tensor {
      try Tensor(converting: stride(from: first, to: numbers.count, by: 2).map { numbers[$0] }, to: part, shape: shape)
    }
    return (try half(0), try half(1))
  }

  private func raw(_ content: Range<Int>, _ target: DType) throws -> Tensor {
    guard let size = dtype.storedBytes, let expected = checkedProduct(shape + [size]), expected == content.count else {
      throw KilnError(
        .badInput,
        "tensor_content has \(content.count) bytes, shape \(shape.shapeText) of \(dtype.name) needs \(checkedProduct(shape + [dtype.storedBytes ?? 1]) ?? 0)")
    }
    if size == target.byteCount, let base = file.bytes.baseAddress {
      return Tensor(dtype: target, shape: shape, address: base + content.lowerBound, owner: file)
    }
    let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[content])
    let values: [Int64] = (0..<count).map { index in
      switch (dtype.number, size) {
      case (15, 2): Int64(bytes.loadUnaligned(fromByteOffset: index * 2, as: Int16.self))
      case (_, 2): Int64(bytes.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self))
      default: Int64(bytes.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self))
      }
    }
    return try Tensor(integers: values, dtype: target, shape: shape)
  }

  /// Elements one by one; fewer than the shape has mean that the last repeats, none means zeros.
  private func listed(_ target: DType) throws -> Tensor {
    var floats: [Double] = []
    var integers: [Int64] = []
    for run in runs {
      var reader = WireReader(file.bytes, run)
      while !reader.isAtEnd {
        guard floats.count + integers.count < count else {
          throw KilnError(.badInput, "a constant has more values than its shape \(shape.shapeText)")
        }
        switch dtype.number {
        case 1:
          let place = try reader.take(4)
          floats.append(Double(file.bytes.loadUnaligned(fromByteOffset: place.lowerBound, as: Float.self)))
        case 2:
          let place = try reader.take(8)
          floats.append(file.bytes.loadUnaligned(fromByteOffset: place.lowerBound, as: Double.self))
        case 14: floats.append(Double(HalfPrecision.float(bfloat16Bits: UInt16(truncatingIfNeeded: try reader.varint()))))
        case 19: floats.append(HalfPrecision.double(float16Bits: UInt16(truncatingIfNeeded: try reader.varint())))
        default: integers.append(Int64(truncatingIfNeeded: try reader.varint()))
        }
      }
    }
    // A shape that the file's size does not justify is still one value.
    guard count <= 1 << 28 else { throw KilnError(.badInput, "a constant of one value is \(shape.shapeText) large") }
    if target.isFloat {
      return try Tensor(converting: floats + [Double](repeating: floats.last ?? 0, count: count - floats.count), to: target, shape: shape)
    }
    return try Tensor(integers: integers + [Int64](repeating: integers.last ?? 0, count: count - integers.count), dtype: target, shape: shape)
  }

  /// The elements of a string tensor as bytes.
  func byteStrings() throws -> [[UInt8]] {
    var values = runs.map { Array(file.bytes[$0]) }
    guard values.count <= count, count <= 1 << 26 else {
      throw KilnError(.badInput, "\(values.count) texts do not fill the shape \(shape.shapeText)")
    }
    let last = values.last ?? []
    while values.count < count { values.append(last) }
    return values
  }
}
