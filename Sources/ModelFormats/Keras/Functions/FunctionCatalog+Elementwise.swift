import GraphModule
import TensorModule

extension FunctionCatalog {
  /// Functions of single elements.
  static let elementwise: [String: Meaning] = {
    var table: [String: Meaning] = [
      "identity": { [try $0.tensor(0, "x", "input", "value", "features")] },
      "leaky_relu": unary { Activation(.leakyRelu, [try $0.double("negative_slope", "alpha") ?? 0.2]) },
      "elu": unary { Activation(.elu, [try $0.double("alpha") ?? 1]) },
      "celu": unary { Activation(.celu, [try $0.double("alpha") ?? 1]) },
      "gelu": unary { Activation((try $0.bool("approximate") ?? $0.isKeras) ? .geluTanh : .gelu) },
      "hard_shrink": unary { Activation(.hardShrink, [try $0.double("threshold") ?? 0.5]) },
      "soft_shrink": unary { Activation(.softShrink, [try $0.double("threshold") ?? 0.5]) },
      "squareplus": unary { Activation(.squareplus, [try $0.double("b") ?? 4]) },
      "hard_sigmoid": unary { _ in Activation(.hardSigmoid, [1.0 / 6, 0.5]) },
      "hard_tanh": unary { _ in Activation(.clip, [-1, 1]) },
      "deg2rad": unary { _ in Activation(.affine, [Double.pi / 180, 0]) },
      "rad2deg": unary { _ in Activation(.affine, [180 / Double.pi, 0]) },
      "threshold": unary {
        guard let threshold = try $0.double("threshold"), let other = try $0.double("default_value") else {
          throw $0.wrong("threshold and default_value are missing")
        }
        return Activation(.threshold, [threshold, other])
      },
      "cbrt": { call in
        let x = try call.float(try call.tensor(0, "x"))
        let size = try call.layer.unary(.abs, x)
        let root = try call.layer.binary(.pow, size, try call.layer.scalar(1.0 / 3, call.type(x).dtype))
        return [try call.layer.binary(.mul, root, try call.layer.unary(.sign, x))]
      },
      "hypot": { call in
        let (x, y) = try floats(call)
        let sum = try call.layer.binary(.add, try call.layer.unary(.square, x), try call.layer.unary(.square, y))
        return [try call.layer.unary(.sqrt, sum)]
      },
      // max(x, y) + log1p(e^−|x − y|).
      "logaddexp": { call in
        let (x, y) = try floats(call)
        let distance = try call.layer.unary(.abs, try call.layer.binary(.sub, x, y))
        let small = try call.layer.unary(.log1p, try call.layer.unary(.exp, try call.layer.unary(.neg, distance)))
        return [try call.layer.binary(.add, try call.layer.binary(.max, x, y), small)]
      },
      "divide_no_nan": { call in
        let (x, y) = try floats(call)
        let zero = try call.layer.scalar(0, call.type(y).dtype)
        let quotient = try call.layer.binary(.div, x, y)
        return [
          try call.layer.add(
            Elementwise(.select), [try call.layer.binary(.equal, y, zero), zero, quotient], "divide_no_nan")
        ]
      },
      "nan_to_num": { call in
        let x = try call.float(try call.tensor(0, "x"))
        let dtype = call.type(x).dtype
        let largest = dtype == .float64 ? Double.greatestFiniteMagnitude : Double(Float.greatestFiniteMagnitude)
        let (nan, high) = (try call.double("nan") ?? 0, try call.double("posinf") ?? largest)
        let low = try call.double("neginf") ?? -largest
        func chosen(_ condition: ValueID, _ number: Double, _ other: ValueID) throws -> ValueID {
          try call.layer.add(Elementwise(.select), [condition, try call.layer.scalar(number, dtype), other], "chosen")
        }
        var result = try chosen(try call.layer.unary(.isnan, x), nan, x)
        let infinity = try call.layer.scalar(.infinity, dtype)
        result = try chosen(try call.layer.binary(.equal, x, infinity), high, result)
        return [try chosen(try call.layer.binary(.equal, x, try call.layer.unary(.neg, infinity)), low, result)]
      },
      "clip": { call in
        let x = try call.tensor(0, "x", "t", "value")
        let low = try call.required(1, "x_min", "clip_value_min")
        let high = try call.required(2, "x_max", "clip_value_max")
        let values = try call.unified([.value(x), low, high])
        return [try call.layer.binary(.min, try call.layer.binary(.max, values[0], values[1]), values[2])]
      },
      "where": { call in
        let condition = try call.layer.truth(try call.tensor(0, "condition"))
        guard let a = try call.optional(1, "x1", "x"), let b = try call.optional(2, "x2", "y") else {
          throw call.unsupported("the form without two alternatives, whose shape depends on the data,")
        }
        let values = try call.unified([a, b])
        return [try call.layer.add(Elementwise(.select), [condition] + values, "where")]
      },
      "cast": { call in
        let x = try call.tensor(0, "x")
        guard let dtype = try call.dtype("dtype") else { throw call.wrong("dtype is missing") }
        // Floats become short integers by way of 32 bits, and wrap.
        let short = call.type(x).dtype.isFloat && [.int8, .int16, .uint8].contains(dtype)
        return [try call.layer.cast(short ? try call.layer.cast(x, to: .int32) : x, to: dtype)]
      },
      "saturate_cast": { call in
        let x = try call.tensor(0, "x", "value")
        guard let dtype = try call.dtype("dtype") else { throw call.wrong("dtype is missing") }
        guard let range = dtype.integerRange, dtype != .int64, call.type(x).dtype != .bool else {
          return [try call.layer.cast(x, to: dtype)]
        }
        let bounds = [Double(range.lowerBound), Double(range.upperBound)]
        let wide = call.type(x).dtype.isFloat ? try call.layer.cast(x, to: .float64) : try call.layer.cast(x, to: .int64)
        return [try call.layer.cast(try call.layer.unary(.clip, bounds, wide), to: dtype)]
      },
      "add_n": { call in
        let values = try call.list(0, "inputs")
        var sum = values[0]
        for value in values.dropFirst() { sum = try call.layer.binary(.add, sum, value) }
        return [sum]
      },
    ]
    let plain: [(String, ScalarFunction)] = [
      ("exp", .exp), ("exp2", .exp2), ("expm1", .expm1), ("log", .log), ("log2", .log2), ("log10", .log10),
      ("log1p", .log1p), ("sqrt", .sqrt), ("rsqrt", .rsqrt), ("reciprocal", .reciprocal), ("sin", .sin), ("cos", .cos),
      ("tan", .tan), ("arcsin", .asin), ("arccos", .acos), ("arctan", .atan), ("sinh", .sinh), ("cosh", .cosh),
      ("tanh", .tanh), ("arcsinh", .asinh), ("arccosh", .acosh), ("arctanh", .atanh), ("erf", .erf), ("erfc", .erfc),
      ("isnan", .isnan), ("isinf", .isinf), ("isfinite", .isfinite), ("sigmoid", .sigmoid), ("softplus", .softplus),
      ("softsign", .softsign), ("mish", .mish), ("log_sigmoid", .logSigmoid), ("selu", .selu),
      ("hard_silu", .hardSwish), ("tanh_shrink", .tanhShrink), ("sparse_plus", .sparsePlus),
      ("sparse_sigmoid", .sparseSigmoid),
    ]
    for (name, function) in plain { table[name] = unary { _ in Activation(function) } }
    for (name, function) in [
      ("negative", ScalarFunction.neg), ("square", .square), ("sign", .sign), ("floor", .floor), ("ceil", .ceil), ("trunc", .trunc),
      ("relu", .relu),
    ] {
      table[name] = { [try $0.layer.unary(function, try number(try $0.tensor(0, "x", "features"), $0))] }
    }
    table["relu6"] = {
      [try $0.layer.unary(.clip, [0, 6], try number(try $0.tensor(0, "x", "features"), $0))]
    }
    for (name, function) in [
      ("add", ScalarFunction.add), ("subtract", .sub), ("multiply", .mul), ("maximum", .max), ("minimum", .min),
      ("power", .pow), ("mod", .mod), ("floor_divide", .floorDiv), ("equal", .equal), ("not_equal", .notEqual),
      ("less", .less), ("less_equal", .lessEqual), ("greater", .greater), ("greater_equal", .greaterEqual),
      ("squared_difference", .squaredDifference), ("divide", .div), ("arctan2", .atan2),
    ] {
      table[name] = { [try binary($0, function)] }
    }
    table["bias_add"] = { call in
      if let format = try call.string("data_format"), format.hasPrefix("NC"), format != "N...C" {
        throw call.unsupported("data_format \(format)")
      }
      return [try call.layer.binary(.add, try call.tensor(0, "value"), try call.tensor(1, "bias"))]
    }
    for (name, function) in [("logical_and", ScalarFunction.and), ("logical_or", .or), ("logical_xor", .xor)] {
      table[name] = { call in
        let operands = [try call.required(0, "x1", "x"), try call.required(1, "x2", "y")]
        let values = try operands.map { try call.layer.truth(try call.materialised($0)) }
        return [try call.layer.binary(function, values[0], values[1])]
      }
    }
    table["logical_not"] = { [try $0.layer.unary(.not, try $0.layer.truth(try $0.tensor(0, "x")))] }
    return table
  }()

  /// A float function of one operand, with its parameters.
  private static func unary(
    _ function: @escaping @Sendable (FunctionCall) throws -> Activation
  ) -> Meaning {
    { call in
      let x = try call.float(try call.tensor(0, "x", "features", "input", "logits"))
      let activation = try function(call)
      return [try call.layer.unary(activation.function, activation.parameters, x)]
    }
  }

  /// Bool as int32.
  private static func number(_ value: ValueID, _ call: FunctionCall) throws -> ValueID {
    call.type(value).dtype == .bool ? try call.layer.cast(value, to: .int32) : value
  }

  private static func floats(_ call: FunctionCall) throws -> (ValueID, ValueID) {
    let values = try call.unified([try call.required(0, "x1", "x"), try call.required(1, "x2", "y")])
    return (try call.float(values[0]), try call.float(values[1]))
  }

  private static func binary(_ call: FunctionCall, _ function: ScalarFunction) throws -> ValueID {
    // TensorFlow's atan2 is (y, x), every other one (x, y).
    let reversed = function == .atan2 && !call.isKeras
    let a = reversed ? try call.required(0, "y") : try call.required(0, "x1", "x", "a")
    let b = reversed ? try call.required(1, "x") : try call.required(1, "x2", "y", "b")
    var values = try call.unified([a, b])
    let dtype = call.type(values[0]).dtype
    if function == .div || function == .atan2, !dtype.isFloat {
      // TensorFlow divides integers as float64.
      let wide: DType = call.isKeras || dtype == .int8 || dtype == .int16 || dtype == .uint8 ? .float32 : .float64
      values = try values.map { try call.layer.cast($0, to: wide) }
    } else if dtype == .bool {
      if call.isKeras, function == .add || function == .mul {
        return try call.layer.binary(function == .add ? .or : .and, values[0], values[1])
      }
      if !function.isPredicate || ![.equal, .notEqual].contains(function), ![.max, .min].contains(function) {
        values = try values.map { try call.layer.cast($0, to: .int32) }
      }
    }
    return try function == .add && call.isKeras
      ? call.layer.kerasAdd(values[0], values[1]) : call.layer.binary(function, values[0], values[1])
  }
}
