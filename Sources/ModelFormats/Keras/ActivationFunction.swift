import GraphModule
import TensorModule

/// An activation as Keras configs name it.
enum ActivationFunction {
  case scalar(Activation)
  case softmax(axis: Int, log: Bool)
  case glu
  case sparsemax
  /// A layer without weights that is used as a function.
  case layer(KerasLayer)
  /// A function of somebody's own whose meaning the caller gives.
  case expression(LayerExpression)

  static var identity: ActivationFunction { .scalar(.identity) }

  var isIdentity: Bool { if case .scalar(.identity) = self { true } else { false } }

  /// Reads the activation under `key`: a name, a function object, or a layer object.
  static func read(
    _ config: LayerConfig, _ models: KerasModelReader, _ key: String = "activation", default fallback: String = "linear"
  )
    -> ActivationFunction
  {
    guard let value = config.json(key) else { return named(config.has(key) ? "linear" : fallback, config, key, models) }
    if let name = value.stringValue { return named(name, config, key, models) }
    // Late tf.keras and Keras 3 write a lambda's code, with its defaults and closure.
    if value["class_name"]?.stringValue == "__lambda__" || value["class_name"] == nil && value["value"]?.arrayValue?.count == 3 {
      return named("<lambda>", config, key, models)
    }
    guard let className = value["class_name"]?.stringValue else {
      config.malformed("\(key) must be a name or an object, found \(LayerConfig.describe(value))")
      return .identity
    }
    if className == "function" || className == "builtin_function_or_method" {
      return named(value["config"]?.stringValue ?? value["registered_name"]?.stringValue ?? className, config, key, models)
    }
    if value["config"]?.objectValue != nil, LayerCatalog.isKnown(className) {
      guard let layer = models.innerLayer(value, of: config, role: key) else { return .identity }
      guard layer.slots.trainable.isEmpty, layer.slots.other.isEmpty else {
        config.unsupported("\(key) \(KilnError.quoted(className)), a layer with weights,")
        return .identity
      }
      return .layer(layer)
    }
    return named(className, config, key, models)
  }

  private static func named(_ text: String, _ config: LayerConfig, _ key: String, _ models: KerasModelReader) -> ActivationFunction {
    let known = function(named: text, config.dialect)
    if let expression = models.replacements?.activation(text, isKnown: known != nil, of: config, key) {
      guard known == nil else {
        config.malformed("--replace-layer replaces activations that Kiln does not know; \(key) \(KilnError.quoted(text)) is read as it is")
        return .identity
      }
      // What is nothing but a known function serves where only these do, as in recurrent layers.
      if let name = expression.functionOfInput, let found = function(named: name, config.dialect) { return found }
      return .expression(expression)
    }
    if let known { return known }
    let isCode = text.hasPrefix("<lambda")
    let what = "\(key) \(KilnError.quoted(text)) \(isCode ? "is Python code and is not loaded" : "is not supported")"
    let name = KilnError.escaped("\(config.path).\(key)")
    config.diagnostics.add(
      ImportProblem(
        kind: .unsupported, layer: config.path, className: config.className,
        message: "\(what); --replace-layer '\(name)=x * 2' gives it a meaning",
        nearest: isCode ? nil : Nearest.name(to: text, among: names)))
    return .identity
  }

  /// Every name that is understood.
  static let names = [
    "linear", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "swish", "sigmoid", "hard_sigmoid",
    "log_sigmoid",
    "hard_silu", "hard_swish", "tanh", "hard_tanh", "tanh_shrink", "softmax", "log_softmax", "softplus", "softsign",
    "soft_shrink",
    "hard_shrink", "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus", "exponential", "mish", "glu",
  ]

  /// The function of that name, with the parameters that Keras gives it when it is called by name.
  static func function(named name: String, _ dialect: KerasDialect) -> ActivationFunction? {
    func scalar(_ function: ScalarFunction, _ parameters: Double...) -> ActivationFunction {
      .scalar(Activation(function, parameters))
    }
    switch name {
    case "linear", "identity": return .identity
    case "relu": return scalar(.relu)
    case "relu6": return scalar(.clip, 0, 6)
    case "leaky_relu": return scalar(.leakyRelu, 0.2)
    case "elu": return scalar(.elu, 1)
    case "selu": return scalar(.selu)
    case "celu": return scalar(.celu, 1)
    case "gelu": return scalar(.gelu)
    case "silu", "swish": return scalar(.silu)
    case "sigmoid": return scalar(.sigmoid)
    // relu6(x + 3) / 6 in Keras 3, clip(0.2 x + 0.5, 0, 1) before.
    case "hard_sigmoid": return dialect.isKeras3 ? scalar(.hardSigmoid, 1.0 / 6, 0.5) : scalar(.hardSigmoid, 0.2, 0.5)
    case "log_sigmoid": return scalar(.logSigmoid)
    case "hard_silu", "hard_swish": return scalar(.hardSwish)
    case "tanh": return scalar(.tanh)
    case "hard_tanh": return scalar(.clip, -1, 1)
    case "tanh_shrink": return scalar(.tanhShrink)
    case "softmax", "softmax_v2": return .softmax(axis: -1, log: false)
    case "log_softmax", "log_softmax_v2": return .softmax(axis: -1, log: true)
    case "softplus": return scalar(.softplus)
    case "softsign": return scalar(.softsign)
    case "soft_shrink": return scalar(.softShrink, 0.5)
    case "hard_shrink": return scalar(.hardShrink, 0.5)
    case "sparse_plus": return scalar(.sparsePlus)
    case "sparse_sigmoid": return scalar(.sparseSigmoid)
    case "sparsemax": return .sparsemax
    case "squareplus": return scalar(.squareplus, 4)
    case "exponential", "exp": return scalar(.exp)
    case "mish": return scalar(.mish)
    case "glu": return .glu
    default: return nil
    }
  }

  /// The function as a cell of a recurrent op takes it; another one is a problem.
  func cellActivation(_ config: LayerConfig, _ key: String) -> Activation {
    if case .scalar(let activation) = self { return activation }
    if case .expression(let expression) = self {
      config.unsupported("\(key) of a recurrent layer as \(KilnError.quoted(expression.text)), which is not one function of x such as 'relu(x)',")
      return .identity
    }
    config.unsupported("\(key) that is not a function of single elements", nearest: "tanh")
    return .identity
  }

  func apply(_ call: LayerCall, _ x: ValueID) throws -> ValueID {
    switch self {
    case .scalar(.identity): return x
    case .scalar(let activation):
      return try call.add(Elementwise(activation), [x], activation.function.rawValue)
    case .softmax(let axis, let log):
      return try call.add(Softmax(axis: axis, log: log), [x], log ? "log_softmax" : "softmax")
    case .glu: return try glu(call, x)
    case .sparsemax: return try sparsemax(call, x)
    case .expression(let expression): return try evaluated(expression, call, x)
    case .layer(let layer):
      let inner = LayerCall(builder: call.builder, layer: layer, arguments: [.leaf(KerasTensor(x))], keywords: [])
      guard let result = try layer.reader.call(inner).first else {
        throw KilnError(.internal, "a layer without result")
      }
      return result.value
    }
  }

  private func evaluated(_ expression: LayerExpression, _ call: LayerCall, _ x: ValueID) throws -> ValueID {
    let inner = LayerCall(around: call, arguments: [.leaf(KerasTensor(x))], keywords: [])
    do {
      let results = try ExpressionEvaluator(inner, expression, constants: []).results()
      guard results.count == 1, let result = results.first else { throw KilnError(.usage, "an activation has one result, found \(results.count)") }
      return result.value
    } catch let error as KilnError {
      throw KilnError(error.code, "--replace-layer: \(error.message)", hint: error.hint)
    }
  }

  /// a · σ(b) for the halves a, b of the last axis.
  private func glu(_ call: LayerCall, _ x: ValueID) throws -> ValueID {
    let type = call.type(x)
    let length = try call.fixed(x, axis: -1)
    guard length % 2 == 0 else { throw KilnError(.badInput, "glu needs an even last axis, found \(type.message)") }
    let open = [Slice.Range](repeating: .all, count: type.rank - 1)
    let a = try call.add(Slice(open + [Slice.Range(end: length / 2)]), [x], "half_0")
    let b = try call.add(Slice(open + [Slice.Range(start: length / 2)]), [x], "half_1")
    return try call.binary(.mul, a, try call.unary(.sigmoid, b))
  }

  /// Keras's sparsemax over the last axis: z sorted in falling order, c its running sum, r = 1, 2, …;
  /// S = [z − (c − 1) / r > 0], τ = (Σ S·c − 1) / Σ S, result max(x − τ, 0).
  private func sparsemax(_ call: LayerCall, _ x: ValueID) throws -> ValueID {
    let length = try call.fixed(x, axis: -1)
    let dtype = call.type(x).dtype
    let axis = call.type(x).rank - 1
    guard length <= 1 << 20 else { throw KilnError(.badInput, "sparsemax over \(length) elements") }
    let sorted = try call.addAll(TopK(k: length), [x], "sorted")
    guard let z = sorted.first else { throw KilnError(.internal, "top-k without result") }
    let c = try call.add(Cumulative(.sum, axis: axis), [z], "running_sum")
    let ranks = call.constant(
      try Tensor(converting: (1...max(length, 1)).map(Double.init), to: dtype, shape: [length]), "ranks")
    let bound = try call.binary(.div, try call.unary(.affine, [1, -1], c), ranks)
    let zero = try call.scalar(0, dtype)
    let support = try call.binary(.greater, try call.binary(.sub, z, bound), zero)
    let kept = try call.add(Elementwise(.select), [support, c, zero], "kept")
    let sum = try call.add(Reduce(.sum, axes: [axis], keepDims: true), [kept], "sum")
    let count = try call.add(Reduce(.sum, axes: [axis], keepDims: true), [try call.cast(support, to: dtype)], "count")
    let tau = try call.binary(.div, try call.unary(.affine, [1, -1], sum), count)
    return try call.unary(.relu, try call.binary(.sub, x, tau))
  }
}

/// Finds what a misspelt or unknown name is nearest to.
enum Nearest {
  /// The candidate with the smallest edit distance, when it is near enough to be a help.
  static func name(to text: String, among candidates: [String]) -> String? {
    let wanted = Array(text.lowercased().unicodeScalars.prefix(64))
    let best = candidates.map { ($0, distance(wanted, Array($0.lowercased().unicodeScalars))) }.min { $0.1 < $1.1 }
    guard let (name, edits) = best, edits <= max(2, wanted.count / 3) else { return nil }
    return name
  }

  private static func distance(_ a: [Unicode.Scalar], _ b: [Unicode.Scalar]) -> Int {
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, y) in b.enumerated() {
        let next = min(row[j + 1] + 1, row[j] + 1, diagonal + (x == y ? 0 : 1))
        diagonal = row[j + 1]
        row[j + 1] = next
      }
    }
    return row[b.count]
  }
}
