import CGraphSchemas
import TensorModule

/// A checkpoint of TensorFlow's first format: sorted tables whose values are protobuf messages with the tensors in them.
final class OldCheckpoint: VariableStore {
  private struct Variable {
    var type: TFDataType
    var shape: Shape
    var parts: [TensorSlice]
    /// The table and the entry for each part.
    var places: [TensorSlice: (table: Int, entry: Int)] = [:]
  }

  private let tables: [SortedTable]
  private var variables: [String: Variable] = [:]

  /// - Parameter paths: the file, or its shards.
  init(paths: [String]) throws {
    tables = try paths.map { path in
      do { return try SortedTable(try FilePath.map(path, "the checkpoint")) } catch let error as KilnError {
        throw error.inside(FilePath.name(of: path))
      }
    }
    for (number, table) in tables.enumerated() {
      guard let first = table.entries.first, first.key.isEmpty else { throw KilnError(.badInput, "the checkpoint has no header") }
      try readMeta(first.value.bytes)
      for (index, entry) in table.entries.enumerated().dropFirst() { try note(entry.value.bytes, (number, index)) }
    }
  }

  var names: [String] { variables.keys.sorted() }

  func contains(_ name: String) -> Bool { variables[name] != nil }

  func tensor(_ name: String, slice: TensorSlice?) throws -> Tensor {
    do {
      guard let variable = variables[name] else {
        throw KilnError(
          .badInput, "the checkpoint has no variable of this name",
          hint: Nearest.name(to: name, among: names).map { "did you mean \(KilnError.quoted($0))?" })
      }
      if let slice, variable.places[slice] != nil { return try load(variable, slice) }
      if slice == nil, variable.parts.count == 1, let part = variable.parts.first, part.ranges(in: variable.shape)?.map(\.count) == variable.shape {
        return try load(variable, part)
      }
      return try SlicedTensor.assemble(name, variable.type, variable.shape, variable.parts, slice) { try self.load(variable, $0) }
    } catch let error as KilnError { throw error.inside(KilnError.escaped(name)) }
  }

  private func readMeta(_ bytes: UnsafeRawBufferPointer) throws {
    let message = try ParsedMessage<Tf__SavedTensorSlices>(bytes, kiln_tf_saved_tensor_slices(), what: "header of a checkpoint")
    try message.withFields { slices in
      guard let meta = slices.meta?.pointee else { throw KilnError(.badInput, "the checkpoint has no header") }
      for tensor in Repeated.messages(meta.tensor, meta.n_tensor) {
        let name = try Repeated.text(tensor.pointee.name)
        let parts = try Repeated.messages(tensor.pointee.slice, tensor.pointee.n_slice).map { try TensorSlice($0.pointee) }
        let shape = try TFShape.stored(tensor.pointee.shape)
        let type = TFDataType(tensor.pointee.type)
        if var known = variables[name] {
          guard known.shape == shape, known.type == type else {
            throw KilnError(.badInput, "the variable \(KilnError.quoted(name)) has two shapes")
          }
          known.parts += parts
          variables[name] = known
        } else {
          variables[name] = Variable(type: type, shape: shape, parts: parts)
        }
      }
    }
  }

  /// Remembers which part of which variable an entry holds, without reading its values.
  private func note(_ bytes: UnsafeRawBufferPointer, _ place: (Int, Int)) throws {
    var reader = WireReader(bytes)
    while !reader.isAtEnd {
      let (number, wire) = try reader.tag()
      let payload = try reader.payload(wire: wire)
      guard number == 2, wire == 2 else { continue }
      var inner = WireReader(bytes, payload)
      var name = ""
      var slice = TensorSlice([])
      while !inner.isAtEnd {
        let (number, wire) = try inner.tag()
        let payload = try inner.payload(wire: wire)
        guard wire == 2 else { continue }
        if number == 1 { name = String(decoding: bytes[payload], as: UTF8.self) }
        if number == 2 {
          let message = try ParsedMessage<Tf__TensorSliceProto>(
            UnsafeRawBufferPointer(rebasing: bytes[payload]), kiln_tf_tensor_slice(), what: "slice of a tensor")
          slice = try message.withFields { try TensorSlice($0) }
        }
      }
      variables[name]?.places[slice] = place
    }
  }

  private func load(_ variable: Variable, _ part: TensorSlice) throws -> Tensor {
    guard let place = variable.places[part], let ranges = part.ranges(in: variable.shape) else {
      throw KilnError(.badInput, "a part of the variable is missing")
    }
    let value = tables[place.table].entries[place.entry].value
    return try SavedSliceValues.tensor(value.bytes, variable.type, ranges.map(\.count))
  }
}

/// Reads the values of one entry: SavedTensorSlices.data.data, a TensorProto without dtype and shape.
enum SavedSliceValues {
  static func tensor(_ bytes: UnsafeRawBufferPointer, _ type: TFDataType, _ shape: Shape) throws -> Tensor {
    guard let dtype = type.dtype else { throw KilnError(.unsupportedModel, "a variable of type \(type.name) is not supported") }
    guard let count = checkedProduct(shape), count <= max(bytes.count, 1) else {
      throw KilnError(.badInput, "declares \(type.name)\(shape.shapeText) in \(bytes.count) bytes")
    }
    var proto = WireReader(bytes)
    for field in [2, 3] as [UInt32] { proto = WireReader(bytes, try message(field, proto)) }
    var floats: [Double] = []
    var integers: [Int64] = []
    var texts: [ByteString] = []
    while !proto.isAtEnd {
      let (number, wire) = try proto.tag()
      let payload = try proto.payload(wire: wire)
      if number == 4, wire == 2, !payload.isEmpty {
        guard let element = type.storedBytes, checkedProduct(shape + [element]) == payload.count else { throw wrong(payload.count, type, shape) }
        let copy = try MappedFile(path: "", contents: Array(bytes[payload]))
        return try StoredElements.tensor(copy.bytes, type, shape, owner: copy)
      }
      guard number == field(of: type) else { continue }
      if type == .string {
        texts.append(ByteString(bytes[payload]))
        continue
      }
      var values = WireReader(bytes, payload)
      while !values.isAtEnd {
        guard floats.count + integers.count < count else { throw wrong(count + 1, type, shape) }
        switch type.number {
        case 1: floats.append(Double(bytes.loadUnaligned(fromByteOffset: try values.take(4).lowerBound, as: Float.self)))
        case 2: floats.append(bytes.loadUnaligned(fromByteOffset: try values.take(8).lowerBound, as: Double.self))
        case 14: floats.append(Double(HalfPrecision.float(bfloat16Bits: UInt16(truncatingIfNeeded: try values.varint()))))
        case 19: floats.append(HalfPrecision.double(float16Bits: UInt16(truncatingIfNeeded: try values.varint())))
        default: integers.append(Int64(truncatingIfNeeded: try values.varint()))
        }
      }
    }
    if type == .string {
      guard texts.count == count else { throw wrong(texts.count, type, shape) }
      return Tensor(strings: texts, shape: shape)
    }
    guard floats.count + integers.count == count else { throw wrong(floats.count + integers.count, type, shape) }
    return dtype.isFloat
      ? try Tensor(converting: floats, to: dtype, shape: shape) : try Tensor(integers: integers, dtype: dtype, shape: shape)
  }

  private static func wrong(_ count: Int, _ type: TFDataType, _ shape: Shape) -> KilnError {
    KilnError(.badInput, "stores \(count) values for \(type.name)\(shape.shapeText)")
  }

  private static func message(_ wanted: UInt32, _ reader: WireReader) throws -> Range<Int> {
    var reader = reader
    var found: Range<Int>?
    while !reader.isAtEnd {
      let (number, wire) = try reader.tag()
      let payload = try reader.payload(wire: wire)
      if number == wanted, wire == 2 { found = payload }
    }
    guard let found else { throw KilnError(.badInput, "an entry of the checkpoint holds no tensor") }
    return found
  }

  /// The number of the field of TensorProto that has values of this type.
  private static func field(of type: TFDataType) -> UInt32 {
    switch type.number {
    case 1: 5
    case 2: 6
    case 7: 8
    case 9: 10
    case 10: 11
    case 14, 19: 13
    case 22: 16
    case 23: 17
    default: 7
    }
  }
}
