import GraphModule
import TensorModule

/// Keras `SimpleRNN`, `LSTM`, `GRU`.
struct RecurrentLayer: KerasLayerReader {
  enum Kind { case simple, lstm, gru }

  let kind: Kind
  let cell: RNN.Cell
  let units: Int
  let activation: Activation
  let recurrentActivation: Activation
  let usesBias: Bool
  let returnsSequences: Bool
  let returnsState: Bool
  let isTimeMajor: Bool
  var zeroOutputForMask: Bool
  let goesBackwards: Bool
  let isStateful: Bool
  /// Of the inputs and of the state, and whether each gate draws its own.
  let inputDropout: Double
  let recurrentDropout: Double
  let hasGateMasks: Bool
  /// Whether dropout is known to be as Keras computes it.
  let trainsDropout: Bool
  /// Whether all steps drop the same inputs.
  let sharesSteps: Bool
  /// Keras 1 keeps an array for each gate, unless `consume_less` is `gpu` (since 1.0.3).
  let hasGateArrays: Bool

  init(_ config: LayerConfig, _ models: KerasModelReader, _ kind: Kind) {
    self.kind = kind
    let resetAfter = kind == .gru && config.bool("reset_after", true)
    cell = kind == .lstm ? .lstm : kind == .simple ? .simple : resetAfter ? .gruResetAfter : .gru
    units = config.int("units", in: 1...1 << 24)
    activation = ActivationFunction.read(config, models, default: "tanh").cellActivation(config, "activation")
    recurrentActivation =
      kind == .simple
      ? .identity
      : ActivationFunction.read(config, models, "recurrent_activation", default: "sigmoid").cellActivation(
        config, "recurrent_activation")
    usesBias = config.bool("use_bias", true)
    hasGateArrays =
      config.dialect.generation == .keras1 && kind != .simple
      && (config.string("consume_less", "cpu") != "gpu" || config.dialect.isBefore(1, 0, 3))
    returnsSequences = config.bool("return_sequences", false)
    returnsState = config.bool("return_state", false)
    isTimeMajor = config.bool("time_major", false)
    zeroOutputForMask = config.bool("zero_output_for_mask", false)
    goesBackwards = config.bool("go_backwards", false)
    isStateful = config.bool("stateful", false)
    // At a rate of 1 nothing is dropped.
    inputDropout = min(1, max(0, config.double("dropout", 0))).truncatingRemainder(dividingBy: 1)
    recurrentDropout = min(1, max(0, config.double("recurrent_dropout", 0))).truncatingRemainder(dividingBy: 1)
    hasGateMasks = kind != .simple && (recurrentDropout > 0 || config.json("implementation")?.intValue == 1)
    // TensorFlow 2's layers with the functions of cuDNN drop whole sequences, each step in its own way.
    let isFused = config.dialect.isTensorFlowKeras && kind != .simple && !hasGateMasks && activation == Activation(.tanh)
      && recurrentActivation == Activation(.sigmoid) && usesBias && cell != .gru && !config.bool("unroll", false)
    sharesSteps = !isFused
    trainsDropout = config.dialect.isKeras3 || config.dialect.isTensorFlowKeras
    config.ignore(
      "implementation", "unroll", "unit_forget_bias", "use_cudnn",
      "consume_less")
  }

  var weights: [WeightSlot] {
    if hasGateArrays { return Keras1Gates.slots(lstm: kind == .lstm) }
    return [WeightSlot("kernel"), WeightSlot("recurrent_kernel")] + (usesBias ? [WeightSlot("bias")] : [])
  }
  var objects: [VariableObject] { [VariableObject("cell", weights)] }
  var masking: MaskRule { .computed }
  var stateCount: Int { kind == .lstm ? 2 : 1 }

  /// Adds the recurrent op.
  ///
  /// - Returns: the output, then the states with `return_state`.
  func run(_ call: LayerCall, _ input: ValueID, mask: ValueID?, states: [ValueID]) throws -> [KerasTensor] {
    guard call.type(input).rank == 3 else {
      throw KilnError(.badInput, "needs an input of rank 3, found \(call.type(input).message)")
    }
    guard states.isEmpty || states.count == stateCount else {
      throw KilnError(.badInput, "takes \(stateCount) initial states, found \(states.count)")
    }
    var x = isTimeMajor ? try call.transpose(input, [1, 0, 2]) : input
    if !hasGateMasks { x = try call.dropout(x, inputDropout, shared: sharesSteps ? [1] : []) }
    let steps = isTimeMajor ? try mask.map { try call.transpose($0, [1, 0]) } : mask
    let width = units * cell.gates
    var operands = [x, try call.weight("kernel", [try call.fixed(x, axis: 2), width])]
    operands.append(try call.weight("recurrent_kernel", [units, width]))
    if usesBias { operands.append(try call.weight("bias", cell == .gruResetAfter ? [2, width] : [width])) }
    if let steps { operands.append(steps) }
    let starting = try call.startingStates(
      try states.map { try call.cast($0, to: call.dtype) }, isStateful: isStateful, count: stateCount,
      [call.type(x).dims[0], Dim(units)])
    operands += starting
    var op = RNN(
      cell: cell, activation: activation, recurrentActivation: recurrentActivation, goBackwards: goesBackwards,
      returnSequences: returnsSequences, zeroOutputForMask: zeroOutputForMask, bias: usesBias, mask: steps != nil,
      initialState: !starting.isEmpty)
    let gateInput = hasGateMasks ? inputDropout : 0
    if call.builder.isForTraining, gateInput > 0 || recurrentDropout > 0 {
      op.dropout = RNN.Dropout(input: gateInput, recurrent: recurrentDropout, stream: call.builder.nextNoise())
      _ = call.builder.nextNoise()
    }
    var results = try call.addAll(op, operands, "rnn")
    call.keep(results.dropFirst(), isStateful: isStateful)
    guard let output = results.first else { throw KilnError(.internal, "a recurrent op without result") }
    if isTimeMajor, returnsSequences { results[0] = try call.transpose(output, [1, 0, 2]) }
    let sequenceMask = returnsSequences ? mask : nil
    return results.prefix(returnsState ? results.count : 1).enumerated().map {
      KerasTensor($1, mask: $0 == 0 ? sequenceMask : nil)
    }
  }
}
