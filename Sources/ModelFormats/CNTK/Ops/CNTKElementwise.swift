import GraphModule
import TensorModule

extension CNTKOpCatalog {
  private static func unary(_ op: String, _ function: ScalarFunction) -> Row { Row(like: op) { try $0.unary(function, $1) } }
  private static func binary(_ op: String, _ function: ScalarFunction) -> Row { Row(broadcast: op, 2) { try $0.binary(function, $1[0], $1[1]) } }
  private static func same(_ op: String) -> Row { Row(op) { call in [try call.value(0)] } }

  static let elementwise = Family(
    "Elementwise",
    [
      unary("Negate", .neg), unary("Sigmoid", .sigmoid), unary("StableSigmoid", .sigmoid), unary("Tanh", .tanh), unary("ReLU", .relu), unary("Exp", .exp),
      unary("Floor", .floor), unary("Abs", .abs), unary("Sin", .sin), unary("Cos", .cos), unary("Tan", .tan), unary("Sinh", .sinh), unary("Cosh", .cosh),
      unary("Asin", .asin), unary("Acos", .acos), unary("Atan", .atan), unary("Asinh", .asinh), unary("Atanh", .atanh),
      Row(like: "Log") { try $0.logarithm($1) },
      Row(like: "Sqrt") { try $0.unary(.sqrt, try $0.unary(.relu, $1)) },
      Row(like: "Reciprocal") { try $0.reciprocal($1) },
      Row(like: "ELU") { call, x in try call.unary(.elu, x, [try call.float("alpha", 1)]) },
      Row(like: "StraightThrough") { call, x in
        let dtype = call.type(x).dtype
        return try call.select(try call.binary(.greater, x, try call.scalar(0, dtype)), try call.scalar(1, dtype), try call.scalar(-1, dtype))
      },
      same("Pass"), same("NoOp"), same("StopGradient"), same("Dropout"),
      Row(like: "Cast") { call, x in
        let number = try call.int("newDataType")
        guard let dtype = CNTKArray.dtype(number) else { throw call.unsupported("the data type \(CNTKArray.typeName(number))") }
        return try call.cast(x, dtype)
      },
      binary("Plus", .add), binary("Minus", .sub), binary("ElementTimes", .mul),
      Row(broadcast: "Pow", 2) { try $0.power($1[0], $1[1]) },
      Row(broadcast: "LogPlus", 2) { call, values in
        // max + log(1 + e^-|a - b|)
        let gap = try call.unary(.neg, try call.unary(.abs, try call.binary(.sub, values[0], values[1])))
        return try call.binary(.add, try call.binary(.max, values[0], values[1]), try call.unary(.log1p, try call.unary(.exp, gap)))
      },
      Row(broadcast: "Clip", 3) { try $0.clipped($1[0], $1[1], $1[2]) },
    ])

  private static func comparison(_ op: String, _ function: ScalarFunction) -> Row {
    Row(broadcast: op, 2) { call, values in try call.cast(try call.binary(function, values[0], values[1]), call.type(values[0]).dtype) }
  }

  static let comparisons = Family(
    "Comparisons and choices",
    [
      comparison("Equal", .equal), comparison("NotEqual", .notEqual), comparison("Less", .less), comparison("LessEqual", .lessEqual),
      comparison("Greater", .greater), comparison("GreaterEqual", .greaterEqual),
      Row(broadcast: "Select", 3) { call, values in
        let isTrue = try call.binary(.notEqual, values[0], try call.scalar(0, call.type(values[0]).dtype))
        return try call.select(isTrue, values[1], values[2])
      },
    ])
}

extension CNTKCall {
  /// Whether a value is a sum of exponentials of which the greatest is 1.
  private func isSoftmaxSum(_ x: ValueID) -> Bool {
    guard let sum = builder.producer(of: x), (sum.op as? Reduce)?.kind == .sum, let exp = builder.producer(of: sum.inputs[0]),
      (exp.op as? Elementwise)?.function == .exp, let minus = builder.producer(of: exp.inputs[0]), (minus.op as? Elementwise)?.function == .sub,
      let top = builder.producer(of: minus.inputs[1]), let reduce = top.op as? Reduce
    else { return false }
    return reduce.kind == .max && top.inputs[0] == minus.inputs[0] && reduce.axes == (sum.op as? Reduce)?.axes
  }

  /// Whether every element of a constant is greater than 1e-30.
  private func isPositive(_ x: ValueID) -> Bool {
    guard let tensor = builder.evaluate(x), tensor.dtype.isFloat else { return false }
    return tensor.doubles.allSatisfy { $0 > 1e-30 }
  }

  /// CNTK's logarithm: what is below 1e-37 gives -85.1.
  func logarithm(_ x: ValueID) throws -> ValueID {
    let plain = try unary(.log, x)
    if isSoftmaxSum(x) || isPositive(x) { return plain }
    let dtype = type(x).dtype
    return try select(try binary(.less, x, try scalar(1e-37, dtype)), try scalar(Double(Float(-85.1)), dtype), plain)
  }

  /// CNTK's reciprocal: that of 0 is 0.
  func reciprocal(_ x: ValueID) throws -> ValueID {
    let plain = try unary(.reciprocal, x)
    if isSoftmaxSum(x) || isPositive(x) { return plain }
    let zero = try scalar(0, type(x).dtype)
    return try select(try binary(.equal, x, zero), zero, plain)
  }

  /// What is below the lower bound becomes that, also where it lies above the upper one.
  func clipped(_ x: ValueID, _ low: ValueID, _ high: ValueID) throws -> ValueID {
    if let a = builder.evaluate(low), let b = builder.evaluate(high), let most = a.doubles.max(), let least = b.doubles.min(), most <= least {
      return try binary(.min, try binary(.max, x, low), high)
    }
    return try select(try binary(.less, x, low), low, try binary(.min, x, high))
  }

  /// CNTK's power: 0 to a negative power is 0.
  func power(_ base: ValueID, _ exponent: ValueID) throws -> ValueID {
    let plain = try binary(.pow, base, exponent)
    if let known = builder.evaluate(exponent), known.doubles.allSatisfy({ $0 >= 0 }) { return plain }
    let zero = try scalar(0, type(base).dtype)
    let isPole = try binary(.and, try binary(.equal, base, zero), try binary(.less, exponent, zero))
    return try select(isPole, zero, plain)
  }
}
