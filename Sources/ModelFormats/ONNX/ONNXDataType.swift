import TensorModule

/// An element type as ONNX numbers it (`FLOAT` is 1).
struct ONNXDataType: Hashable, Sendable {
  let number: Int

  init(_ number: Int) { self.number = number }

  /// The type that a dtype of the graph has by itself.
  init(_ dtype: DType) {
    number =
      switch dtype {
      case .float32: 1
      case .uint8: 2
      case .int8: 3
      case .int16: 5
      case .int32: 6
      case .int64: 7
      case .string: 8
      case .bool: 9
      case .float16: 10
      case .float64: 11
      case .bfloat16: 16
      }
  }

  static let uint16 = ONNXDataType(4)
  static let string = ONNXDataType(8)
  static let uint32 = ONNXDataType(12)
  static let uint64 = ONNXDataType(13)

  /// The dtype that values of this type have in a graph: unsigned 16 and 32-bit integers the next wider signed one, integers of
  /// 2 and 4 bits int8 and uint8, floats of 4 and 8 bits float32.
  ///
  /// Nil for types without one: complex numbers.
  var dtype: DType? {
    switch number {
    case 1, 17, 18, 19, 20, 23, 24: .float32
    case 2, 21, 25: .uint8
    case 3, 22, 26: .int8
    case 4, 6: .int32
    case 5: .int16
    case 7, 12, 13: .int64
    case 8: .string
    case 9: .bool
    case 10: .float16
    case 11: .float64
    case 16: .bfloat16
    default: nil
    }
  }

  /// ONNX's name, in lower case: `float`, `uint16`, `float8e4m3fn`.
  var name: String {
    let names = [
      "undefined", "float", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool", "float16", "double", "uint32",
      "uint64", "complex64", "complex128", "bfloat16", "float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "uint4",
      "int4", "float4e2m1", "float8e8m0", "uint2", "int2",
    ]
    return names.indices.contains(number) ? names[number] : "type \(number)"
  }

  /// Bits of one element in `raw_data`; nil for strings and unknown types.
  var storedBits: Int? {
    switch number {
    case 25, 26: 2
    case 21, 22, 23: 4
    case 2, 3, 9, 17, 18, 19, 20, 24: 8
    case 4, 5, 10, 16: 16
    case 1, 6, 12: 32
    case 7, 11, 13, 14: 64
    case 15: 128
    default: nil
    }
  }

  /// The integers that an integer type holds.
  var integerRange: ClosedRange<Int64>? {
    switch number {
    case 4: 0...65535
    case 12: 0...4_294_967_295
    case 13: Int64.min...Int64.max
    case 21: 0...15
    case 22: -8...7
    case 25: 0...3
    case 26: -2...1
    default: dtype.flatMap { $0.isInteger ? $0.integerRange : nil }
    }
  }

  /// Whether it is wider in a graph than in ONNX, so that results must be brought back to its range.
  var isWidened: Bool { [4, 12, 21, 22, 25, 26].contains(number) }

  /// The small float, for the types of 4 and 8 bits.
  var smallFloat: SmallFloat? { SmallFloat(number) }
}
