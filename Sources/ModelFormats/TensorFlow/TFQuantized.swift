import GraphModule
import TensorModule

/// Quantized integers with the range that they stand for.
struct TFQuantized {
  let value: ValueID
  let low: ValueID
  let high: ValueID
  let range: ClosedRange<Int64>

  init(_ call: TFCall, _ value: Int, _ low: Int, _ high: Int, _ key: String) throws {
    try self.init(try call.x(value), try call.number32(low), try call.number32(high), try call.quantizedType(key))
  }

  /// - Parameter low, high: scalars, or what broadcasts with the value.
  init(_ value: ValueID, _ low: ValueID, _ high: ValueID, _ type: TFDataType) throws {
    guard let range = type.quantizedRange else { throw KilnError(.unsupportedModel, "dtype \(type.name) is not supported here") }
    (self.value, self.low, self.high, self.range) = (value, low, high, range)
  }

  private static func width(_ call: TFCall, _ low: ValueID, _ high: ValueID) throws -> ValueID {
    try call.cast(try call.binary(.sub, high, low), .float64)
  }

  private static func steps(_ range: ClosedRange<Int64>) -> Double { Double(range.upperBound) - Double(range.lowerBound) }

  private static func awayFromZero(_ call: TFCall, _ x: ValueID) throws -> ValueID { try TFOpCatalog.rounded(call, x) }

  /// The number that stands for `float` (a scalar), clamped to the type, in double precision.
  func number(_ call: TFCall, _ float: ValueID) throws -> ValueID {
    try call.unary(.clip, try unclamped(call, float), [Double(range.lowerBound), Double(range.upperBound)])
  }

  /// The number that stands for `float`, which may lead out of the type.
  func unclamped(_ call: TFCall, _ float: ValueID) throws -> ValueID {
    let count = Self.steps(range) + 1
    // steps / (width · steps / (steps − 1)), in TensorFlow's order.
    let wide = try call.binary(.mul, try Self.width(call, low, high), try call.scalar(count / (count - 1), .float64))
    let scale = try call.folded(try call.binary(.div, try call.scalar(count, .float64), wide))
    func placed(_ x: ValueID) throws -> ValueID { try Self.awayFromZero(call, try call.binary(.mul, try call.cast(x, .float64), scale)) }
    let steps = try call.binary(.sub, try placed(float), try placed(low))
    let number = try call.unary(.affine, steps, [1, Double(range.lowerBound)])
    return try call.folded(try call.select(try call.binary(.equal, low, high), try call.scalar(Double(range.lowerBound), .float64), number))
  }

  /// The integers less the one that stands for 0, in double precision, which sums them exactly.
  func centred(_ call: TFCall) throws -> ValueID {
    try call.binary(.sub, try call.cast(value, .float64), try unclamped(call, try call.scalar(0, .float32)))
  }

  /// Whether what `centred` gives is 8-bit numbers from −510 to 510. Ranges that depend on the data hold 0 or begin near it.
  func isNarrow(_ call: TFCall) throws -> Bool {
    guard range.count == 256 else { return false }
    guard let zero = call.builder.evaluate(try unclamped(call, try call.scalar(0, .float32)))?.doubles.first else { return true }
    return zero - Double(range.lowerBound) >= -255 && zero - Double(range.lowerBound) <= 510
  }

  /// The floats that the integers stand for.
  func floats(_ call: TFCall) throws -> ValueID {
    let scale = try call.folded(
      try call.cast(try call.binary(.div, try Self.width(call, low, high), try call.scalar(Self.steps(range), .float64)), .float32))
    let same = try call.binary(.equal, low, high)
    let rounded = try call.binary(.mul, try Self.awayFromZero(call, try call.binary(.div, low, scale)), scale)
    let bottom = try call.select(same, low, rounded)
    let lowest = try call.scalar(Double(range.lowerBound), .float32)
    let start = try call.folded(try call.binary(.sub, bottom, try call.binary(.mul, lowest, scale)))
    return try call.binary(.add, start, try call.binary(.mul, try call.cast(value, .float32), scale))
  }

  /// Floats as integers of a type, in single precision.
  static func quantized(_ call: TFCall, _ x: ValueID, _ low: ValueID, _ high: ValueID, _ type: TFDataType) throws -> ValueID {
    guard let range = type.quantizedRange, let dtype = type.dtype else { throw call.unsupported("this quantized dtype") }
    let fraction = try call.binary(.div, try call.scalar(steps(range), .float64), try width(call, low, high))
    let same = try call.binary(.equal, low, high)
    let scale = try call.folded(try call.select(same, try call.scalar(0, .float32), try call.cast(fraction, .float32)))
    let bottom = try awayFromZero(call, try call.binary(.mul, low, scale))
    let lowest = try call.scalar(Double(range.lowerBound), .float32)
    let steps = try awayFromZero(call, try call.binary(.mul, x, scale))
    let moved = try call.binary(.sub, steps, try call.folded(try call.binary(.sub, bottom, lowest)))
    let top = min(Double(range.upperBound), 2_147_483_520)
    return try call.cast(try call.unary(.clip, moved, [Double(range.lowerBound), top]), dtype)
  }

  /// The range of products, whose numbers are 32-bit.
  static func productRange(_ call: TFCall, _ a: TFQuantized, _ b: TFQuantized) throws -> [ValueID] {
    func level(_ x: TFQuantized) throws -> ValueID {
      try call.binary(.div, try call.binary(.sub, x.high, x.low), try call.scalar(steps(x.range), .float32))
    }
    let step = try call.binary(.mul, try level(a), try level(b))
    return try [-2_147_483_648, 2_147_483_648].map { try call.folded(try call.binary(.mul, step, try call.scalar($0, .float32))) }
  }

  /// The float that one integer, given in double precision, stands for, by arithmetic in double precision.
  func float(_ call: TFCall, _ integer: ValueID) throws -> ValueID {
    let count = Self.steps(range) + 1
    let wide = try call.binary(.mul, try Self.width(call, low, high), try call.scalar(count / (count - 1), .float64))
    let scale = try call.folded(try call.binary(.div, wide, try call.scalar(count, .float64)))
    let narrow = try call.cast(scale, .float32)
    let whole = try Self.awayFromZero(call, try call.binary(.div, low, narrow))
    let bottom = try call.folded(try call.cast(try call.binary(.mul, whole, narrow), .float64))
    let offset = try call.unary(.affine, integer, [1, -Double(range.lowerBound)])
    let found = try call.cast(try call.binary(.add, bottom, try call.binary(.mul, offset, scale)), .float32)
    return try call.folded(try call.select(try call.binary(.equal, low, high), low, found))
  }

  /// What the smallest (at most 0) and the largest of the integers stand for.
  func usedRange(_ call: TFCall) throws -> (low: ValueID, high: ValueID) {
    let axes = Array(0..<call.type(value).rank)
    func end(_ kind: Reduce.Kind) throws -> ValueID { try float(call, try call.cast(try call.reduce(kind, value, axes), .float64)) }
    return (try call.binary(.min, try end(.min), try call.scalar(0, .float32)), try end(.max))
  }

  /// The integers for another range and type.
  func requantized(_ call: TFCall, _ low: ValueID, _ high: ValueID, _ type: TFDataType) throws -> ValueID {
    guard type.number == 12, range.upperBound == Int64(Int32.max) else {
      return try Self.quantized(call, try floats(call), low, high, type)
    }
    // Fixed-point arithmetic with 16 bits after the point.
    func double(_ x: ValueID) throws -> ValueID { try call.cast(x, .float64) }
    func number(_ x: Double) throws -> ValueID { try call.scalar(x, .float64) }
    let outputRange = try call.binary(.sub, high, low)
    let empty = try call.binary(.equal, outputRange, try call.scalar(0, .float32))
    func orZero(_ x: ValueID) throws -> ValueID { try call.select(empty, try call.scalar(0, call.type(x).dtype), x) }
    let inputRange = try call.binary(.sub, self.high, self.low)
    let scale = try orZero(
      try call.binary(.div, try call.binary(.mul, try number(255 * 65536), try double(inputRange)), try double(outputRange)))
    let reciprocal = try orZero(try call.cast(try call.binary(.div, try number(255), try double(outputRange)), .float32))
    let middle = try call.cast(try call.unary(.affine, try double(try call.binary(.add, self.low, self.high)), [0.5, 0]), .float32)
    let inputOffset = try call.unary(.affine, try call.binary(.mul, middle, reciprocal), [65536, 0])
    let outputOffset = try orZero(
      try call.binary(.div, try call.unary(.affine, try double(low), [255 * 65536, 0]), try double(outputRange)))
    func integer(_ x: ValueID) throws -> ValueID { try call.cast(try call.unary(.trunc, x), .int64) }
    let offset = try call.binary(.sub, try integer(inputOffset), try integer(outputOffset))
    let product = try call.binary(.mul, try call.cast(value, .int64), try integer(scale))
    func shifted(_ x: ValueID, _ bits: Double) throws -> ValueID { try call.binary(.shiftRight, x, try call.scalar(bits, .int64)) }
    let fixed = try call.binary(.add, try shifted(product, 32), try call.binary(.add, offset, try call.scalar(32768, .int64)))
    let whole = try shifted(fixed, 16)
    let clipped = try call.binary(.max, try call.binary(.min, whole, try call.scalar(255, .int64)), try call.scalar(0, .int64))
    return try call.cast(clipped, .uint8)
  }
}
