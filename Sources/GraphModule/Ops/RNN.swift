import TensorModule

/// A recurrent layer over a whole sequence, by Keras's definitions of its cells.
package struct RNN: OpDefinition {
  package static let name = "rnn"
  package static let summary =
    "operands x [batch, time, features], kernel [features, gates · units], recurrent [units, gates · units], then when asked for bias [gates · units] ([2, gates · units] for gru_reset_after), mask bool [batch, time], h0 and (lstm) c0 [batch, units]; results output [batch, time, units] or [batch, units], last h and (lstm) c [batch, units], with `trace` what its derivative needs [batch, time, fields · units]"

  package enum Cell: String, Sendable, CaseIterable {
    /// Gates in the order input, forget, cell, output.
    case lstm
    /// Gates in the order update, reset, candidate; the reset gate multiplies the state before the recurrent product.
    case gru
    /// The reset gate multiplies the recurrent product (`reset_after`).
    case gruResetAfter = "gru_reset_after"
    case simple

    package var gates: Int {
      switch self {
      case .lstm: 4
      case .gru, .gruResetAfter: 3
      case .simple: 1
      }
    }

    /// The fields of a trace, each of all units; at a masked step all but the states before are zeros.
    ///
    /// - `simple`: the new state, the state before.
    /// - `lstm`: the four gates after their activations, the cell state before, the state before.
    /// - `gru_reset_after`: the three gates, the recurrent product that the reset gate multiplies, the state before.
    /// - `gru`: the three gates, the state before.
    package var traceFields: Int {
      switch self {
      case .lstm: 6
      case .gruResetAfter: 5
      case .gru: 4
      case .simple: 2
      }
    }
  }

  package var cell: Cell
  package var activation: Activation
  /// Of the gates; not used by `simple`.
  package var recurrentActivation: Activation
  /// Time runs from the end; a sequence is given back in the order in which it is made.
  package var goBackwards: Bool
  package var returnSequences: Bool
  /// The output at a masked step is zeros instead of the output before it.
  package var zeroOutputForMask: Bool
  package var bias: Bool
  package var mask: Bool
  package var initialState: Bool
  /// Whether the last result is a trace of the forward pass, for `rnn_gradient`.
  package var trace = false
  /// What training drops inside the cell; predicting ignores it.
  package var dropout: Dropout?

  /// Dropout with a mask for each gate, the same at all steps.
  package struct Dropout: Hashable, Sendable {
    package var input: Double
    package var recurrent: Double
    /// The random numbers of the input's masks; the state's are of the stream behind.
    package var stream: Int

    package init(input: Double, recurrent: Double, stream: Int) { (self.input, self.recurrent, self.stream) = (input, recurrent, stream) }
  }

  package init(
    cell: Cell, activation: Activation = Activation(.tanh), recurrentActivation: Activation = Activation(.sigmoid),
    goBackwards: Bool = false, returnSequences: Bool = false, zeroOutputForMask: Bool = false, bias: Bool = true,
    mask: Bool = false, initialState: Bool = false
  ) {
    self.cell = cell
    self.activation = activation
    self.recurrentActivation = recurrentActivation
    self.goBackwards = goBackwards
    self.returnSequences = returnSequences
    self.zeroOutputForMask = zeroOutputForMask
    self.bias = bias
    self.mask = mask
    self.initialState = initialState
  }

  /// The operand indices of what is optional.
  package var operands: (bias: Int?, mask: Int?, h0: Int?, c0: Int?, count: Int) {
    var next = 3
    func take(_ present: Bool) -> Int? {
      guard present else { return nil }
      next += 1
      return next - 1
    }
    let (bias, mask) = (take(bias), take(mask))
    let (h0, c0) = (take(initialState), take(initialState && cell == .lstm))
    return (bias, mask, h0, c0, next)
  }

  package var attributes: Attributes {
    var list: Attributes = [
      ("cell", .word(cell.rawValue)), ("activation", activation.attribute),
      ("recurrent_activation", recurrentActivation.attribute), ("go_backwards", .bool(goBackwards)),
      ("return_sequences", .bool(returnSequences)), ("zero_output_for_mask", .bool(zeroOutputForMask)),
      ("bias", .bool(bias)),
      ("mask", .bool(mask)), ("initial_state", .bool(initialState)),
    ]
    if trace { list.append(("trace", .bool(true))) }
    if let dropout { list += [("dropout", .floats([dropout.input, dropout.recurrent])), ("dropout_stream", .int(dropout.stream))] }
    return list
  }

  package init(from reader: inout AttributeReader) throws {
    cell = try reader.choice("cell")
    activation = try Activation(attribute: reader.value("activation"), op: Self.name)
    recurrentActivation = try Activation(attribute: reader.value("recurrent_activation"), op: Self.name)
    goBackwards = try reader.bool("go_backwards")
    returnSequences = try reader.bool("return_sequences")
    zeroOutputForMask = try reader.bool("zero_output_for_mask")
    bias = try reader.bool("bias")
    mask = try reader.bool("mask")
    initialState = try reader.bool("initial_state")
    if reader.has("trace") { trace = try reader.bool("trace") }
    if reader.has("dropout") {
      let rates = try reader.floats("dropout")
      guard rates.count == 2, rates.allSatisfy({ (0...1).contains($0) }) else {
        throw KilnError(.badInput, "op 'rnn': dropout must be two rates from 0 to 1")
      }
      dropout = Dropout(input: rates[0], recurrent: rates[1], stream: try reader.int("dropout_stream"))
    }
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    let operands = operands
    try Expect.count(inputs, operands.count...operands.count, Self.name)
    let (x, kernel, recurrent) = (inputs[0], inputs[1], inputs[2])
    try Expect.rank(x, 3...3, Self.name, "the input")
    try Expect.rank(kernel, 2...2, Self.name, "the kernel")
    try Expect.rank(recurrent, 2...2, Self.name, "the recurrent kernel")
    try Expect.float(x, Self.name, "the input")
    try Expect.that(x.dims[2].fixed != 0, Self.name, "the input \(x.message) has no features")
    try activation.check(Self.name)
    try recurrentActivation.check(Self.name)
    for index in inputs.indices where index != operands.mask {
      try Expect.that(
        inputs[index].dtype == x.dtype, Self.name,
        "operand \(index) is \(inputs[index].message), the input \(x.message)")
    }
    guard let units = recurrent.dims[0].fixed, (1...Window.limit).contains(units) else {
      throw KilnError(
        .badInput, "op 'rnn': the recurrent kernel must have a fixed number of units, found \(recurrent.message)")
    }
    let width = Dim(units * cell.gates)
    try Expect.equal(
      kernel.dims[0], x.dims[2], Self.name, "the features of \(x.message) and of the kernel \(kernel.message)")
    try Expect.equal(kernel.dims[1], width, Self.name, "the kernel's width and \(cell.gates) times \(units) units")
    try Expect.equal(
      recurrent.dims[1], width, Self.name, "the recurrent kernel's width and \(cell.gates) times \(units) units")
    func expect(_ index: Int?, _ dims: [Dim], _ what: String) throws {
      guard let index else { return }
      try Expect.rank(inputs[index], dims.count...dims.count, Self.name, what)
      for (a, b) in zip(inputs[index].dims, dims) {
        try Expect.equal(
          a, b, Self.name, "the dims of \(what) \(inputs[index].message) and \(TensorType(x.dtype, dims).message)")
      }
    }
    try expect(operands.bias, cell == .gruResetAfter ? [2, width] : [width], "the bias")
    try expect(operands.mask, [x.dims[0], x.dims[1]], "the mask")
    if let mask = operands.mask {
      try Expect.that(inputs[mask].dtype == .bool, Self.name, "the mask must be bool, found \(inputs[mask].message)")
    }
    try expect(operands.h0, [x.dims[0], Dim(units)], "the initial state")
    try expect(operands.c0, [x.dims[0], Dim(units)], "the initial cell state")
    let state = TensorType(x.dtype, [x.dims[0], Dim(units)])
    let output = returnSequences ? TensorType(x.dtype, [x.dims[0], x.dims[1], Dim(units)]) : state
    let kept = TensorType(x.dtype, [x.dims[0], x.dims[1], Dim(units * cell.traceFields)])
    return [output, state] + (cell == .lstm ? [state] : []) + (trace ? [kept] : [])
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int {
    let perStep = inputs[1].elementCount + inputs[2].elementCount
    return (inputs[0].dims[0] * inputs[0].dims[1] * perStep * 2).fixed ?? 0
  }
}
