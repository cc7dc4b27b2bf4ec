import GraphModule
import TensorModule

extension ONNXOpCatalog {
  private static let unary: [(String, ScalarFunction)] = [
    ("Abs", .abs), ("Acos", .acos), ("Acosh", .acosh), ("Asin", .asin), ("Asinh", .asinh), ("Atan", .atan), ("Atanh", .atanh), ("Ceil", .ceil),
    ("Cos", .cos), ("Cosh", .cosh), ("Erf", .erf), ("Exp", .exp), ("Floor", .floor), ("HardSwish", .hardSwish), ("Log", .log), ("Mish", .mish),
    ("Neg", .neg), ("Reciprocal", .reciprocal), ("Relu", .relu), ("Round", .round), ("Sigmoid", .sigmoid), ("Sign", .sign), ("Sin", .sin),
    ("Sinh", .sinh), ("Softplus", .softplus), ("Softsign", .softsign), ("Sqrt", .sqrt), ("Tan", .tan), ("Tanh", .tanh),
  ]

  static let elementwise = Family(
    "Elementwise",
    unary.map { op, function in Row(like: 0, op) { [try $0.unary(function, try $0.x(0))] } } + [
      Row("Elu") { [try $0.unary(.elu, try $0.x(0), [try $0.float("alpha", 1)])] },
      Row("Celu") { [try $0.unary(.celu, try $0.x(0), [try $0.float("alpha", 1)])] },
      Row("Selu") { call in
        guard call.has("alpha") || call.has("gamma") else { return [try call.unary(.selu, try call.x(0))] }
        let alpha = try call.float("alpha", 1.67326319217681884765625), gamma = try call.float("gamma", 1.05070102214813232421875)
        return [try call.unary(.affine, try call.unary(.elu, try call.x(0), [alpha]), [gamma, 0])]
      },
      Row("LeakyRelu") { [try $0.unary(.leakyRelu, try $0.x(0), [try $0.float("alpha", 0.01)])] },
      Row("HardSigmoid") { [try $0.unary(.hardSigmoid, try $0.x(0), [try $0.float("alpha", 0.2), try $0.float("beta", 0.5)])] },
      Row("ThresholdedRelu") { [try $0.unary(.threshold, try $0.x(0), [try $0.float("alpha", 1), 0])] },
      Row("Shrink") { call in
        let x = try call.x(0), dtype = call.type(x).dtype
        let (limit, bias) = (try call.float("lambd", 0.5), try call.float("bias", 0))
        let wide = dtype.isFloat ? x : try call.cast(x, .float32)
        if bias == 0 { return [try call.cast(try call.unary(.hardShrink, wide, [limit]), dtype)] }
        if bias == limit { return [try call.cast(try call.unary(.softShrink, wide, [limit]), dtype)] }
        let type = call.type(wide).dtype
        let above = try call.binary(.greater, wide, try call.scalar(limit, type)), below = try call.binary(.less, wide, try call.scalar(-limit, type))
        let low = try call.select(below, try call.unary(.affine, wide, [1, bias]), try call.scalar(0, type))
        return [try call.cast(try call.select(above, try call.unary(.affine, wide, [1, -bias]), low), dtype)]
      },
      Row("Gelu", since: 20) { call in
        switch try call.text("approximate", "none") {
        case "none": return [try call.unary(.gelu, try call.x(0))]
        case "tanh": return [try call.unary(.geluTanh, try call.x(0))]
        case let name: throw call.unsupported("the approximation \(KilnError.quoted(name))")
        }
      },
      Row("Swish", since: 24) { [try swish($0, try $0.x(0), try $0.float("alpha", 1))] },
      Row("PRelu", since: 7) { call in
        let (x, slope) = (try call.x(0), try call.x(1))
        if call.type(x).dtype.isFloat { return [try call.binary(.prelu, x, slope)] }
        let below = try call.binary(.less, x, try call.scalar(0, call.type(x).dtype))
        return [try call.select(below, try call.binary(.mul, x, slope), x)]
      },
      Row(like: 0, "Clip", since: 6) { call in
        let x = try call.x(0), dtype = call.type(x).dtype
        func bound(_ key: String, _ index: Int, _ open: Double) throws -> Double? {
          if call.has(key) { return try call.float(key) }
          return call.has(index) ? try call.input(index).evaluated?.doubles.first : open
        }
        let (least, most) = (try bound("min", 1, -.infinity), try bound("max", 2, .infinity))
        let limit = 0x1p50
        if let low = least, let high = most, low <= high, dtype.isFloat || (low.magnitude < limit && high.magnitude < limit) {
          return low == -.infinity && high == .infinity ? [x] : [try call.unary(.clip, x, [low, high])]
        }
        var result = x
        if call.has(1) { result = try call.binary(.max, result, try call.x(1)) } else if call.has("min") {
          result = try call.binary(.max, result, try call.scalar(try call.float("min"), dtype))
        }
        if call.has(2) { result = try call.binary(.min, result, try call.x(2)) } else if call.has("max") {
          result = try call.binary(.min, result, try call.scalar(try call.float("max"), dtype))
        }
        return [result]
      },
      Row(like: 0, "Add", since: 7) { [try $0.binary(.add, try $0.x(0), try $0.x(1))] },
      Row(like: 0, "Sub", since: 7) { [try $0.binary(.sub, try $0.x(0), try $0.x(1))] },
      Row(like: 0, "Mul", since: 7) { [try $0.binary(.mul, try $0.x(0), try $0.x(1))] },
      Row(like: 0, "Div", since: 7) { [try $0.quotient(try $0.x(0), try $0.x(1))] },
      Row(like: 0, "Mod", since: 10) { call in
        [try call.binary(try call.bool("fmod") ? .rem : .mod, try call.x(0), try call.x(1))]
      },
      Row(like: 0, "Pow", since: 7) { call in
        let (x, y) = (try call.x(0), try call.x(1))
        let dtype = call.type(x).dtype
        if dtype.isFloat || !call.type(y).dtype.isFloat { return [try call.binary(.pow, x, try call.cast(y, dtype))] }
        return [try call.cast(try call.binary(.pow, try call.cast(x, .float64), try call.cast(y, .float64)), dtype)]
      },
      Row(like: 0, "Sum", since: 8) { [try folded($0, .add)] },
      Row(like: 0, "Max", since: 8) { [try folded($0, .max)] },
      Row(like: 0, "Min", since: 8) { [try folded($0, .min)] },
      Row(like: 0, "Mean", since: 8) { call in
        let sum = try folded(call, .add)
        return [try call.quotient(sum, try call.scalar(Double(call.inputs.count), call.type(sum).dtype))]
      },
      Row(like: 0, "BitwiseAnd", since: 18) { [try $0.binary(.bitAnd, try $0.x(0), try $0.x(1))] },
      Row(like: 0, "BitwiseOr", since: 18) { [try $0.binary(.bitOr, try $0.x(0), try $0.x(1))] },
      Row(like: 0, "BitwiseXor", since: 18) { [try $0.binary(.bitXor, try $0.x(0), try $0.x(1))] },
      Row(like: 0, "BitwiseNot", since: 18) { [try $0.unary(.bitNot, try $0.x(0))] },
      Row(like: 0, "BitShift", since: 11) { [try shifted($0)] },
      Row(like: 0, "Dropout", since: 7) { call in
        if call.has(2), try call.number(2, "a training mode") != 0, try !call.has(1) || call.number(1, "a ratio") != 0 {
          throw call.unsupported("dropout while training")
        }
        let x = try call.x(0)
        return [x, try call.broadcast(try call.scalar(1, .bool), call.type(x).dims)]
      },
    ])

  /// Shifts by less than nothing, or by all bits, leave the sign alone.
  private static func shifted(_ call: ONNXCall) throws -> ValueID {
    let (x, y) = (try call.x(0), try call.x(1)), element = try call.element(0)
    let dtype = call.type(x).dtype, bits = element.storedBits ?? 64
    let isLeft = try call.text("direction") == "LEFT"
    let isUnsigned = [.uint16, .uint32, .uint64].contains(element) || dtype == .uint8
    let amount = try call.unary(.clip, y, [0, Double(bits - 1)])
    let zero = try call.scalar(0, dtype)
    var result: ValueID
    if isLeft { result = try call.binary(.shiftLeft, x, amount) } else if element == .uint64 {
      // The first step takes the sign away.
      let mask = try call.constant(Tensor([Int64.max], shape: []), "mask")
      let half = try call.binary(.bitAnd, try call.binary(.shiftRight, x, try call.scalar(1, dtype)), mask)
      let rest = try call.binary(.shiftRight, half, try call.unary(.clip, try call.unary(.affine, amount, [1, -1]), [0, 63]))
      result = try call.select(try call.binary(.equal, amount, zero), x, rest)
    } else {
      result = try call.binary(.shiftRight, x, amount)
    }
    if let known = try call.input(1).evaluated?.integers, known.allSatisfy({ (0..<Int64(bits)).contains($0) }) { return result }
    let inside = try call.binary(.equal, amount, y)
    let sign = isLeft || isUnsigned ? zero : try call.binary(.shiftRight, x, try call.scalar(Double(bits - 1), dtype))
    result = try call.select(inside, result, sign)
    return result
  }

  /// x · σ(α · x).
  static func swish(_ call: ONNXCall, _ x: ValueID, _ alpha: Double) throws -> ValueID {
    if alpha == 1 { return try call.unary(.silu, x) }
    return try call.binary(.mul, x, try call.unary(.sigmoid, try call.unary(.affine, x, [alpha, 0])))
  }

  private static func folded(_ call: ONNXCall, _ function: ScalarFunction) throws -> ValueID {
    let operands = try call.all()
    guard let first = operands.first else { throw call.wrong("has no inputs") }
    return try operands.dropFirst().reduce(first) { try call.binary(function, $0, $1) }
  }
}

extension ONNXCall {
  /// x / y; of integers truncated.
  func quotient(_ x: ValueID, _ y: ValueID) throws -> ValueID {
    if type(x).dtype.isFloat { return try binary(.div, x, y) }
    let rest = try binary(.rem, x, y)
    return try binary(.floorDiv, try binary(.sub, x, rest), y)
  }
}
