/// The element type of a tensor. Raw values are the numbers that the C kernels use (`kiln_dtype`).
public enum DType: UInt8, Sendable, Hashable, CaseIterable {
  case float32 = 0, float64, float16, bfloat16, int8, int16, int32, int64, uint8, bool, string

  /// The name used in the text form, in messages and in JSON: `float32`, `int64`, …
  public var name: String { "\(self)" }

  /// The dtype of that name, or nil.
  public init?(name: some StringProtocol) {
    guard let found = DType.allCases.first(where: { $0.name == name }) else { return nil }
    self = found
  }

  /// Bytes of one element; 0 for strings, which have no fixed size.
  public var byteCount: Int {
    switch self {
    case .float64, .int64: 8
    case .float32, .int32: 4
    case .float16, .bfloat16, .int16: 2
    case .int8, .uint8, .bool: 1
    case .string: 0
    }
  }

  public var isFloat: Bool {
    switch self {
    case .float32, .float64, .float16, .bfloat16: true
    default: false
    }
  }

  public var isInteger: Bool {
    switch self {
    case .int8, .int16, .int32, .int64, .uint8: true
    default: false
    }
  }

  /// The closed range of values of an integer dtype (`bool` is 0…1), or nil for floats and strings.
  public var integerRange: ClosedRange<Int64>? {
    switch self {
    case .int8: -128...127
    case .int16: -32768...32767
    case .int32: Int64(Int32.min)...Int64(Int32.max)
    case .int64: Int64.min...Int64.max
    case .uint8: 0...255
    case .bool: 0...1
    default: nil
    }
  }
}
