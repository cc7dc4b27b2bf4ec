import GraphModule
import TensorModule

/// Scalar functions as expressions of OpenCL C. Float values are `float`, float64 `double`, integers and bool `long`.
enum ScalarPrinter {
  /// The C type that a value of the dtype has inside a kernel.
  static func type(_ dtype: DType) -> String { dtype == .float64 ? "double" : dtype.isFloat ? "float" : "long" }

  /// The C type that the dtype has in memory.
  static func storedType(_ dtype: DType) -> String {
    switch dtype {
    case .float32: "real"
    case .float64: "double"
    case .float16: "half"
    case .bfloat16: "ushort"
    case .int8: "char"
    case .int16: "short"
    case .int32: "int"
    case .int64: "long"
    case .uint8, .bool, .string: "uchar"
    }
  }

  /// The element of a pointer at an index.
  static func load(_ dtype: DType, _ pointer: String, _ index: String) -> String {
    switch dtype {
    case .float32: "LD(\(pointer), \(index))"
    case .float16: "vload_half(\(index), \(pointer))"
    case .bfloat16: "k_from_bfloat(\(pointer)[\(index)])"
    default: "(\(type(dtype)))\(pointer)[\(index)]"
    }
  }

  /// The statement that writes a value of the dtype.
  static func store(_ dtype: DType, _ pointer: String, _ index: String, _ value: String) -> String {
    switch dtype {
    case .float32: "ST(\(pointer), \(index), \(value));"
    case .float16: "vstore_half_rte(\(value), \(index), \(pointer));"
    case .bfloat16: "\(pointer)[\(index)] = k_to_bfloat(\(value));"
    case .bool: "\(pointer)[\(index)] = \(value) != 0;"
    default: "\(pointer)[\(index)] = (\(storedType(dtype)))\(value);"
    }
  }

  /// A number as a literal of the dtype's C type.
  static func literal(_ value: Double, _ dtype: DType) -> String {
    if !dtype.isFloat { return DType.int64.clamping(value) == .min ? "LONG_MIN" : "\(DType.int64.clamping(value))L" }
    if value.isNaN { return "(\(type(dtype)))NAN" }
    let text = dtype == .float64 ? "\(value)" : "\(Float(value))f"
    if text.contains("inf") { return value < 0 ? "(\(type(dtype)))-INFINITY" : "(\(type(dtype)))INFINITY" }
    return value < 0 || value.sign == .minus ? "(\(text))" : text
  }

  /// The value under another dtype, as `cast` converts.
  static func convert(_ value: String, _ from: DType, _ to: DType) -> String {
    if from == to { return value }
    if to == .bool { return "(long)(\(value) != 0)" }
    if to.isFloat { return from.isFloat && type(from) == type(to) ? value : "(\(type(to)))\(value)" }
    if !from.isFloat { return wrapped(value, to) }
    if to == .int64 { return "convert_long_sat(\(value))" }
    return "(long)convert_\(storedType(to))_sat(\(value))"
  }

  /// An integer in the range of its dtype.
  static func wrapped(_ value: String, _ dtype: DType) -> String {
    dtype == .int64 || dtype == .bool || dtype.isFloat ? value : "(long)(\(storedType(dtype)))(\(value))"
  }

  /// The function of operands that are names or literals.
  ///
  /// - Parameter dtype: the operands' (of `select`: that of the second and third).
  /// - Returns: nil where there is no expression.
  static func expression(_ function: ScalarFunction, _ x: [String], _ parameters: [Double], _ dtype: DType) -> String? {
    guard x.count == function.arity, parameters.count == function.parameterCount else { return nil }
    let p = parameters.map { literal($0, dtype) }
    return dtype.isFloat ? float(function, x, p, dtype == .float64 ? "d" : "f") : integer(function, x, parameters, dtype)
  }

  /// A fused activation: a macro's definition over `v`.
  static func activation(_ activation: Activation) -> (String, String)? {
    expression(activation.function, ["(v)"], activation.parameters, .float32).map { ("ACTIVATE(v)", "(\($0))") }
  }

  private static func float(_ function: ScalarFunction, _ x: [String], _ p: [String], _ s: String) -> String? {
    let (a, b) = (x[0], x.count > 1 ? x[1] : "")
    let one = s == "f" ? "1.0f" : "1.0"
    switch function {
    case .identity: return a
    case .neg: return "-\(a)"
    case .abs: return "fabs(\(a))"
    case .round: return "rint(\(a))"
    case .exp, .exp2, .expm1, .log, .log2, .log10, .log1p, .sqrt, .rsqrt, .floor, .ceil, .trunc, .sin, .cos, .tan, .asin, .acos, .atan,
      .sinh, .cosh, .tanh, .asinh, .acosh, .atanh, .erf, .erfc, .lgamma:
      return "\(function.rawValue)(\(a))"
    case .square: return "\(a) * \(a)"
    case .reciprocal: return "\(one) / \(a)"
    case .isnan: return "(long)(\(a) != \(a))"
    case .isinf: return "(long)(isinf(\(a)) != 0)"
    case .isfinite: return "(long)(isfinite(\(a)) != 0)"
    case .relu: return "(\(a) < 0 ? 0 : \(a))"
    case .sign, .sigmoid, .softplus, .softsign, .silu, .gelu, .geluTanh, .mish, .selu, .hardSwish, .sparsePlus, .sparseSigmoid, .digamma,
      .besselI0, .erfinv:
      return "k_\(function.rawValue)_\(s)(\(a))"
    case .logSigmoid: return "-k_softplus_\(s)(-\(a))"
    case .tanhShrink: return "\(a) - tanh(\(a))"
    case .clip: return "k_clip_\(s)(\(a), \(p[0]), \(p[1]))"
    case .leakyRelu: return "(\(a) < 0 ? \(p[0]) * \(a) : \(a))"
    case .elu: return "(\(a) < 0 ? \(p[0]) * expm1(\(a)) : \(a))"
    case .celu: return "(\(a) < 0 ? \(p[0]) * expm1(\(a) / \(p[0])) : \(a))"
    case .hardSigmoid: return "k_clip_\(s)(\(p[0]) * \(a) + \(p[1]), 0, 1)"
    case .softShrink: return "k_soft_shrink_\(s)(\(a), \(p[0]))"
    case .hardShrink: return "(fabs(\(a)) > \(p[0]) || \(a) != \(a) ? \(a) : 0)"
    case .squareplus: return "(\(a) + sqrt(\(a) * \(a) + \(p[0]))) / 2"
    case .threshold: return "(\(a) != \(a) || \(a) > \(p[0]) ? \(a) : \(p[1]))"
    case .generalRelu: return "(\(a) >= \(p[2]) ? \(p[2]) : \(a) >= \(p[1]) || \(a) != \(a) ? \(a) : \(p[0]) * (\(a) - \(p[1])))"
    case .affine: return "\(p[0]) * \(a) + \(p[1])"
    case .add: return "\(a) + \(b)"
    case .sub: return "\(a) - \(b)"
    case .mul: return "\(a) * \(b)"
    case .div: return "\(a) / \(b)"
    case .floorDiv: return "floor(\(a) / \(b))"
    case .mod, .max, .min: return "k_\(function.rawValue)_\(s)(\(a), \(b))"
    case .pow, .atan2: return "\(function.rawValue)(\(a), \(b))"
    case .rem: return "fmod(\(a), \(b))"
    case .squaredDifference: return "(\(a) - \(b)) * (\(a) - \(b))"
    case .prelu: return "(\(a) < 0 ? \(b) * \(a) : \(a))"
    case .equal, .notEqual, .less, .lessEqual, .greater, .greaterEqual: return "(long)(\(a) \(comparison(function)) \(b))"
    case .select: return "(\(a) != 0 ? \(b) : \(x[2]))"
    case .and, .or, .xor, .not, .gcd, .bitAnd, .bitOr, .bitXor, .bitNot, .shiftLeft, .shiftRight: return nil
    }
  }

  private static func comparison(_ function: ScalarFunction) -> String {
    switch function {
    case .equal: "=="
    case .notEqual: "!="
    case .less: "<"
    case .lessEqual: "<="
    case .greater: ">"
    default: ">="
    }
  }

  private static func integer(_ function: ScalarFunction, _ x: [String], _ p: [Double], _ dtype: DType) -> String? {
    let (a, b) = (x[0], x.count > 1 ? x[1] : "")
    let number: String
    switch function {
    case .identity, .floor, .ceil, .round, .trunc: return a
    case .equal, .notEqual, .less, .lessEqual, .greater, .greaterEqual: return "(long)(\(a) \(comparison(function)) \(b))"
    case .not: return "(long)(\(a) == 0)"
    case .and: return "(long)(\(a) != 0 && \(b) != 0)"
    case .or: return "(long)(\(a) != 0 || \(b) != 0)"
    case .xor: return "(long)((\(a) != 0) != (\(b) != 0))"
    case .select: return "(\(a) != 0 ? \(b) : \(x[2]))"
    case .abs: number = "(\(a) < 0 ? -\(a) : \(a))"
    case .neg: number = "-\(a)"
    case .square: number = "\(a) * \(a)"
    case .sign: return "(long)((\(a) > 0) - (\(a) < 0))"
    case .relu: return "max(\(a), 0L)"
    case .clip:
      // Bounds between integers: those inside.
      guard p.allSatisfy({ $0.magnitude <= 0x1p53 && $0 == $0.rounded() }) else { return nil }
      return "min(max(\(a), \(literal(p[0], .int64))), \(literal(p[1], .int64)))"
    case .add: number = "\(a) + \(b)"
    case .sub: number = "\(a) - \(b)"
    case .mul: number = "\(a) * \(b)"
    case .floorDiv: number = "k_floor_divide(\(a), \(b))"
    case .mod: number = "k_mod_l(\(a), \(b))"
    case .pow: number = "k_power(\(a), \(b))"
    case .max, .min: return "\(function.rawValue)(\(a), \(b))"
    case .squaredDifference: number = "(\(a) - \(b)) * (\(a) - \(b))"
    case .rem: number = "(\(b) == 0 || \(b) == -1 ? 0 : \(a) % (\(b) == 0 ? 1 : \(b)))"
    case .gcd: number = "k_gcd(\(a), \(b))"
    case .bitAnd: number = "(\(a) & \(b))"
    case .bitOr: number = "(\(a) | \(b))"
    case .bitXor: number = "(\(a) ^ \(b))"
    case .bitNot: number = "~\(a)"
    case .shiftLeft: number = "(\(b) > 63 ? 0 : \(a) << max(\(b), 0L))"
    case .shiftRight: number = "(\(a) >> min(max(\(b), 0L), 63L))"
    default: return nil
    }
    return wrapped(number, dtype)
  }
}
