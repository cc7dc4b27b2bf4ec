import TensorModule

/// The derivative of `rnn` by its operands: backpropagation through time.
package struct RNNGradient: OpDefinition {
  package static let name = "rnn_gradient"
  package static let summary =
    "the cotangents of rnn's operands x, kernel, recurrent, then bias, initial states where it has them: operands those of rnn, then the trace if it kept one, then the cotangents of its other results; without a trace the forward pass is run again"

  /// The op whose derivative it is.
  package var rnn: RNN

  package init(_ rnn: RNN) { self.rnn = rnn }

  package var attributes: Attributes { rnn.attributes }

  package init(from reader: inout AttributeReader) throws { rnn = try RNN(from: &reader) }

  /// How many results with a cotangent the op whose derivative it is has.
  package var resultCount: Int { rnn.cell == .lstm ? 3 : 2 }

  /// The operand that is the trace.
  package var traceOperand: Int? { rnn.trace ? rnn.operands.count : nil }

  /// The operand that is the first cotangent.
  package var firstCotangent: Int { rnn.operands.count + (rnn.trace ? 1 : 0) }

  /// The operands of `rnn` that have a cotangent, in the order of the results.
  package var differentiated: [Int] {
    [0, 1, 2] + [rnn.operands.bias, rnn.operands.h0, rnn.operands.c0].compactMap { $0 }
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    let count = rnn.operands.count
    let all = firstCotangent + resultCount
    try Expect.count(inputs, all...all, Self.name)
    let results = try rnn.infer(Array(inputs.prefix(count)))
    let given = (traceOperand.map { [inputs[$0]] } ?? []) + inputs.suffix(resultCount)
    for (result, cotangent) in zip(results.suffix(rnn.trace ? 1 : 0) + results.prefix(resultCount), given) {
      try Expect.that(
        cotangent.dtype == result.dtype && cotangent.rank == result.rank, Self.name,
        "a cotangent or trace must be \(result.message), found \(cotangent.message)")
      for (a, b) in zip(result.dims, cotangent.dims) {
        try Expect.equal(a, b, Self.name, "the dims of the result \(result.message) and of its cotangent \(cotangent.message)")
      }
    }
    for activation in [rnn.activation] + (rnn.cell == .simple ? [] : [rnn.recurrentActivation]) {
      try Expect.that(activation.hasSlope, Self.name, "the activation '\(activation.function.rawValue)' has no derivative here")
    }
    return differentiated.map { inputs[$0] }
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int {
    let perStep = inputs[1].elementCount + inputs[2].elementCount
    return (inputs[0].dims[0] * inputs[0].dims[1] * perStep * 6).fixed ?? 0
  }

  package static var examples: [OpExample] {
    RNN.examples.compactMap { example in
      // A trace has to be that of the other operands: RNN's own examples have it differentiated with one.
      guard let rnn = example.op as? RNN, !rnn.trace, let results = try? rnn.infer(example.inputs), rnn.activation.hasSlope,
        rnn.cell == .simple || rnn.recurrentActivation.hasSlope
      else { return nil }
      return OpExample(RNNGradient(rnn), example.inputs + results, range: example.range, fixed: example.fixed)
    }
  }
}

extension Activation {
  /// Whether recurrent cells can be differentiated with it.
  package var hasSlope: Bool {
    [.identity, .tanh, .sigmoid, .relu, .hardSigmoid, .softsign, .softplus, .elu, .selu, .leakyRelu, .exp, .clip].contains(function)
  }

  /// f′(x), where y = f(x).
  package func slope(_ x: Double, _ y: Double) -> Double {
    let p = parameters
    switch function {
    case .tanh: return 1 - y * y
    case .sigmoid: return y * (1 - y)
    case .relu: return y > 0 ? 1 : 0
    case .hardSigmoid: return y > 0 && y < 1 ? p[0] : 0
    case .softsign: return 1 / ((1 + Swift.abs(x)) * (1 + Swift.abs(x)))
    case .softplus: return 1 / (1 + C.exp(-x))
    case .elu: return x > 0 ? 1 : y + p[0]
    case .selu: return x > 0 ? 1.0507009873554805 : y + 1.0507009873554805 * 1.6732632423543772
    case .leakyRelu: return x > 0 ? 1 : p[0]
    case .exp: return y
    case .clip: return x > p[0] && x < p[1] ? 1 : 0
    default: return 1
    }
  }
}

extension RNN: DifferentiableOp {
  package func gradient(_ call: GradientCall) throws {
    let op = RNNGradient(self)
    if trace, call.cotangents[op.resultCount] != nil { throw KilnError(.unsupportedModel, "the trace of 'rnn' has no derivative") }
    let cotangents = try (0..<op.resultCount).map { try call.cotangent($0) }
    let results = try call.addAll(op, call.inputs + (trace ? [call.outputs[op.resultCount]] : []) + cotangents)
    for (operand, result) in zip(op.differentiated, results) where call.wants(operand) { try call.give(operand, result) }
  }
}
