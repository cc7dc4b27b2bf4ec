import GraphModule
import TensorModule

extension ONNXOpCatalog {
  private static let ml = "ai.onnx.ml"

  static let classical = Family(
    "Encoders (`ai.onnx.ml`)",
    [
      Row("ArrayFeatureExtractor", ml) { call in
        var x = try call.x(0)
        if call.type(x).rank == 1 { x = try call.expand(x, 0) }
        let indices = try call.input(1)
        let axis = call.type(x).rank - 1
        let picked = try call.add(Gather(axis: axis), [x, try call.reshape(try call.counted(indices, call.type(x).dims[axis]), [indices.type.elementCount])], "gather")
        return [picked]
      },
      Row("Binarizer", ml) { call in
        let x = try call.x(0), dtype = call.type(x).dtype
        return [try call.cast(try call.binary(.greater, x, try call.scalar(try call.float("threshold", 0), dtype)), dtype)]
      },
      Row("Scaler", ml) { call in
        let x = try call.cast(try call.x(0), .float32)
        func line(_ key: String, _ fallback: Double) throws -> ValueID {
          let values = try call.floats(key, [fallback])
          return try call.numbers(values, values.count == 1 ? [] : [values.count], .float32, key)
        }
        return [try call.binary(.mul, try call.binary(.sub, x, try line("offset", 0)), try line("scale", 1))]
      },
      Row("Normalizer", ml) { call in
        let x = try call.cast(try call.x(0), .float32)
        let axis = call.type(x).rank - 1
        guard axis >= 0 else { throw call.wrong("takes rows") }
        let norm: ValueID
        switch try call.text("norm", "MAX") {
        case "MAX": norm = try call.reduce(.max, x, [axis], keepDims: true)
        case "L1": norm = try call.reduce(.sum, try call.unary(.abs, x), [axis], keepDims: true)
        case "L2": norm = try call.unary(.sqrt, try call.reduce(.sum, try call.unary(.square, x), [axis], keepDims: true))
        case let name: throw call.unsupported("the norm \(KilnError.quoted(name))")
        }
        let isZero = try call.binary(.equal, norm, try call.scalar(0, .float32))
        return [try call.binary(.div, x, try call.select(isZero, try call.scalar(1, .float32), norm))]
      },
      Row("Imputer", ml) { call in
        let x = try call.x(0), dtype = call.type(x).dtype
        let isWhole = dtype.isInteger
        let values = isWhole ? try call.ints("imputed_value_int64s").map(Double.init) : try call.floats("imputed_value_floats")
        let filled = try call.numbers(values, values.count == 1 ? [] : [values.count], dtype, "values")
        let replaced = isWhole ? Double(try call.int("replaced_value_int64", 0)) : try call.float("replaced_value_float", 0)
        let isMissing = replaced.isNaN ? try call.unary(.isnan, x) : try call.binary(.equal, x, try call.scalar(replaced, dtype))
        return [try call.select(isMissing, filled, x)]
      },
      Row("FeatureVectorizer", ml) { call in
        let parts = try call.all().map { value in
          let wide = try call.cast(value, .float32)
          return call.type(wide).rank == 1 ? try call.expand(wide, 0) : wide
        }
        return [try call.concat(parts, axis: 1)]
      },
      Row("OneHotEncoder", ml) { call in
        let x = try call.x(0)
        let isText = call.type(x).dtype == .string
        let keys: Tensor
        if isText { keys = Tensor(strings: try call.texts("cats_strings"), shape: [try call.texts("cats_strings").count]) } else {
          let numbers = try call.ints("cats_int64s")
          keys = try Tensor(numbers.map { Int64($0) }, shape: [numbers.count])
        }
        let whole = isText ? x : try call.cast(x, .int64)
        let places = try Tensor((0..<keys.count).map { Int64($0) }, shape: [keys.count])
        guard keys.count >= 1 else { throw call.wrong("has no categories") }
        var operands = [whole, call.constant(keys, "keys"), call.constant(places, "places")]
        // Without zeros a value that is no category is an error.
        if try call.bool("zeros", true) { operands.append(try call.scalar(-1, .int64)) }
        let place = try call.add(Lookup(), operands, "lookup")
        return [try call.add(OneHot(depth: keys.count), [place], "one_hot")]
      },
      Row("LabelEncoder", ml, since: 2) { [try labels($0)] },
      Row("LabelEncoder", ml) { call in
        let classes = try call.texts("classes_strings")
        let names = Tensor(strings: classes, shape: [classes.count])
        let numbers = try Tensor(classes.indices.map { Int64($0) }, shape: [classes.count])
        if try call.input(0).type.dtype == .string {
          return [try looked(call, names, numbers, try Tensor([Int64(try call.int("default_int64", -1))], shape: []))]
        }
        return [try looked(call, numbers, names, Tensor(strings: [ByteString(try call.text("default_string", "_Unused"))], shape: []))]
      },
      Row("CategoryMapper", ml) { call in
        let classes = try call.texts("cats_strings"), numbers = try call.ints("cats_int64s")
        guard classes.count == numbers.count else { throw call.wrong("has \(classes.count) texts and \(numbers.count) numbers") }
        let names = Tensor(strings: classes, shape: [classes.count])
        let values = try Tensor(numbers.map { Int64($0) }, shape: [numbers.count])
        if try call.input(0).type.dtype == .string {
          return [try looked(call, names, values, try Tensor([Int64(try call.int("default_int64", -1))], shape: []))]
        }
        return [try looked(call, values, names, Tensor(strings: [ByteString(try call.text("default_string", "_Unused"))], shape: []))]
      },
      Row("LinearRegressor", ml) { call in
        let x = try call.cast(try call.x(0), .float32)
        let targets = try call.int("targets", 1)
        let weights = try call.floats("coefficients")
        guard targets >= 1, weights.count % targets == 0 else { throw call.wrong("\(weights.count) coefficients do not fit \(targets) targets") }
        guard try call.text("post_transform", "NONE") == "NONE" else { throw call.unsupported("post_transform") }
        let kernel = try call.numbers(weights, [targets, weights.count / targets], .float32, "coefficients")
        var y = try call.add(MatMul(transposeB: true), [x, kernel], "matmul")
        let bias = try call.floats("intercepts", [])
        if !bias.isEmpty { y = try call.binary(.add, y, try call.numbers(bias, [bias.count], .float32, "intercepts")) }
        return [y]
      },
    ])

  private static func labels(_ call: ONNXCall) throws -> ValueID {
    func list(_ prefix: String) throws -> Tensor? {
      if call.has("\(prefix)_strings") {
        let texts = try call.texts("\(prefix)_strings")
        return Tensor(strings: texts, shape: [texts.count])
      }
      if call.has("\(prefix)_int64s") {
        let numbers = try call.ints("\(prefix)_int64s")
        return try Tensor(numbers.map { Int64($0) }, shape: [numbers.count])
      }
      if call.has("\(prefix)_floats") {
        let numbers = try call.floats("\(prefix)_floats")
        return try Tensor(converting: numbers, to: .float32, shape: [numbers.count])
      }
      if case .tensor(let tensor)? = call.attribute("\(prefix)_tensor") {
        let loaded = try tensor.load()
        return loaded.reshaped([loaded.count])
      }
      return nil
    }
    guard let keys = try list("keys"), let values = try list("values"), keys.count == values.count, keys.count >= 1 else {
      throw call.wrong("its keys and values do not fit")
    }
    let fallback: Tensor
    if case .tensor(let tensor)? = call.attribute("default_tensor") {
      let loaded = try tensor.load()
      guard loaded.count == 1 else { throw call.wrong("default_tensor has \(loaded.count) elements") }
      fallback = loaded.reshaped([])
    } else if values.dtype == .string {
      fallback = Tensor(strings: [ByteString(try call.text("default_string", "_Unused"))], shape: [])
    } else if values.dtype.isInteger {
      fallback = try Tensor(integers: [Int64(try call.int("default_int64", -1))], dtype: values.dtype, shape: [])
    } else {
      fallback = try Tensor(converting: [try call.float("default_float", -0.0)], to: values.dtype, shape: [])
    }
    return try looked(call, keys, values, fallback)
  }

  /// The value of each key; the first of equal keys counts.
  private static func looked(_ call: ONNXCall, _ keys: Tensor, _ values: Tensor, _ fallback: Tensor) throws -> ValueID {
    let x = try call.x(0), dtype = call.type(x).dtype
    guard fallback.dtype == values.dtype else { throw call.wrong("its default is \(fallback.dtype.name), its values are \(values.dtype.name)") }
    if keys.dtype == .string || keys.dtype.isInteger {
      guard (dtype == .string) == (keys.dtype == .string) else { throw call.wrong("keys of \(keys.dtype.name) for \(dtype.name)") }
      let whole = dtype == .string ? x : try call.cast(x, .int64)
      let wide = keys.dtype == .string ? keys : try keys.converted(to: .int64)
      return try call.add(Lookup(), [whole, call.constant(wide, "keys"), call.constant(values, "values"), call.constant(fallback, "default")], "lookup")
    }
    // Floats by the place of the first equal key.
    guard keys.count <= 4096 else { throw call.unsupported("\(keys.count) keys of floats") }
    let rank = call.type(x).rank
    let numbers = keys.doubles
    let line = call.constant(try keys.converted(to: dtype), "keys")
    var equal = try call.binary(.equal, try call.expand(x, rank), line)
    if numbers.contains(where: \.isNaN) {
      let isMissing = try call.binary(.and, try call.expand(try call.unary(.isnan, x), rank), call.constant(try Tensor(numbers.map(\.isNaN), shape: [numbers.count]), "missing"))
      equal = try call.binary(.or, equal, isMissing)
    }
    let place = try call.add(ArgReduce(.max, axis: rank), [try call.cast(equal, .int32)], "arg_reduce")
    let picked = try call.add(Gather(axis: 0), [call.constant(values, "values"), place], "gather")
    let isKnown = try call.reduce(.any, equal, [rank])
    guard values.dtype != .string else { throw call.unsupported("texts by keys of floats") }
    return try call.select(isKnown, picked, call.constant(fallback, "default"))
  }
}
