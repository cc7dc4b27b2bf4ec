import CGraphSchemas
import TensorModule

/// Reads CNTK's dictionaries. `ProtobufSlimmer` has bounded how deep they are nested and how many values there are.
struct CNTKDictionaryReader {
  private let file: MappedFile
  /// Where the bytes of arrays go on that stand behind the message, of files that keep them apart.
  private var outside: CNTKOutsideArrays?

  /// Reads the dictionary that a file is.
  static func read(_ file: MappedFile) throws -> [String: CNTKAttribute] {
    var message = file.bytes
    var outside: CNTKOutsideArrays?
    if CNTKOutsideArrays.isMarked(file.bytes) {
      let head = try CNTKOutsideArrays.message(file.bytes)
      message = UnsafeRawBufferPointer(rebasing: file.bytes[head])
      outside = CNTKOutsideArrays(file, from: head.upperBound)
    }
    let parsed = try ParsedMessage<Cntk__Dictionary>(message, kiln_cntk_dictionary(), what: "CNTK dictionary")
    var reader = CNTKDictionaryReader(file: file, outside: outside)
    return try parsed.withFields { try reader.dictionary($0) }
  }

  private init(file: MappedFile, outside: CNTKOutsideArrays?) {
    self.file = file
    self.outside = outside
  }

  private mutating func dictionary(_ proto: Cntk__Dictionary) throws -> [String: CNTKAttribute] {
    var result: [String: CNTKAttribute] = [:]
    for entry in Repeated.messages(proto.data, proto.n_data) {
      let key = try Repeated.text(entry.pointee.key)
      guard key.utf8.count <= 1024 else { throw KilnError(.badInput, "a key has \(key.utf8.count) bytes; at most 1024 are allowed") }
      let value: CNTKAttribute
      do {
        if let proto = entry.pointee.value { value = try self.value(proto.pointee) } else { value = .none }
      } catch let error as KilnError {
        // The innermost key is enough.
        throw error.message.hasPrefix("'") ? error : KilnError(error.code, "\(KilnError.quoted(key)): \(error.message)")
      }
      guard result.updateValue(value, forKey: key) == nil else {
        throw KilnError(.badInput, "the key \(KilnError.quoted(key)) appears twice in a dictionary")
      }
    }
    return result
  }

  private mutating func value(_ proto: Cntk__DictionaryValue) throws -> CNTKAttribute {
    // A field that holds its type's default may be left out; one of another type must not be there.
    let expected = [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]
    let kind = Int(proto.value_type)
    guard (0...11).contains(kind) else { throw KilnError(.unsupportedModel, "a value of the unknown kind \(kind) is not supported") }
    if kind == 0 { return .none }
    let isPresent = Int(proto.value_case.rawValue) == expected[kind - 1]
    guard isPresent || proto.value_case.rawValue == 0 else { throw KilnError(.badInput, "a value says that it is of the kind \(kind) and is of another") }
    switch kind {
    case 1: return .bool(isPresent && proto.bool_value != 0)
    case 2: return .int(isPresent ? Int(proto.int_value) : 0)
    case 3: return .int(isPresent ? CNTKDictionaryReader.size(proto.size_t_value) : 0)
    case 4:
      let value = isPresent ? proto.float_value : 0
      // The shortest decimal that means this float: 0.1 stays 0.1.
      return .float(value.isFinite ? Double(value.description) ?? Double(value) : Double(value))
    case 5: return .float(isPresent ? proto.double_value : 0)
    case 6:
      let text = isPresent ? try Repeated.text(proto.string_value) : ""
      guard text.utf8.count <= 1 << 16 else { throw KilnError(.badInput, "a text has \(text.utf8.count) bytes; at most 65536 are allowed") }
      return .text(text)
    case 7: return .shape(try CNTKDictionaryReader.shape(isPresent ? proto.nd_shape_value : nil))
    case 8:
      guard isPresent, let axis = proto.axis_value?.pointee else { return .axis(CNTKAxis(index: 0, name: "", isOrdered: false)) }
      return .axis(CNTKAxis(index: Int(axis.static_axis_idx), name: try Repeated.text(axis.name), isOrdered: axis.is_ordered_dynamic_axis != 0))
    case 9:
      guard isPresent, let vector = proto.vector_value?.pointee else { return .list([]) }
      var items: [CNTKAttribute] = []
      for item in Repeated.messages(vector.value, vector.n_value) { items.append(try value(item.pointee)) }
      return .list(items)
    case 10:
      guard isPresent, let inner = proto.dictionary_value?.pointee else { return .dictionary([:]) }
      return .dictionary(try dictionary(inner))
    default:
      guard isPresent, let array = proto.nd_array_view_value?.pointee else { throw KilnError(.badInput, "an array is missing") }
      return .array(try self.array(array))
    }
  }

  /// A number without sign, of which the greatest stand for negative ones.
  private static func size(_ value: UInt64) -> Int { Int(Int64(bitPattern: value)) }

  private static func shape(_ proto: UnsafeMutablePointer<Cntk__NDShape>?) throws -> CNTKShape {
    guard let proto else { return CNTKShape(dims: []) }
    guard proto.pointee.n_shape_dim <= 64 else { throw KilnError(.badInput, "a shape has \(proto.pointee.n_shape_dim) dims") }
    let dims = Repeated.values(proto.pointee.shape_dim, proto.pointee.n_shape_dim).map { size($0) }
    guard dims.allSatisfy({ (-3...1 << 48).contains($0) }) else { throw KilnError(.badInput, "a shape has an impossible length") }
    return CNTKShape(dims: dims)
  }

  private mutating func array(_ proto: Cntk__NDArrayView) throws -> CNTKArray {
    let shape = try CNTKDictionaryReader.shape(proto.shape)
    let type = Int(proto.data_type)
    guard proto.storage_format == 0 else {
      throw KilnError(.unsupportedModel, "an array that is stored sparsely (format \(proto.storage_format)) is not supported")
    }
    if outside != nil {
      guard let dtype = CNTKArray.dtype(type) else {
        throw KilnError(.unsupportedModel, "the data type \(CNTKArray.typeName(type)) is not supported")
      }
      let fixed = try shape.fixed()
      guard let count = checkedProduct(fixed + [dtype.byteCount]) else { throw KilnError(.badInput, "has the impossible shape \(fixed.shapeText)") }
      guard let run = try outside?.next(count) else { throw KilnError(.internal, "an array has no place") }
      return CNTKArray(type: type, shape: shape, runs: [run], file: file)
    }
    func runs(_ start: UnsafeMutablePointer<UInt64>?, _ count: Int) throws -> [Range<Int>] { try ProtobufPlaces.ranges(start, count, file) }
    var found: [(types: [Int], runs: [Range<Int>], isVarint: Bool)] = []
    if let values = proto.float_values?.pointee { found.append(([1], try runs(values.value_at, values.n_value_at), false)) }
    if let values = proto.double_values?.pointee { found.append(([2], try runs(values.value_at, values.n_value_at), false)) }
    if let values = proto.bytes_value?.pointee { found.append(([5], try runs(values.value_at, values.n_value_at), false)) }
    if let values = proto.sint32_values?.pointee { found.append(([4, 5, 6], try runs(values.value_at, values.n_value_at), true)) }
    guard found.count <= 1 else { throw KilnError(.badInput, "an array has its values in two fields") }
    guard let only = found.first else { return CNTKArray(type: type, shape: shape, runs: [], file: file) }
    guard only.types.contains(type) else {
      throw KilnError(.badInput, "an array of the type \(CNTKArray.typeName(type)) has its values in a field that is not for it")
    }
    return CNTKArray(type: type, shape: shape, runs: only.runs, isVarint: only.isVarint, file: file)
  }
}

/// Arrays that stand behind the message, in the order in which it names them: CNTK's form of files over 2 GB.
struct CNTKOutsideArrays {
  static let headerLength = 8
  private static let mark: UInt32 = 0x636E_746B

  private let file: MappedFile
  private var position: Int

  init(_ file: MappedFile, from position: Int) {
    self.file = file
    self.position = position
  }

  static func isMarked(_ bytes: UnsafeRawBufferPointer) -> Bool {
    bytes.count >= headerLength && UInt32(littleEndian: bytes.loadUnaligned(as: UInt32.self)) == mark
  }

  /// The place of the message.
  static func message(_ bytes: UnsafeRawBufferPointer) throws -> Range<Int> {
    let length = Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
    guard length <= bytes.count - headerLength else {
      throw KilnError(.badInput, "its description has \(length) bytes, the file only \(bytes.count - headerLength) behind its head")
    }
    return headerLength..<headerLength + length
  }

  mutating func next(_ count: Int) throws -> Range<Int> {
    guard count <= file.bytes.count - position else {
      throw KilnError(.badInput, "an array needs \(count) bytes at byte \(position), where \(file.bytes.count - position) are left")
    }
    defer { position += count }
    return position..<position + count
  }
}
