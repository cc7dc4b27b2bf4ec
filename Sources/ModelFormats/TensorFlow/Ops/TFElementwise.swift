import GraphModule
import TensorModule

extension TFOpCatalog {
  /// Functions of single elements.
  static let elementwise = Family("Elementwise", unaryReaders.merging(binaryReaders) { first, _ in first }.merging(otherReaders) { first, _ in first })

  private static let unary: [String: ScalarFunction] = [
    "Abs": .abs, "Neg": .neg, "Exp": .exp, "Expm1": .expm1, "Log": .log, "Log1p": .log1p, "Sqrt": .sqrt, "Rsqrt": .rsqrt,
    "Square": .square, "Reciprocal": .reciprocal, "Inv": .reciprocal, "Floor": .floor, "Ceil": .ceil,
    "Round": .round, "Rint": .round, "Sin": .sin, "Cos": .cos, "Tan": .tan, "Asin": .asin, "Acos": .acos, "Atan": .atan,
    "Sinh": .sinh, "Cosh": .cosh, "Tanh": .tanh, "Asinh": .asinh, "Acosh": .acosh, "Atanh": .atanh, "Erf": .erf, "Erfc": .erfc,
    "LogicalNot": .not, "IsNan": .isnan, "IsInf": .isinf, "IsFinite": .isfinite, "Relu": .relu, "Sigmoid": .sigmoid,
    "Softplus": .softplus, "Softsign": .softsign, "Selu": .selu,
  ]

  private static let binary: [String: ScalarFunction] = [
    "Sub": .sub, "Mul": .mul, "RealDiv": .div, "FloorDiv": .floorDiv, "FloorMod": .mod, "Pow": .pow, "Maximum": .max,
    "Minimum": .min, "Atan2": .atan2, "SquaredDifference": .squaredDifference, "Equal": .equal, "NotEqual": .notEqual,
    "Less": .less, "LessEqual": .lessEqual, "Greater": .greater, "GreaterEqual": .greaterEqual, "LogicalAnd": .and,
    "LogicalOr": .or, "Add": .add, "AddV2": .add,
  ]

  private static let unaryReaders: [String: Plain] = unary.mapValues { function -> Plain in
    { @Sendable call in [try call.unary(function, try call.x(0))] }
  }

  private static let binaryReaders: [String: Plain] = binary.mapValues { function -> Plain in
    { @Sendable call in
      let (a, b) = (try call.x(0), try call.x(1))
      if function == .floorDiv || function == .mod { try refuseZero(call, b) }
      if function == .add, call.type(a).dtype == .string { return [try call.add(StringJoin(), [a, b], "join")] }
      return [try call.binary(function, a, b)]
    }
  }

  /// TensorFlow refuses to divide integers by zero.
  private static func refuseZero(_ call: TFCall, _ divisor: ValueID) throws {
    guard call.type(divisor).dtype.isInteger, let values = try call.input(1).evaluated, values.integers.contains(0) else { return }
    throw call.wrong("divides integers by zero")
  }

  /// x / y truncated toward zero, for integers.
  static func truncatedQuotient(_ call: TFCall, _ x: ValueID, _ y: ValueID) throws -> ValueID {
    let size = try call.binary(.floorDiv, try call.unary(.abs, x), try call.unary(.abs, y))
    return try call.binary(.mul, size, try call.binary(.mul, try call.unary(.sign, x), try call.unary(.sign, y)))
  }

  private static func zeroWhere(_ call: TFCall, _ tested: ValueID, _ otherwise: ValueID) throws -> ValueID {
    let zero = try call.scalar(0, call.type(tested).dtype)
    return try call.select(try call.binary(.equal, tested, zero), zero, otherwise)
  }

  private static let otherReaders: [String: Plain] = [
    "Div": { call in
      let (x, y) = (try call.x(0), try call.x(1))
      if call.type(x).dtype.isFloat { return [try call.binary(.div, x, y)] }
      try refuseZero(call, y)
      return [try truncatedQuotient(call, x, y)]
    },
    "TruncateDiv": { call in
      let (x, y) = (try call.x(0), try call.x(1))
      if call.type(x).dtype.isFloat { return [try call.unary(.trunc, try call.binary(.div, x, y))] }
      try refuseZero(call, y)
      return [try truncatedQuotient(call, x, y)]
    },
    "Mod": { [try remainder($0)] },
    "TruncateMod": { [try remainder($0)] },
    "DivNoNan": { call in
      let (x, y) = (try call.x(0), try call.x(1))
      return [try zeroWhere(call, y, try call.binary(.div, x, y))]
    },
    "MulNoNan": { call in
      let (x, y) = (try call.x(0), try call.x(1))
      return [try zeroWhere(call, y, try call.binary(.mul, x, y))]
    },
    "Xdivy": { call in
      let (x, y) = (try call.x(0), try call.x(1))
      return [try zeroWhere(call, x, try call.binary(.div, x, y))]
    },
    "Xlogy": { call in
      let (x, y) = (try call.x(0), try call.x(1))
      return [try zeroWhere(call, x, try call.binary(.mul, x, try call.unary(.log, y)))]
    },
    "Xlog1py": { call in
      let (x, y) = (try call.x(0), try call.x(1))
      return [try zeroWhere(call, x, try call.binary(.mul, x, try call.unary(.log1p, y)))]
    },
    "ApproximateEqual": { call in
      let distance = try call.unary(.abs, try call.binary(.sub, try call.x(0), try call.x(1)))
      return [try call.binary(.less, distance, try call.scalar(try call.float("tolerance", 1e-5), call.type(distance).dtype))]
    },
    "Sign": { call in
      let x = try call.x(0)
      let sign = try call.unary(.sign, x)
      guard call.type(x).dtype.isFloat else { return [sign] }
      // TensorFlow's processors take denormal numbers as 0; its versions around 1.15 also give 0 for NaN.
      let dtype = call.type(x).dtype
      let zero = try call.scalar(0, dtype), size = try call.unary(.abs, x)
      let least = try call.scalar(dtype == .float64 ? Double.leastNormalMagnitude : Double(Float.leastNormalMagnitude), dtype)
      if (1..<1000).contains(call.converter.model.graph.producer) {
        return [try call.select(try call.binary(.greaterEqual, size, least), sign, zero)]
      }
      return [try call.select(try call.binary(.less, size, least), zero, sign)]
    },
    "AddN": { [try sum($0)] },
    "AccumulateNV2": { [try sum($0)] },
    "LogicalXor": { [try $0.binary(.xor, try $0.x(0), try $0.x(1))] },
    "ClipByValue": { call in
      let (x, low, high) = (try call.x(0), try call.x(1), try call.x(2))
      return [try call.binary(.max, try call.binary(.min, x, high), low)]
    },
    "Relu6": { [try $0.unary(.clip, try $0.x(0), [0, 6])] },
    "Elu": { [try $0.unary(.elu, try $0.x(0), [1])] },
    "LeakyRelu": { [try $0.unary(.leakyRelu, try $0.x(0), [try $0.float("alpha", 0.2)])] },
    "Select": { call in
      let (yes, no) = (try call.x(1), try call.x(2))
      var condition = try call.x(0)
      let (rank, full) = (call.type(condition).rank, call.type(yes).rank)
      if rank == 1, full > 1 { condition = try call.reshape(condition, call.type(condition).dims + [Dim](repeating: 1, count: full - 1)) }
      return [try call.select(condition, yes, no)]
    },
    "SelectV2": { [try $0.select(try $0.x(0), try $0.x(1), try $0.x(2))] },
    "ReluGrad": { call in
      let (gradient, x) = (try call.x(0), try call.x(1))
      let zero = try call.scalar(0, call.type(x).dtype)
      return [try call.select(try call.binary(.greater, x, zero), gradient, zero)]
    },
    "SigmoidGrad": { call in
      let (y, gradient) = (try call.x(0), try call.x(1))
      return [try call.binary(.mul, gradient, try call.binary(.mul, y, try call.unary(.affine, y, [-1, 1])))]
    },
    "TanhGrad": { call in
      let (y, gradient) = (try call.x(0), try call.x(1))
      return [try call.binary(.mul, gradient, try call.unary(.affine, try call.unary(.square, y), [-1, 1]))]
    },
    "Bucketize": { call in
      let x = try call.x(0), type = call.type(x)
      let edges = try call.floats("boundaries", [])
      let wide = try call.cast(x, type.dtype.isFloat ? type.dtype : .float64)
      let row = try call.numbers(edges, [edges.count], call.type(wide).dtype, "boundaries")
      let above = try call.cast(try call.binary(.greaterEqual, try call.expand(wide, type.rank), row), .int32)
      return [try call.reduce(.sum, above, [type.rank])]
    },
    "ZerosLike": { call in
      let type = call.type(try call.x(0))
      return [try call.broadcast(try call.scalar(0, type.dtype), type.dims)]
    },
    "OnesLike": { call in
      let type = call.type(try call.x(0))
      return [try call.broadcast(try call.scalar(1, type.dtype), type.dims)]
    },
  ]

  private static func remainder(_ call: TFCall) throws -> ValueID {
    let (x, y) = (try call.x(0), try call.x(1))
    if !call.type(x).dtype.isFloat { try refuseZero(call, y) }
    return try call.binary(.rem, x, y)
  }

  private static func sum(_ call: TFCall) throws -> ValueID {
    let all = try call.all()
    guard let first = all.first else { throw call.wrong("has no operands") }
    return try all.dropFirst().reduce(first) { try call.binary(.add, $0, $1) }
  }
}
