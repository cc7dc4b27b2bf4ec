import CGraphSchemas
import TensorModule

/// A constant tensor whose bytes stay in the mapped file until they are asked for.
struct ONNXTensor: Sendable {
  private enum Data: Sendable {
    case none
    case raw(Range<Int>)
    /// Runs of encoded elements, by the number of their field.
    case listed(Int, [Range<Int>])
    case external(ExternalData.Place)
  }

  let name: String
  let type: ONNXDataType
  let shape: Shape
  private let data: Data
  private nonisolated(unsafe) let parsing: ONNXParsing

  /// - Parameter proto: read from the file of `parsing` by `ProtobufSlimmer`, whose places it holds.
  init(_ proto: Onnx__TensorProto, _ parsing: ONNXParsing) throws {
    name = try Repeated.text(proto.name)
    type = ONNXDataType(Int(proto.data_type))
    self.parsing = parsing
    let file = parsing.file
    do {
      shape = try ONNXTensor.shape(Repeated.values(proto.dims, proto.n_dims))
      let fields: [(Int, [Range<Int>])] = [
        (4, try ProtobufPlaces.ranges(proto.float_data_at, proto.n_float_data_at, file)),
        (5, try ProtobufPlaces.ranges(proto.int32_data_at, proto.n_int32_data_at, file)),
        (6, try ProtobufPlaces.ranges(proto.string_data_at, proto.n_string_data_at, file)),
        (7, try ProtobufPlaces.ranges(proto.int64_data_at, proto.n_int64_data_at, file)),
        (9, try ProtobufPlaces.ranges(proto.raw_data_at, proto.n_raw_data_at, file)),
        (10, try ProtobufPlaces.ranges(proto.double_data_at, proto.n_double_data_at, file)),
        (11, try ProtobufPlaces.ranges(proto.uint64_data_at, proto.n_uint64_data_at, file)),
      ]
      // Texts may be empty; other empty fields say nothing.
      let present = fields.filter { number, runs in number == 6 ? !runs.isEmpty : runs.contains { !$0.isEmpty } }
      let isExternal = proto.data_location == 1
      guard present.count + (isExternal ? 1 : 0) <= 1 else { throw KilnError(.badInput, "has its data in two fields") }
      if isExternal {
        let entries = try Repeated.messages(proto.external_data, proto.n_external_data).map {
          (key: try Repeated.text($0.pointee.key), value: try Repeated.text($0.pointee.value))
        }
        data = .external(try ExternalData.place(entries))
      } else if proto.n_external_data > 0 {
        throw KilnError(.badInput, "names external data and does not say that its data are there")
      } else if let (number, runs) = present.first {
        if number == 9 {
          guard runs.count == 1, let run = runs.first else { throw KilnError(.badInput, "has its raw data twice") }
          data = .raw(run)
        } else {
          data = .listed(number, runs)
        }
      } else {
        data = .none
      }
    } catch let error as KilnError {
      throw KilnError(error.code, "tensor \(KilnError.quoted(name)): \(error.message)", hint: error.hint)
    }
  }

  static func shape(_ dims: some Sequence<Int64>) throws -> Shape {
    let shape = dims.map { Int($0) }
    guard shape.count <= maximumRank, shape.allSatisfy({ $0 >= 0 }), let count = checkedProduct(shape), count <= 1 << 40 else {
      throw KilnError(.badInput, "has the impossible shape \(shape.shapeText)")
    }
    return shape
  }

  /// The values; raw bytes with the same layout in a graph are used where they lie in the file.
  ///
  /// - Throws: `KilnError`: `badInput` when values and shape do not fit, `unsupportedModel` for a type without a dtype and for
  ///   external data that are not allowed.
  func load() throws -> Tensor {
    do { return try loaded() } catch let error as KilnError {
      throw KilnError(error.code, "tensor \(KilnError.quoted(name)): \(error.message)", hint: error.hint)
    }
  }

  private func loaded() throws -> Tensor {
    guard let target = type.dtype else {
      throw KilnError(.unsupportedModel, "the type \(type.name) is not supported")
    }
    switch data {
    case .none:
      guard shape.elementCount == 0 else { throw KilnError(.badInput, "has no data for its shape \(shape.shapeText)") }
      return target == .string ? Tensor(strings: [ByteString](), shape: shape) : try Tensor(dtype: target, shape: shape) { _ in }
    case .raw(let range): return try raw(parsing.file, range, target)
    case .external(let place):
      let (file, range) = try parsing.external.bytes(place, size: try byteCount())
      return try raw(file, range, target)
    case .listed(let field, let runs):
      if target == .string || field == 6 { return try texts(field, runs, target) }
      return try listed(field, runs, target)
    }
  }

  private func byteCount() throws -> Int {
    guard let bits = type.storedBits, let all = checkedProduct(shape + [bits]) else {
      throw KilnError(.badInput, "values of the type \(type.name) have no raw form")
    }
    return (all + 7) / 8
  }

  private func raw(_ file: MappedFile, _ range: Range<Int>, _ target: DType) throws -> Tensor {
    let size = try byteCount()
    guard size == range.count else {
      throw KilnError(.badInput, "has \(range.count) bytes of raw data, its shape \(shape.shapeText) of \(type.name) needs \(size)")
    }
    let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[range])
    if type.storedBits == target.byteCount * 8, type.smallFloat == nil, target != .bool, let base = bytes.baseAddress {
      return Tensor(dtype: target, shape: shape, address: base, owner: file)
    }
    let count = shape.elementCount
    if let small = type.smallFloat {
      let codes = small.bits == 8 ? bytes.map { Int($0) } : (0..<count).map { ONNXTensor.part(bytes, $0, bits: small.bits) }
      return try Tensor(codes.map { small.value($0) }, shape: shape)
    }
    let integers: [Int64]
    switch type.number {
    case 9: integers = bytes.map { $0 == 0 ? 0 : 1 }
    case 4: integers = (0..<count).map { Int64(bytes.loadUnaligned(fromByteOffset: $0 * 2, as: UInt16.self)) }
    case 12: integers = (0..<count).map { Int64(bytes.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self)) }
    case 21, 25:
      let bits = type.number == 21 ? 4 : 2
      integers = (0..<count).map { Int64(ONNXTensor.part(bytes, $0, bits: bits)) }
    case 22, 26:
      let bits = type.number == 22 ? 4 : 2
      integers = (0..<count).map { index in
        let code = ONNXTensor.part(bytes, index, bits: bits)
        return Int64(code >= 1 << (bits - 1) ? code - 1 << bits : code)
      }
    default: throw KilnError(.internal, "values of the type \(type.name) are not read")
    }
    return try Tensor(integers: integers, dtype: target, shape: shape)
  }

  /// Element `index` of numbers of a few bits, the first in the low bits of a byte.
  private static func part(_ bytes: UnsafeRawBufferPointer, _ index: Int, bits: Int) -> Int {
    let perByte = 8 / bits
    return Int(bytes[index / perByte]) >> (index % perByte * bits) & ((1 << bits) - 1)
  }

  private func texts(_ field: Int, _ runs: [Range<Int>], _ target: DType) throws -> Tensor {
    guard field == 6, target == .string else { throw KilnError(.badInput, "has values in a field that is not for \(type.name)") }
    guard runs.count == shape.elementCount else {
      throw KilnError(.badInput, "has \(runs.count) texts, its shape \(shape.shapeText) needs \(shape.elementCount)")
    }
    return Tensor(strings: runs.map { ByteString(Array(parsing.file.bytes[$0])) }, shape: shape)
  }

  /// The field that values of a type are listed in.
  private var expectedField: Int {
    switch type.number {
    case 1, 14: 4
    case 7: 7
    case 11, 15: 10
    case 12, 13: 11
    default: 5
    }
  }

  private func listed(_ field: Int, _ runs: [Range<Int>], _ target: DType) throws -> Tensor {
    guard field == expectedField else { throw KilnError(.badInput, "has values in a field that is not for \(type.name)") }
    var floats: [Double] = []
    var integers: [Int64] = []
    // Numbers of less than a byte come packed, a byte in each number.
    let perNumber = type.storedBits.map { $0 < 8 ? 8 / $0 : 1 } ?? 1
    let needed = (shape.elementCount + perNumber - 1) / perNumber
    for run in runs {
      var reader = WireReader(parsing.file.bytes, run)
      while !reader.isAtEnd {
        guard floats.count + integers.count < needed else {
          throw KilnError(.badInput, "has more values than its shape \(shape.shapeText)")
        }
        switch field {
        case 4: floats.append(Double(parsing.file.bytes.loadUnaligned(fromByteOffset: try reader.take(4).lowerBound, as: Float.self)))
        case 10: floats.append(parsing.file.bytes.loadUnaligned(fromByteOffset: try reader.take(8).lowerBound, as: Double.self))
        default: integers.append(Int64(truncatingIfNeeded: try reader.varint()))
        }
      }
    }
    guard floats.count + integers.count == needed else {
      throw KilnError(.badInput, "has \(floats.count + integers.count) values, its shape \(shape.shapeText) needs \(needed)")
    }
    switch type.number {
    case 1, 11: return try Tensor(converting: floats, to: target, shape: shape)
    case 10: return try Tensor(converting: integers.map { HalfPrecision.double(float16Bits: UInt16(truncatingIfNeeded: $0)) }, to: target, shape: shape)
    case 16:
      return try Tensor(converting: integers.map { Double(HalfPrecision.float(bfloat16Bits: UInt16(truncatingIfNeeded: $0))) }, to: target, shape: shape)
    case 9: return try Tensor(integers: integers.map { $0 == 0 ? 0 : 1 }, dtype: target, shape: shape)
    default: break
    }
    if perNumber > 1 || type.smallFloat != nil {
      let bytes = integers.map { UInt8(truncatingIfNeeded: $0) }
      let size = try byteCount()
      let file = try MappedFile(path: parsing.file.path, contents: Array(bytes.prefix(size)))
      return try raw(file, 0..<file.bytes.count, target)
    }
    guard let range = type.integerRange, integers.allSatisfy(range.contains) else {
      throw KilnError(.badInput, "has a value that \(type.name) cannot hold")
    }
    return try Tensor(integers: integers, dtype: target, shape: shape)
  }
}

/// A constant of which only some elements are stored.
struct ONNXSparseTensor: Sendable {
  let values: ONNXTensor
  private let indices: ONNXTensor
  private let shape: Shape

  init(_ proto: Onnx__SparseTensorProto, _ parsing: ONNXParsing) throws {
    guard let values = proto.values, let indices = proto.indices else { throw KilnError(.badInput, "a sparse tensor lacks values or indices") }
    self.values = try ONNXTensor(values.pointee, parsing)
    self.indices = try ONNXTensor(indices.pointee, parsing)
    shape = try ONNXTensor.shape(Repeated.values(proto.dims, proto.n_dims))
  }

  /// All elements.
  func load() throws -> Tensor {
    func wrong(_ message: String) -> KilnError { KilnError(.badInput, "tensor \(KilnError.quoted(values.name)): \(message)") }
    let (stored, places) = (try values.load(), try indices.load())
    guard stored.dtype != .string, places.dtype == .int64, stored.shape.count == 1 else { throw wrong("its values or indices have the wrong type") }
    // A file of few bytes must not ask for much memory.
    guard shape.elementCount <= 1 << 26 else { throw wrong("a sparse tensor of the shape \(shape.shapeText) is too large") }
    let numbers = places.integers
    let rank = shape.count
    guard places.shape == [stored.count] || places.shape == [stored.count, rank] else {
      throw wrong("indices \(places.shape.shapeText) do not fit \(stored.count) values")
    }
    let strides = shape.rowMajorStrides
    let flat: [Int] = try (0..<stored.count).map { row in
      if places.shape.count == 1 {
        guard numbers[row] >= 0, numbers[row] < shape.elementCount else { throw wrong("index \(numbers[row]) is out of range") }
        return Int(numbers[row])
      }
      return try (0..<rank).reduce(0) { sum, axis in
        let index = numbers[row * rank + axis]
        guard index >= 0, index < shape[axis] else { throw wrong("index \(index) is out of range") }
        return sum + Int(index) * strides[axis]
      }
    }
    if stored.dtype.isFloat {
      var all = [Double](repeating: 0, count: shape.elementCount)
      for (place, value) in zip(flat, stored.doubles) { all[place] = value }
      return try Tensor(converting: all, to: stored.dtype, shape: shape)
    }
    var all = [Int64](repeating: 0, count: shape.elementCount)
    for (place, value) in zip(flat, stored.integers) { all[place] = value }
    return try Tensor(integers: all, dtype: stored.dtype, shape: shape)
  }
}
