import GraphModule
import TensorModule

extension TFOpCatalog {
  /// Bits of integers, and values under other dtypes.
  static let bits = Family(
    "Bits and casts",
    [
      "BitwiseAnd": { [try $0.binary(.bitAnd, try $0.x(0), try $0.x(1))] },
      "BitwiseOr": { [try $0.binary(.bitOr, try $0.x(0), try $0.x(1))] },
      "BitwiseXor": { [try $0.binary(.bitXor, try $0.x(0), try $0.x(1))] },
      "Invert": { [try $0.unary(.bitNot, try $0.x(0))] },
      "LeftShift": { [try shifted($0, .shiftLeft)] },
      "RightShift": { [try shifted($0, .shiftRight)] },
      "PopulationCount": { call in
        // Bit by bit, of at most 64.
        let x = try call.cast(try call.x(0), .int64)
        let width = try width(call)
        let places = try call.numbers((0..<width).map(Double.init), [width], .int64, "places")
        let rank = call.type(x).rank
        guard rank < maximumRank else { throw call.unsupported("so many axes") }
        let bit = try call.binary(.bitAnd, try call.binary(.shiftRight, try call.expand(x, rank), places), try call.scalar(1, .int64))
        return [try call.cast(try call.reduce(.sum, bit, [rank]), .uint8)]
      },
      "Bitcast": { call in
        guard let from = try call.dataType("T"), let to = try call.dataType("type"), let target = to.dtype,
          let source = from.carried, let result = to.carried
        else { throw call.unsupported("reading the bits of \(try call.dataType("T")?.name ?? "") as \(try call.dataType("type")?.name ?? "")") }
        // Unsigned numbers in a wider carrier go through the signed type of their width.
        let x = try call.cast(try call.x(0), source)
        return [try call.cast(source == result ? x : try call.add(Bitcast(result), [x], "bitcast"), target)]
      },
    ],
    values: [
      "Cast": { call in
        guard let type = try call.dataType("DstT") else { throw call.wrong("attribute 'DstT' is missing") }
        if let part = type.complexPart {
          let x = try call.cast(try call.x(0), part)
          return [try call.complex((x, try call.broadcast(try call.scalar(0, part), call.type(x).dims)))]
        }
        guard let dtype = type.dtype else { throw call.unsupported("a cast to \(type.name)") }
        return call.values([try converted(call, try call.x(0), dtype, type)])
      },
    ])

  private static func width(_ call: TFCall) throws -> Int {
    if let type = try call.dataType("T"), let bytes = type.storedBytes { return bytes * 8 }
    return try call.input(0).type.dtype.byteCount * 8
  }

  /// TensorFlow brings the amount into the width of the type.
  private static func shifted(_ call: TFCall, _ function: ScalarFunction) throws -> ValueID {
    let amount = try call.unary(.clip, try call.x(1), [0, Double(try width(call) - 1)])
    return try call.binary(function, try call.x(0), amount)
  }

  // MARK: Casts

  /// TensorFlow's conversions: floats outside the range of an integer type become what x86 processors make of them, the
  /// lowest 32 or 64-bit number, of which narrower types keep the low bits.
  static func converted(_ call: TFCall, _ value: ValueID, _ dtype: DType, _ type: TFDataType) throws -> ValueID {
    var x = value
    let from = call.type(x).dtype
    if from == dtype { return x }
    if from.isFloat, dtype.isFloat {
      if try call.bool("Truncate") { x = try withoutLowBits(call, x, dtype) }
      return try call.cast(x, dtype)
    }
    guard from.isFloat, dtype.isInteger else { return try call.cast(x, dtype) }
    if from == .float16 || from == .bfloat16 { x = try call.cast(x, .float32) }
    let wide: DType = dtype == .int64 || type.unsignedBits == 32 ? .int64 : .int32
    let limit = wide == .int64 ? 0x1p63 : 0x1p31
    let float = call.type(x).dtype
    let inside = try call.binary(
      .and, try call.binary(.greaterEqual, x, try call.scalar(-limit, float)), try call.binary(.less, x, try call.scalar(limit, float)))
    let lowest = call.constant(try Tensor(integers: [wide.integerRange?.lowerBound ?? 0], dtype: wide, shape: []), "lowest")
    return try call.cast(try call.select(inside, try call.cast(x, wide), lowest), dtype)
  }

  /// The number toward zero that a narrower type holds: the bits of the significand that it lacks are cleared.
  private static func withoutLowBits(_ call: TFCall, _ x: ValueID, _ dtype: DType) throws -> ValueID {
    let digits: [DType: Int] = [.float64: 52, .float32: 23, .float16: 10, .bfloat16: 7]
    let from = call.type(x).dtype
    guard let have = digits[from], let keep = digits[dtype], from.byteCount >= 4 else { throw call.unsupported("a truncating cast from \(from.name)") }
    // Between these two TensorFlow rounds.
    guard keep < have, from != .float64 || dtype != .bfloat16 else { return x }
    let integer: DType = from == .float64 ? .int64 : .int32
    let mask = call.constant(try Tensor(integers: [-1 << Int64(have - keep)], dtype: integer, shape: []), "mask")
    let bits = try call.binary(.bitAnd, try call.add(Bitcast(integer), [x], "bits"), mask)
    return try call.add(Bitcast(from), [bits], "truncated")
  }
}

extension TFDataType {
  /// The dtype of the graph that has the type's bits; nil for types that only a wider dtype could hold.
  fileprivate var carried: DType? {
    switch number {
    case 16, 17: .int16
    case 22: .int32
    case 7, 10: nil
    default: storedBytes == dtype?.byteCount ? dtype : nil
    }
  }
}
