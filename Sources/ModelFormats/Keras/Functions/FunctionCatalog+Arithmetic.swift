import GraphModule
import TensorModule

extension FunctionCatalog {
  /// Functions of single elements that are made of several others.
  static let arithmetic: [String: Meaning] = {
    var table: [String: Meaning] = [
      "erfinv": { [try $0.apply(.erfinv, try $0.floatTensor(0, "x"))] },
      "lgamma": { [try $0.apply(.lgamma, try $0.floatTensor(0, "x"))] },
      "digamma": { [try $0.apply(.digamma, try $0.floatTensor(0, "x"))] },
      "i0": { [try $0.apply(.besselI0, try $0.floatTensor(0, "x"))] },
      "isneginf": { call in
        let x = try call.floatTensor(0, "x")
        return [try call.apply(.equal, x, -.infinity)]
      },
      "isposinf": { call in
        let x = try call.floatTensor(0, "x")
        return [try call.apply(.equal, x, .infinity)]
      },
      "isreal": { call in
        let x = try call.tensor(0, "x")
        return [try call.broadcast(try call.layer.scalar(1, .bool), call.dims(of: x))]
      },
      // 1 / x tells −0 from 0.
      "signbit": { call in
        let x = try call.tensor(0, "x")
        if call.dtype(of: x) == .bool { return [try call.apply(.xor, x, x)] }
        let negative = try call.apply(.less, x, 0)
        guard call.dtype(of: x).isFloat else { return [negative] }
        return [try call.apply(.or, negative, try call.apply(.equal, try call.apply(.reciprocal, x), -.infinity))]
      },
      "sinc": { call in
        let x = try call.affine(try call.floatTensor(0, "x"), .pi, 0)
        return [try call.select(try call.apply(.equal, x, 0), 1, try call.apply(.div, try call.apply(.sin, x), x))]
      },
      "heaviside": { call in
        let (x, y) = try call.floats()
        let zero = try call.layer.scalar(0, call.dtype(of: x))
        let one = try call.select(try call.apply(.greater, x, 0), 1, y)
        return [try call.select(try call.apply(.less, x, zero), zero, one)]
      },
      "real": { call in [try call.complex(0, "x", "input").real] },
      "imag": { call in
        let (real, imaginary) = try call.complex(0, "x", "input")
        return [try imaginary ?? call.apply(.mul, real, 0)]
      },
      "conjugate": { call in
        let (real, imaginary) = try call.complex(0, "x")
        guard let imaginary else { return [real] }
        return try call.complexResult(real, try call.apply(.neg, imaginary))
      },
      "angle": { call in
        let (real, imaginary) = try call.complex(0, "x", "input")
        let x = try call.float(real)
        return [try call.apply(.atan2, try imaginary ?? call.affine(try call.apply(.abs, x), 0, 0), x)]
      },
      "complex": { call in
        let values = try call.unified([try call.required(0, "real"), try call.required(1, "imag")])
        call.ignore("Tout")
        return try call.complexResult(values[0], values[1])
      },
      "abs": { call in
        let (real, imaginary) = try call.complex(0, "x")
        guard let imaginary else {
          return [try call.apply(.abs, call.dtype(of: real) == .bool ? try call.cast(real, .int32) : real)]
        }
        let sum = try call.apply(.add, try call.apply(.square, real), try call.apply(.square, imaginary))
        return [try call.apply(.sqrt, sum)]
      },
      "round": { call in
        let x = try call.tensor(0, "x", "input")
        let decimals = try call.int("decimals") ?? 0
        let dtype = call.dtype(of: x)
        if decimals == 0 || (!dtype.isFloat && decimals > 0) { return [dtype.isFloat ? try call.apply(.round, x) : x] }
        guard decimals.magnitude <= 30 else { throw call.unsupported("decimals \(decimals)") }
        var factor = 1.0
        for _ in 0..<decimals.magnitude { factor = decimals < 0 ? factor / 10 : factor * 10 }
        let scaled = try call.apply(.round, try call.apply(.mul, try call.float(x), factor))
        return [try call.cast(try call.apply(.div, scaled, factor), dtype)]
      },
      "logaddexp2": { call in
        let (x, y) = try call.floats()
        let distance = try call.apply(.abs, try call.apply(.sub, x, y))
        let small = try call.apply(.log1p, try call.apply(.exp2, try call.apply(.neg, distance)))
        return [try call.apply(.add, try call.apply(.max, x, y), try call.affine(small, 1.4426950408889634, 0))]
      },
      "fmod": { call in
        let (x, y) = try pair(call)
        return [try call.apply(.rem, x, y)]
      },
      "ldexp": { call in
        let x = try call.floatTensor(0, "x1")
        let y = try call.materialised(try call.required(1, "x2"), call.dtype(of: x))
        return [try call.apply(.mul, x, try call.apply(.exp2, y))]
      },
      "gcd": { call in
        let (x, y) = try integers(call)
        return [try call.apply(.gcd, x, y)]
      },
      // |x| / gcd · |y|; 0 where both are.
      "lcm": { call in
        let (x, y) = try integers(call)
        let divisor = try call.apply(.max, try call.apply(.gcd, x, y), 1)
        return [try call.apply(.mul, try call.apply(.floorDiv, try call.apply(.abs, x), divisor), try call.apply(.abs, y))]
      },
      "allclose": { call in
        let close = try isclose(call)
        return [try call.reduce(.all, close, Array(call.dims(of: close).indices), false)]
      },
      "isclose": { [try isclose($0)] },
      "isin": { call in
        call.ignore("assume_unique")
        let values = try call.unified([try call.required(0, "x1"), try call.required(1, "x2")])
        let list = try call.layer.reshape(values[1], [call.type(values[1]).elementCount])
        let equal = try call.apply(.equal, try call.layer.expand(values[0], axis: -1), list)
        let found = try call.reduce(.any, equal, [call.rank(equal) - 1], false)
        return [try call.bool("invert") == true ? try call.apply(.not, found) : found]
      },
      "select": { call in
        guard case .list(let conditions)? = call.argument(0, "condlist"), case .list(let choices)? = call.argument(1, "choicelist"),
          !conditions.isEmpty, conditions.count == choices.count
        else { throw call.wrong("condlist and choicelist must be lists of one length") }
        let fallback = try call.optional(2, "default") ?? .numbers(try zero())
        var values = try call.unified(try choices.map(call.operand) + [fallback])
        var result = values.removeLast()
        for (condition, value) in zip(conditions, values).reversed() {
          result = try call.select(try call.layer.truth(try call.materialised(try call.operand(condition))), value, result)
        }
        return [result]
      },
      "xlogy": { call in
        let (x, y) = try call.floats()
        return [try call.select(try call.apply(.equal, x, 0), 0, try call.apply(.mul, x, try call.apply(.log, y)))]
      },
      "xdivy": { call in
        let (x, y) = try call.floats()
        return [try call.select(try call.apply(.equal, x, 0), 0, try call.apply(.div, x, y))]
      },
      "xlog1py": { call in
        let (x, y) = try call.floats()
        return [try call.select(try call.apply(.equal, x, 0), 0, try call.apply(.mul, x, try call.apply(.log1p, y)))]
      },
      "crelu": { call in
        let x = try call.floatTensor(0, "features")
        let axis = try call.axis(try call.int("axis") ?? -1, of: x)
        return [try call.apply(.relu, try call.concat([x, try call.apply(.neg, x)], axis: axis))]
      },
      "silu": { call in
        let x = try call.floatTensor(0, "x", "features")
        guard let beta = try call.double("beta"), beta != 1 else { return [try call.apply(.silu, x)] }
        return [try call.apply(.mul, x, try call.apply(.sigmoid, try call.affine(x, beta, 0)))]
      },
      "clip_by_norm": { call in
        let x = try call.floatTensor(0, "t")
        guard let limit = try call.double("clip_norm") else { throw call.wrong("clip_norm is missing") }
        let axes = try call.axes(try call.ints("axes"), of: x)
        let size = try call.apply(.sqrt, try call.reduce(.sum, try call.apply(.square, x), axes, true))
        return [try call.apply(.div, try call.affine(x, limit, 0), try call.apply(.max, size, limit))]
      },
      "bitwise_not": { call in
        let x = try call.tensor(0, "x")
        return [try call.apply(call.dtype(of: x) == .bool ? .not : .bitNot, x)]
      },
      "nextafter": { throw $0.unsupported("a step of one unit in the last place") },
    ]
    for (name, function, logical) in [
      ("bitwise_and", ScalarFunction.bitAnd, ScalarFunction.and), ("bitwise_or", .bitOr, .or), ("bitwise_xor", .bitXor, .xor),
    ] {
      table[name] = { call in
        let (x, y) = try pair(call)
        guard !call.dtype(of: x).isFloat else { throw call.wrong("the operands must be integers") }
        return [try call.apply(call.dtype(of: x) == .bool ? logical : function, x, y)]
      }
    }
    for (name, function) in [
      ("left_shift", ScalarFunction.shiftLeft), ("bitwise_left_shift", .shiftLeft), ("right_shift", .shiftRight),
      ("bitwise_right_shift", .shiftRight),
    ] {
      table[name] = { call in
        let (x, y) = try integers(call)
        return [try call.apply(function, x, y)]
      }
    }
    return table
  }()

  private static func zero() throws -> NumberArray {
    guard let array = NumberArray(.int(0)) else { throw KilnError(.internal, "no number") }
    return array
  }

  /// Two operands in their common dtype.
  private static func pair(_ call: FunctionCall) throws -> (ValueID, ValueID) {
    let values = try call.unified([try call.required(0, "x1", "x"), try call.required(1, "x2", "y")])
    return (values[0], values[1])
  }

  private static func integers(_ call: FunctionCall) throws -> (ValueID, ValueID) {
    let (x, y) = try pair(call)
    if call.dtype(of: x) == .bool { return (try call.cast(x, .int32), try call.cast(y, .int32)) }
    guard call.dtype(of: x).isInteger else { throw call.wrong("the operands must be integers") }
    return (x, y)
  }

  /// |x − y| ≤ atol + rtol · |y|, infinities equal to themselves.
  private static func isclose(_ call: FunctionCall) throws -> ValueID {
    let (x, y) = try call.floats()
    func tolerance(_ position: Int, _ name: String, _ fallback: Double) throws -> Double {
      guard let json = try call.json(at: position, name) else { return fallback }
      guard let number = json.doubleValue else { throw call.wrong("\(name) must be a number") }
      return number
    }
    let relative = try tolerance(2, "rtol", 1e-5)
    let absolute = try tolerance(3, "atol", 1e-8)
    let distance = try call.apply(.abs, try call.apply(.sub, x, y))
    let bound = try call.affine(try call.apply(.abs, y), relative, absolute)
    var close = try call.apply(.and, try call.apply(.lessEqual, distance, bound), try call.apply(.isfinite, bound))
    close = try call.apply(.or, close, try call.apply(.equal, x, y))
    // Keras 3.6 to 3.9 hand it over by position.
    let equal = try call.json(at: 4, "equal_nan")
    guard let nanIsEqual = equal.map({ $0.boolValue }) ?? false else { throw call.wrong("equal_nan must be true or false") }
    if nanIsEqual {
      let both = try call.apply(.and, try call.apply(.isnan, x), try call.apply(.isnan, y))
      close = try call.apply(.or, close, both)
    }
    return close
  }
}
