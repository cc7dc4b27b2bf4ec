import GraphModule
import TensorModule

/// What the body of a loop computes from the state and the input of one step, as the cell of an `RNN`.
struct RecurrentCell {
  var cell: RNN.Cell
  var activation: Activation
  var recurrentActivation: Activation
  /// The slice that is the step's input.
  var input: ValueID
  var features: Int
  var units: Int
  /// Row-major [features, gates · units], [units, gates · units], in the order of `RNN`.
  var kernel: [Double]
  var recurrent: [Double]
  /// [gates · units], twice that for `gruResetAfter`; nil when it is all zeros.
  var bias: [Double]?

  /// - Parameters:
  ///   - next: the new state, and for an LSTM the new cell state.
  ///   - state: the state before.
  ///   - inputs: the slices.
  init?(_ body: BodyReader, next: (h: ValueID, c: ValueID?), state: (h: ValueID, c: ValueID?), inputs: Set<ValueID>) {
    guard let units = body.graph.type(of: state.h).dims.last?.fixed, units > 0 else { return nil }
    let found: Gates?
    if let c = state.c, let newC = next.c {
      found = Gates.lstm(body, newH: next.h, newC: newC, c: c)
    } else {
      found = Gates.gru(body, newH: next.h, h: state.h) ?? Gates.simple(body, newH: next.h)
    }
    guard let found, let first = found.forms.first else { return nil }
    var sources: Set<ValueID> = []
    for form in found.forms + (found.inner.map { [$0] } ?? []) {
      guard form.width == units else { return nil }
      sources.formUnion(form.terms.keys)
    }
    sources.remove(state.h)
    if let reset = found.resetState { sources.remove(reset) }
    guard sources.count == 1, let input = sources.first, inputs.contains(input), let features = first.terms[input].map({ $0.count / units }) else { return nil }
    let gates = found.forms.count
    var kernel = [Double](repeating: 0, count: features * gates * units)
    var recurrent = [Double](repeating: 0, count: units * gates * units)
    var bias: [Double] = []
    for (gate, form) in found.forms.enumerated() {
      var fromState = form.terms[state.h]
      if gate == 2, let reset = found.resetState {
        guard fromState == nil else { return nil }
        fromState = form.terms[reset]
      }
      if gate == 2, let inner = found.inner {
        guard fromState == nil, inner.terms.count == 1, let matrix = inner.terms[state.h] else { return nil }
        fromState = matrix
      }
      // A gate that does not look at the state, or at the input, has zeros there.
      let x = form.terms[input] ?? [Double](repeating: 0, count: features * units)
      let h = fromState ?? [Double](repeating: 0, count: units * units)
      guard x.count == features * units, h.count == units * units else { return nil }
      for row in 0..<features { for unit in 0..<units { kernel[row * gates * units + gate * units + unit] = x[row * units + unit] } }
      for row in 0..<units { for unit in 0..<units { recurrent[row * gates * units + gate * units + unit] = h[row * units + unit] } }
      bias += form.bias
    }
    if found.cell == .gruResetAfter { bias += [Double](repeating: 0, count: 2 * units) + (found.inner?.bias ?? []) }
    cell = found.cell
    activation = found.activation
    recurrentActivation = found.recurrentActivation
    self.input = input
    self.features = features
    self.units = units
    self.kernel = kernel
    self.recurrent = recurrent
    self.bias = bias.allSatisfy { $0 == 0 } ? nil : bias
  }
}

/// The gates of a cell before their activations, in the order of `RNN`.
private struct Gates {
  var cell: RNN.Cell
  var activation: Activation
  var recurrentActivation: Activation
  var forms: [LinearForm]
  /// The state times the reset gate, which the candidate of a GRU reads.
  var resetState: ValueID?
  /// What the reset gate multiplies after the product.
  var inner: LinearForm?

  private static func gate(_ body: BodyReader, _ id: ValueID) -> (Activation, LinearForm)? {
    guard let found = body.activation(id), let form = body.linear(found.operand, found.columns) else { return nil }
    return (found.activation, form)
  }

  /// Both orders of two operands.
  private static func orders(_ pair: [ValueID]?) -> [(ValueID, ValueID)] {
    guard let pair, pair.count == 2 else { return [] }
    return [(pair[0], pair[1]), (pair[1], pair[0])]
  }

  /// c' = f · c + i · g, h' = o · act(c').
  static func lstm(_ body: BodyReader, newH: ValueID, newC: ValueID, c: ValueID) -> Gates? {
    for (kept, added) in orders(body.operands(newC, .add)) {
      for (forget, old) in orders(body.operands(kept, .mul)) where old == c {
        guard let (sigma, f) = gate(body, forget) else { continue }
        for (inputGate, candidate) in orders(body.operands(added, .mul)) {
          guard let (sigmaI, i) = gate(body, inputGate), let (phi, g) = gate(body, candidate), sigmaI == sigma else { continue }
          for (outputGate, squashed) in orders(body.operands(newH, .mul)) {
            guard let (sigmaO, o) = gate(body, outputGate), sigmaO == sigma else { continue }
            let inner: (Activation, ValueID)
            if squashed == body.plain(newC) { inner = (.identity, squashed) } else {
              guard let node = body.node(squashed), let op = node.op as? Elementwise, op.function.arity == 1 else { continue }
              inner = (Activation(op.function, op.parameters), body.plain(node.inputs[0]))
            }
            guard inner.0 == phi, inner.1 == body.plain(newC) else { continue }
            return Gates(cell: .lstm, activation: phi, recurrentActivation: sigma, forms: [i, f, g, o])
          }
        }
      }
    }
    return nil
  }

  /// h' = u · h + (1 − u) · act(candidate).
  static func gru(_ body: BodyReader, newH: ValueID, h: ValueID) -> Gates? {
    for (kept, added) in orders(body.operands(newH, .add)) {
      for (update, old) in orders(body.operands(kept, .mul)) where old == h {
        guard let (sigma, u) = gate(body, update) else { continue }
        for (rest, candidate) in orders(body.operands(added, .mul)) where isRest(body, rest, of: update) {
          guard let found = body.activation(candidate) else { continue }
          if let gates = resetBefore(body, found, h, sigma, u) ?? resetAfter(body, found, sigma, u) { return gates }
        }
      }
    }
    return nil
  }

  /// Whether a value is 1 − u.
  private static func isRest(_ body: BodyReader, _ id: ValueID, of update: ValueID) -> Bool {
    if let pair = body.operands(id, .sub) { return body.number(pair[0]) == 1 && pair[1] == body.plain(update) }
    guard let node = body.node(id), let op = node.op as? Elementwise, op.function == .affine else { return false }
    return op.parameters == [-1, 1] && body.plain(node.inputs[0]) == body.plain(update)
  }

  private static func resetBefore(
    _ body: BodyReader, _ candidate: (activation: Activation, operand: ValueID, columns: Range<Int>), _ h: ValueID, _ sigma: Activation, _ u: LinearForm
  ) -> Gates? {
    guard let form = body.linear(candidate.operand, candidate.columns) else { return nil }
    for source in form.terms.keys {
      for (reset, old) in orders(body.operands(source, .mul)) where old == h {
        guard let (sigmaR, r) = gate(body, reset), sigmaR == sigma else { continue }
        return Gates(
          cell: .gru, activation: candidate.activation, recurrentActivation: sigma, forms: [u, r, form], resetState: source)
      }
    }
    return nil
  }

  private static func resetAfter(
    _ body: BodyReader, _ candidate: (activation: Activation, operand: ValueID, columns: Range<Int>), _ sigma: Activation, _ u: LinearForm
  ) -> Gates? {
    guard body.graph.type(of: candidate.operand).dims.last?.fixed == candidate.columns.count else { return nil }
    for (fromInput, product) in orders(body.operands(candidate.operand, .add)) {
      guard let form = body.linear(fromInput, candidate.columns) else { continue }
      for (reset, state) in orders(body.operands(product, .mul)) {
        guard let (sigmaR, r) = gate(body, reset), sigmaR == sigma, let inner = body.linear(state) else { continue }
        return Gates(
          cell: .gruResetAfter, activation: candidate.activation, recurrentActivation: sigma, forms: [u, r, form], inner: inner)
      }
    }
    return nil
  }

  /// h' = act(x · W + h · U + b).
  static func simple(_ body: BodyReader, newH: ValueID) -> Gates? {
    guard let (phi, form) = gate(body, newH) else { return nil }
    return Gates(cell: .simple, activation: phi, recurrentActivation: Activation(.sigmoid), forms: [form])
  }
}
