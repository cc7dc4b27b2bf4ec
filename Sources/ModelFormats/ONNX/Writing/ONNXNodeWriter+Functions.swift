import GraphModule
import TensorModule

extension ONNXNodeWriter {
  /// A scalar function over operands of one dtype that broadcast (`select`: bool and two of the dtype).
  func function(_ function: ScalarFunction, _ p: [Double], _ x: [String], _ dtype: DType) throws -> String {
    if let reason = ONNXFunctions.refused[function] { throw unsupported("function '\(function.rawValue)' is not written: \(reason)") }
    if function == .select { return try select(x[0], x[1], x[2], dtype) }
    if dtype == .bool || dtype == .string { return try logical(function, x) }
    if !dtype.isFloat { return try integer(function, p, x, dtype) }
    if let op = ONNXFunctions.direct[function] { return emit(op, x)[0] }
    return try float(function, p, x, dtype)
  }

  private func logical(_ function: ScalarFunction, _ x: [String]) throws -> String {
    switch function {
    case .identity: x[0]
    case .not: one("Not", x[0])
    case .and, .min: one("And", x[0], x[1])
    case .or, .max: one("Or", x[0], x[1])
    case .xor: one("Xor", x[0], x[1])
    case .equal: one("Equal", x[0], x[1])
    case .notEqual: one("Not", one("Equal", x[0], x[1]))
    default: throw unsupported("function '\(function.rawValue)' of bool")
    }
  }

  /// Integers: those of 8 and 16 bits as int32, brought back at the end.
  private func integer(_ function: ScalarFunction, _ p: [Double], _ x: [String], _ dtype: DType) throws -> String {
    if function == .identity || [.floor, .ceil, .round, .trunc].contains(function) { return x[0] }
    let isShift = [.shiftLeft, .shiftRight].contains(function)
    let wide: DType = isShift || dtype == .int64 ? .int64 : function.isBitwise ? dtype : .int32
    if wide != dtype {
      let result = try wholeNumbers(function, p, x.map { cast($0, wide) }, wide)
      return function.isPredicate ? result : cast(result, dtype)
    }
    return try wholeNumbers(function, p, x, wide)
  }

  private func wholeNumbers(_ function: ScalarFunction, _ p: [Double], _ x: [String], _ dtype: DType) throws -> String {
    func number(_ value: Double) throws -> String { try scalar(value, dtype) }
    switch function {
    case .abs, .neg, .sign, .equal, .less, .lessEqual, .greater, .greaterEqual, .add, .sub, .mul, .max, .min, .pow:
      guard let op = ONNXFunctions.direct[function] else { throw unsupported("function '\(function.rawValue)' of integers") }
      return emit(op, x)[0]
    case .notEqual: return one("Not", one("Equal", x[0], x[1]))
    case .square: return one("Mul", x[0], x[0])
    case .squaredDifference:
      let difference = one("Sub", x[0], x[1])
      return one("Mul", difference, difference)
    case .relu: return one("Max", x[0], try number(0))
    case .clip:
      let range = dtype.integerRange ?? 0...0
      let (low, high) = (max(p[0], Double(range.lowerBound)), min(p[1], Double(range.upperBound)))
      guard low == low.rounded(), high == high.rounded(), high < 9e18 else { throw unsupported("clip of integers to \(p[0]) and \(p[1])") }
      return one("Min", one("Max", x[0], try number(low)), try number(high))
    case .affine where p[0] == p[0].rounded() && p[1] == p[1].rounded():
      return one("Add", one("Mul", x[0], try number(p[0])), try number(p[1]))
    case .mod, .rem, .floorDiv:
      // By 0 the graph's result is 0.
      let isZero = one("Equal", x[1], try number(0))
      let divisor = one("Where", isZero, try number(1), x[1])
      let rest = one("Mod", x[0], divisor, attributes: [("fmod", .int(function == .rem ? 1 : 0))])
      let value = function == .floorDiv ? one("Div", one("Sub", x[0], rest), divisor) : rest
      return one("Where", isZero, try number(0), value)
    case .bitAnd: return one("BitwiseAnd", x[0], x[1])
    case .bitOr: return one("BitwiseOr", x[0], x[1])
    case .bitXor: return one("BitwiseXor", x[0], x[1])
    case .bitNot: return one("BitwiseNot", x[0])
    case .shiftLeft: return one("Mul", x[0], one("Pow", try number(2), x[1]))
    case .shiftRight:
      let factor = one("Pow", try number(2), x[1])
      return one("Div", one("Sub", x[0], one("Mod", x[0], factor)), factor)
    default: throw unsupported("function '\(function.rawValue)' of integers")
    }
  }

  private func float(_ function: ScalarFunction, _ p: [Double], _ x: [String], _ dtype: DType) throws -> String {
    func n(_ value: Double) throws -> String { try scalar(value, dtype) }
    let a = x[0]
    switch function {
    case .identity: return a
    case .notEqual: return one("Not", one("Equal", a, x[1]))
    case .exp2: return one("Pow", try n(2), a)
    case .expm1: return one("Sub", one("Exp", a), try n(1))
    case .log1p: return one("Log", one("Add", a, try n(1)))
    case .log2: return one("Div", one("Log", a), try n(0.6931471805599453))
    case .log10: return one("Div", one("Log", a), try n(2.302585092994046))
    case .rsqrt: return one("Reciprocal", one("Sqrt", a))
    case .square: return one("Mul", a, a)
    case .trunc: return one("Mul", one("Sign", a), one("Floor", one("Abs", a)))
    case .erfc: return one("Sub", try n(1), one("Erf", a))
    case .isfinite: return one("Not", one("Or", one("IsNaN", a), one("IsInf", a)))
    case .silu: return one("Mul", a, one("Sigmoid", a))
    case .gelu: return one("Gelu", a)
    case .geluTanh: return one("Gelu", a, attributes: [("approximate", .text("tanh"))])
    case .mish: return one("Mul", a, one("Tanh", one("Softplus", a)))
    case .logSigmoid: return one("Neg", one("Softplus", one("Neg", a)))
    case .selu: return one("Selu", a, attributes: [("alpha", .float(1.6732632423543772)), ("gamma", .float(1.0507009873554805))])
    case .tanhShrink: return one("Sub", a, one("Tanh", a))
    case .sparsePlus:
      let shifted = one("Add", a, try n(1))
      let middle = one("Div", one("Mul", shifted, shifted), try n(4))
      return one("Where", one("LessOrEqual", a, try n(-1)), try n(0), one("Where", one("Less", a, try n(1)), middle, a))
    case .sparseSigmoid: return one("Clip", one("Mul", one("Add", a, try n(1)), try n(0.5)), try n(0), try n(1))
    case .clip:
      let (low, high) = (p[0] == -.infinity ? "" : try n(p[0]), p[1] == .infinity ? "" : try n(p[1]))
      return high.isEmpty ? low.isEmpty ? a : one("Clip", a, low) : one("Clip", a, low, high)
    case .leakyRelu: return one("LeakyRelu", a, attributes: [("alpha", .float(p[0]))])
    case .elu: return one("Elu", a, attributes: [("alpha", .float(p[0]))])
    case .celu: return one("Celu", a, attributes: [("alpha", .float(p[0]))])
    case .hardSigmoid: return one("HardSigmoid", a, attributes: [("alpha", .float(p[0])), ("beta", .float(p[1]))])
    case .softShrink: return one("Shrink", a, attributes: [("lambd", .float(p[0])), ("bias", .float(p[0]))])
    case .hardShrink: return one("Shrink", a, attributes: [("lambd", .float(p[0])), ("bias", .float(0))])
    case .squareplus: return one("Mul", one("Add", a, one("Sqrt", one("Add", one("Mul", a, a), try n(p[0])))), try n(0.5))
    case .threshold: return one("Where", one("LessOrEqual", a, try n(p[0])), try n(p[1]), a)
    case .generalRelu:
      let below = p[0] == 0 ? try n(0) : one("Mul", one("Sub", a, try n(p[1])), try n(p[0]))
      let inner = one("Where", one("Less", a, try n(p[1])), below, a)
      return p[2] == .infinity ? inner : one("Where", one("GreaterOrEqual", a, try n(p[2])), try n(p[2]), inner)
    case .affine:
      let scaled = p[0] == 1 ? a : one("Mul", a, try n(p[0]))
      return p[1] == 0 ? scaled : one("Add", scaled, try n(p[1]))
    case .floorDiv: return one("Floor", one("Div", a, x[1]))
    case .rem: return one("Mod", a, x[1], attributes: [("fmod", .int(1))])
    case .mod:
      let rest = one("Mod", a, x[1], attributes: [("fmod", .int(1))])
      let differs = one("Less", one("Mul", rest, one("Sign", x[1])), try n(0))
      return one("Where", differs, one("Add", rest, x[1]), rest)
    case .squaredDifference:
      let difference = one("Sub", a, x[1])
      return one("Mul", difference, difference)
    case .prelu: return one("Where", one("Less", a, try n(0)), one("Mul", a, x[1]), a)
    case .atan2:
      let angle = one("Atan", one("Div", a, x[1]))
      let half = one("Where", one("Less", a, try n(0)), try n(-Double.pi), try n(Double.pi))
      let side = one("Where", one("Less", x[1], try n(0)), one("Add", angle, half), angle)
      let upright = one("Mul", one("Sign", a), try n(Double.pi / 2))
      return one("Where", one("Equal", x[1], try n(0)), upright, side)
    default: throw unsupported("function '\(function.rawValue)' is not written")
    }
  }
}

/// The functions that are one op of ONNX, and those that are none.
enum ONNXFunctions {
  static let direct: [ScalarFunction: String] = [
    .abs: "Abs", .neg: "Neg", .exp: "Exp", .log: "Log", .sqrt: "Sqrt", .reciprocal: "Reciprocal", .sign: "Sign", .floor: "Floor", .ceil: "Ceil",
    .round: "Round", .sin: "Sin", .cos: "Cos", .tan: "Tan", .asin: "Asin", .acos: "Acos", .atan: "Atan", .sinh: "Sinh", .cosh: "Cosh",
    .tanh: "Tanh", .asinh: "Asinh", .acosh: "Acosh", .atanh: "Atanh", .erf: "Erf", .isnan: "IsNaN", .isinf: "IsInf", .relu: "Relu",
    .sigmoid: "Sigmoid", .softplus: "Softplus", .softsign: "Softsign", .hardSwish: "HardSwish", .add: "Add", .sub: "Sub", .mul: "Mul",
    .div: "Div", .pow: "Pow", .max: "Max", .min: "Min", .equal: "Equal", .less: "Less", .lessEqual: "LessOrEqual", .greater: "Greater",
    .greaterEqual: "GreaterOrEqual",
  ]

  static let refused: [ScalarFunction: String] = [
    .gcd: "ONNX has no greatest common divisor", .erfinv: "ONNX has no inverse error function", .lgamma: "ONNX has no gamma functions",
    .digamma: "ONNX has no gamma functions", .besselI0: "ONNX has no Bessel functions",
  ]
}
