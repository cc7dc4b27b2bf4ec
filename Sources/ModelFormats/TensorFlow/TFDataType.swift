import CGraphSchemas
import TensorModule

/// A dtype as TensorFlow numbers it (`DT_FLOAT` is 1); a reference type counts as its base.
struct TFDataType: Hashable, Sendable {
  let number: Int

  init(_ number: Int) { self.number = (101...130).contains(number) ? number - 100 : number }
  init(_ type: Tf__DataType) { self.init(Int(type.rawValue)) }

  static let string = TFDataType(7)
  static let resource = TFDataType(20)
  static let variant = TFDataType(21)

  /// The dtype that values of this type have in a graph; quantized integers are plain ones, and unsigned 16 and 32-bit
  /// integers have the next wider signed type.
  ///
  /// Nil for types without one: complex numbers, resources, variants.
  var dtype: DType? {
    switch number {
    case 1: .float32
    case 2: .float64
    case 3, 13, 16, 17: .int32
    case 4, 12: .uint8
    case 5, 15: .int16
    case 6, 11: .int8
    case 7: .string
    case 9, 22: .int64
    case 10: .bool
    case 14: .bfloat16
    case 19: .float16
    default: nil
    }
  }

  /// The type that values of a graph's dtype have in TensorFlow.
  init?(_ dtype: DType) {
    let numbers = [1, 2, 3, 4, 5, 6, 7, 9, 10, 14, 19]
    guard let number = numbers.first(where: { TFDataType($0).dtype == dtype }) else { return nil }
    self.init(number)
  }

  /// TensorFlow's name: `float`, `int32`, `complex64`.
  var name: String {
    let names = [
      "invalid", "float", "double", "int32", "uint8", "int16", "int8", "string", "complex64", "int64", "bool", "qint8",
      "quint8", "qint32", "bfloat16", "qint16", "quint16", "uint16", "complex128", "half", "resource", "variant",
      "uint32", "uint64",
    ]
    return names.indices.contains(number) ? names[number] : "dtype \(number)"
  }

  /// Bytes of one element in `tensor_content` and in checkpoints; nil for types without a fixed size.
  var storedBytes: Int? {
    switch number {
    case 4, 6, 10, 11, 12: 1
    case 5, 14, 15, 16, 17, 19: 2
    case 1, 3, 13, 22: 4
    case 2, 8, 9, 23: 8
    case 18: 16
    default: nil
    }
  }
}
