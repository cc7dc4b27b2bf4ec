import GraphModule
import TensorModule

/// Writes a loss as graph expressions, as Keras 3 on TensorFlow computes it.
struct LossWriter {
  let graph: GraphWriter
  let loss: LossConfiguration

  /// Keras's `backend.epsilon()`.
  static let epsilon = 1e-7

  /// The scalar loss.
  ///
  /// - Parameters:
  ///   - target: of float32, or class numbers.
  ///   - prediction: the model's output.
  ///   - weight: one number a sample, or as many as the loss has values.
  ///   - mask: Keras's mask of the output.
  func write(target: ValueID, prediction: ValueID, weight: ValueID?, mask: ValueID?) throws -> ValueID {
    var (values, ignored) = try values(target, prediction)
    var weight = weight
    let mask = try [mask, ignored].compactMap { $0 }.reduce(nil as ValueID?) { joined, next in
      try joined.map { try graph.binary(.and, try matched($0, next).0, try matched($0, next).1) } ?? next
    }
    if let mask {
      var factor = try graph.cast(mask, .float32)
      if loss.reduction == .sumOverBatchSize {
        let total = Double(try graph.shape(mask).elementCount)
        let valid = try graph.binary(.max, try graph.reduce(.sum, factor), 1)
        factor = try graph.binary(.mul, factor, try graph.binary(.div, try graph.scalar(total), valid))
      }
      if let given = weight {
        let (a, b) = try matched(factor, given)
        weight = try graph.binary(.mul, try spread(b, like: a), a)
      } else { weight = factor }
    }
    if let given = weight {
      let (a, b) = try matched(values, given)
      weight = b
      values = try graph.binary(.mul, a, try spread(b, like: a))
    }
    if graph.type(values).rank == 0 { return values }
    switch loss.reduction {
    case .sum: return try graph.reduce(.sum, values)
    case .sumOverBatchSize: return try graph.reduce(.mean, values)
    case .meanWithSampleWeight:
      guard let weight else { return try graph.reduce(.mean, values) }
      let sum = try graph.reduce(.sum, weight)
      let isZero = try graph.binary(.equal, sum, 0)
      let ratio = try graph.binary(.div, try graph.reduce(.sum, values), try graph.select(isZero, try graph.scalar(1), sum))
      return try graph.select(isZero, try graph.scalar(0), ratio)
    }
  }

  /// `squeeze_or_expand_to_same_rank`.
  private func matched(_ a: ValueID, _ b: ValueID) throws -> (ValueID, ValueID) {
    let (left, right) = (try graph.shape(a), try graph.shape(b))
    if left.count == right.count + 1, left.last == 1 {
      return right.count == 1 ? (a, try graph.reshape(b, right + [1])) : (try graph.reshape(a, Array(left.dropLast())), b)
    }
    if right.count == left.count + 1, right.last == 1 {
      return left.count == 1 ? (try graph.reshape(a, left + [1]), b) : (a, try graph.reshape(b, Array(right.dropLast())))
    }
    return (a, b)
  }

  /// A weight for each sample, along the other axes of values.
  private func spread(_ weight: ValueID, like values: ValueID) throws -> ValueID {
    let (from, to) = (try graph.shape(weight), try graph.shape(values))
    guard from.count < to.count, from == Array(to.prefix(from.count)) else { return weight }
    return try graph.reshape(weight, from + [Int](repeating: 1, count: to.count - from.count))
  }

  private func option(_ key: String, _ fallback: Double) -> Double { loss.options[key] ?? fallback }

  // MARK: Functions

  private func values(_ target: ValueID, _ prediction: ValueID) throws -> (ValueID, ignored: ValueID?) {
    if loss.hasClassTargets { return try sparse(target, prediction) }
    if let text = loss.graph {
      let (t, p) = try matched(target, prediction)
      return (try custom(text, t, p), nil)
    }
    let isPlain = !loss.function.contains("crossentropy") && !loss.function.contains("hinge")
    let (t, p) = isPlain ? try matched(target, prediction) : (target, prediction)
    let (wanted, found) = (try graph.shape(p), try graph.shape(t))
    guard wanted == found else {
      throw KilnError(.badInput, "targets of shape \(found.shapeText) for an output of shape \(wanted.shapeText)", hint: loss.function == "categorical_crossentropy" ? "sparse_categorical_crossentropy takes class numbers" : nil)
    }
    return (try dense(t, p), nil)
  }

  /// The nodes of a loss of the caller's own.
  private func custom(_ text: String, _ t: ValueID, _ p: ValueID) throws -> ValueID {
    let shapes = try [t, p].map(graph.shape)
    guard shapes[0] == shapes[1] else {
      throw KilnError(.badInput, "targets of shape \(shapes[0].shapeText) for an output of shape \(shapes[1].shapeText)")
    }
    let own = try TextForm.parse(text).specialized(to: shapes)
    var map = Dictionary(zip(own.inputs, [t, p]), uniquingKeysWith: { first, _ in first })
    for (id, tensor) in own.constants.sorted(by: { $0.key.index < $1.key.index }) { map[id] = graph.tape.graph.addConstant(own[id].name, tensor) }
    func value(_ id: ValueID) throws -> ValueID {
      guard let found = map[id] else { throw KilnError(.internal, "the loss uses a value before it is made") }
      return found
    }
    for node in own.nodes {
      let made = try graph.tape.graph.add(node.op, try node.inputs.map(value), name: node.outputs.first.map { own[$0].name } ?? "loss", scope: graph.scope)
      for (old, new) in zip(node.outputs, made) { map[old] = new }
    }
    guard let output = own.outputs.first else { throw KilnError(.internal, "the loss has no result") }
    return try value(output.value)
  }

  private func dense(_ t: ValueID, _ p: ValueID) throws -> ValueID {
    let g = graph
    let last = [g.type(p).rank - 1]
    func mean(_ x: ValueID) throws -> ValueID { try g.reduce(.mean, x, axes: last) }
    func sum(_ x: ValueID) throws -> ValueID { try g.reduce(.sum, x, axes: last) }
    let error = { try g.binary(.sub, p, t) }
    switch loss.function {
    case "mean_squared_error": return try mean(try g.unary(.square, try g.binary(.sub, t, p)))
    case "mean_absolute_error": return try mean(try g.unary(.abs, try g.binary(.sub, t, p)))
    case "mean_absolute_percentage_error":
      let size = try g.binary(.max, try g.unary(.abs, t), Self.epsilon)
      return try g.affine(try mean(try g.unary(.abs, try g.binary(.div, try g.binary(.sub, t, p), size))), 100)
    case "mean_squared_logarithmic_error":
      func log(_ x: ValueID) throws -> ValueID { try g.unary(.log, try g.affine(try g.binary(.max, x, Self.epsilon), 1, 1)) }
      return try mean(try g.unary(.square, try g.binary(.sub, try log(p), try log(t))))
    case "huber":
      let (delta, size) = (option("delta", 1), try g.unary(.abs, try error()))
      let inside = try g.affine(try g.unary(.square, try error()), 0.5)
      let outside = try g.affine(size, delta, -0.5 * delta * delta)
      return try mean(try g.select(try g.binary(.lessEqual, size, delta), inside, outside))
    case "log_cosh":
      let x = try error()
      return try mean(try g.affine(try g.binary(.add, x, try g.unary(.softplus, try g.affine(x, -2))), 1, -0.6931471805599453))
    case "hinge", "squared_hinge":
      let margin = try g.binary(.max, try g.affine(try g.binary(.mul, try signed(t), p), -1, 1), 0)
      return try mean(loss.function == "hinge" ? margin : try g.unary(.square, margin))
    case "categorical_hinge":
      let right = try sum(try g.binary(.mul, t, p))
      let wrong = try g.reduce(.max, try g.binary(.mul, try g.affine(t, -1, 1), p), axes: last)
      return try g.binary(.max, try g.affine(try g.binary(.sub, wrong, right), 1, 1), 0)
    case "poisson":
      return try mean(try g.binary(.sub, p, try g.binary(.mul, t, try g.unary(.log, try g.affine(p, 1, Self.epsilon)))))
    case "kl_divergence":
      let (a, b) = (try g.clip(t, Self.epsilon, 1), try g.clip(p, Self.epsilon, 1))
      return try sum(try g.binary(.mul, a, try g.unary(.log, try g.binary(.div, a, b))))
    case "cosine_similarity":
      let axis = Int(option("axis", -1))
      let axes = [axis < 0 ? axis + g.type(p).rank : axis]
      func normal(_ x: ValueID) throws -> ValueID {
        let squares = try g.reduce(.sum, try g.unary(.square, x), axes: axes, keepDims: true)
        return try g.binary(.mul, x, try g.unary(.rsqrt, try g.binary(.max, squares, 1e-12)))
      }
      return try g.unary(.neg, try g.reduce(.sum, try g.binary(.mul, try normal(t), try normal(p)), axes: axes))
    case "binary_crossentropy", "binary_focal_crossentropy": return try mean(try binary(t, p))
    case "categorical_crossentropy", "categorical_focal_crossentropy": return try categorical(t, p)
    case "dice", "tversky":
      // Over everything at once.
      let both = try g.reduce(.sum, try g.binary(.mul, t, p))
      let (targets, found) = (try g.reduce(.sum, t), try g.reduce(.sum, p))
      let isDice = loss.function == "dice"
      let (alpha, beta) = isDice ? (0.5, 0.5) : (option("alpha", 0.5), option("beta", 0.5))
      let missed = try g.affine(try g.binary(.sub, targets, both), alpha)
      let extra = try g.affine(try g.binary(.sub, found, both), beta)
      let rest = try g.binary(.add, try g.binary(.add, both, missed), extra)
      return try g.affine(try g.binary(.div, both, try g.affine(rest, 1, isDice ? Self.epsilon / 2 : Self.epsilon)), -1, 1)
    default: throw KilnError(.unsupportedModel, "the loss \(KilnError.quoted(loss.function)) is not supported")
    }
  }

  /// Labels of 0 and 1 as −1 and 1; others as they are.
  private func signed(_ t: ValueID) throws -> ValueID {
    let g = graph
    let isBit = try g.binary(.or, try g.binary(.equal, t, 0), try g.binary(.equal, t, 1))
    return try g.select(try g.reduce(.all, isBit), try g.affine(t, 2, -1), t)
  }

  private func binary(_ target: ValueID, _ p: ValueID) throws -> ValueID {
    let g = graph
    let smoothing = option("label_smoothing", 0)
    let t = smoothing == 0 ? target : try g.affine(target, 1 - smoothing, 0.5 * smoothing)
    let isFocal = loss.function == "binary_focal_crossentropy"
    let isLogit = option("from_logits", 0) != 0
    if !isFocal, let logits = try isLogit ? p : operand(of: p, { ($0 as? Elementwise)?.function == .sigmoid }) {
      // max(x, 0) − x · t + log(1 + e^−|x|).
      let tail = try g.unary(.softplus, try g.unary(.neg, try g.unary(.abs, logits)))
      return try g.binary(.add, try g.binary(.sub, try g.unary(.relu, logits), try g.binary(.mul, logits, t)), tail)
    }
    let share = isLogit ? try g.unary(.sigmoid, p) : p
    let safe = try g.clip(share, Self.epsilon, 1 - Self.epsilon)
    let first = try g.binary(.mul, t, try g.unary(.log, safe))
    let second = try g.binary(.mul, try g.affine(t, -1, 1), try g.unary(.log, try g.affine(safe, -1, 1)))
    let entropy = try g.unary(.neg, try g.binary(.add, first, second))
    guard isFocal else { return entropy }
    let others = try g.affine(t, -1, 1)
    let right = try g.binary(.add, try g.binary(.mul, t, share), try g.binary(.mul, others, try g.affine(share, -1, 1)))
    var focal = try g.binary(.mul, try g.binary(.pow, try g.affine(right, -1, 1), option("gamma", 2)), entropy)
    if option("apply_class_balancing", 0) != 0 {
      let alpha = option("alpha", 0.25)
      focal = try g.binary(.mul, try g.affine(t, 2 * alpha - 1, 1 - alpha), focal)
    }
    return focal
  }

  private func categorical(_ target: ValueID, _ p: ValueID) throws -> ValueID {
    let g = graph
    let axis = Int(option("axis", -1))
    let axes = [axis < 0 ? axis + g.type(p).rank : axis]
    let smoothing = option("label_smoothing", 0)
    let classes = Double(try g.shape(target).last ?? 1)
    let t = smoothing == 0 ? target : try g.affine(target, 1 - smoothing, smoothing / classes)
    let isFocal = loss.function == "categorical_focal_crossentropy"
    let isLogit = option("from_logits", 0) != 0
    if !isFocal, let logits = try isLogit ? p : operand(of: p, isSoftmax(axes[0])) {
      let logs = try g.add(Softmax(axis: axes[0], log: true), [logits])
      return try g.unary(.neg, try g.reduce(.sum, try g.binary(.mul, t, logs), axes: axes))
    }
    let shares = isLogit ? try g.add(Softmax(axis: axes[0]), [p]) : p
    let scaled = try g.binary(.div, shares, try g.reduce(.sum, shares, axes: axes, keepDims: true))
    let safe = try g.clip(scaled, Self.epsilon, 1 - Self.epsilon)
    var entropy = try g.unary(.neg, try g.binary(.mul, t, try g.unary(.log, safe)))
    if isFocal {
      let factor = try g.affine(try g.binary(.pow, try g.affine(safe, -1, 1), option("gamma", 2)), option("alpha", 0.25))
      entropy = try g.binary(.mul, factor, entropy)
    }
    return try g.reduce(.sum, entropy, axes: axes)
  }

  private func sparse(_ target: ValueID, _ p: ValueID) throws -> (ValueID, ignored: ValueID?) {
    let g = graph
    let shape = try g.shape(p)
    var t = target
    let own = try g.shape(t)
    if own.count == shape.count, own.last == 1 { t = try g.reshape(t, Array(own.dropLast())) }
    guard try g.shape(t) == Array(shape.dropLast()) else {
      throw KilnError(.badInput, "class numbers of shape \(own.shapeText) for an output of shape \(shape.shapeText)")
    }
    var valid: ValueID?
    if let ignored = loss.options["ignore_class"] {
      let mask = try g.binary(.notEqual, t, ignored)
      t = try g.select(mask, t, try g.scalar(0, g.type(t).dtype))
      valid = mask
    }
    let last = shape.count - 1
    let logits: ValueID
    if option("from_logits", 0) != 0 { logits = p } else if let found = try operand(of: p, isSoftmax(last)) { logits = found } else {
      logits = try g.unary(.log, try g.clip(p, Self.epsilon, 1 - Self.epsilon))
    }
    let logs = try g.add(Softmax(axis: last, log: true), [logits])
    // What is out of range has no place in a row; it is refused before the step.
    let chosen = try g.add(OneHot(depth: shape[last]), [t])
    var values = try g.unary(.neg, try g.reduce(.sum, try g.binary(.mul, chosen, logs), axes: [last]))
    if let valid { values = try g.select(valid, values, try g.scalar(0)) }
    return (values, valid)
  }

  private func isSoftmax(_ axis: Int) -> (any OpDefinition) -> Bool {
    let rank = axis
    return { op in
      guard let softmax = op as? Softmax, !softmax.log else { return false }
      return softmax.axis == rank || softmax.axis < 0 && rank + 1 + softmax.axis == rank
    }
  }

  /// The operand of the node that makes the value, when it is of this kind; Keras then takes the logits themselves.
  private func operand(of value: ValueID, _ isWanted: (any OpDefinition) -> Bool) throws -> ValueID? {
    var value = value
    while let node = graph.tape.graph.nodes.last(where: { $0.outputs.contains(value) }) {
      if isWanted(node.op) { return node.inputs[0] }
      guard (node.op as? Elementwise)?.function == .identity else { return nil }
      value = node.inputs[0]
    }
    return nil
  }
}
