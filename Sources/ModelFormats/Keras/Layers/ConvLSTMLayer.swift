import GraphModule
import TensorModule

/// Keras `ConvLSTM1D` to `3D`: an LSTM whose products are convolutions, unrolled over a known number of steps.
///
/// Gates in the order i, f, c, o; kernel [window…, in, 4 · filters], recurrent kernel [window…, filters, 4 · filters].
struct ConvLSTMLayer: SequenceLayer {
  private enum LSTMPadding: String, CaseIterable { case valid, same }

  let rank: Int
  let filters: Int
  let kernel: [Int]
  let strides: [Int]
  let dilations: [Int]
  let padding: Padding
  let format: DataFormat
  let activation: ActivationFunction
  let recurrentActivation: ActivationFunction
  let usesBias: Bool
  let returnsSequences: Bool
  let returnsState: Bool
  let goesBackwards: Bool
  let isStateful: Bool
  var zeroOutputForMask: Bool
  var isTimeMajor: Bool { false }

  /// Keras 1 keeps an array for each gate.
  let hasGateArrays: Bool

  /// Each step makes nodes of its own.
  private static let maximumSteps = 2048

  init(_ config: LayerConfig, _ models: KerasModelReader, rank: Int) {
    self.rank = rank
    filters = config.int("filters", in: 1...1 << 24)
    kernel = config.ints("kernel_size", count: rank) ?? [Int](repeating: 1, count: rank)
    if config.json("kernel_size") == nil { config.malformed("kernel_size is missing") }
    strides = config.ints("strides", count: rank) ?? [Int](repeating: 1, count: rank)
    dilations = config.ints("dilation_rate", count: rank) ?? [Int](repeating: 1, count: rank)
    padding = config.choice("padding", LSTMPadding.valid) == .same
      ? config.dialect.backend.samePadding(kernel: kernel, dilations: dilations) : .valid
    format = config.choice("data_format", .channelsLast)
    activation = .read(config, models, default: "tanh")
    recurrentActivation = .read(
      config, models, "recurrent_activation", default: config.dialect.isKeras3 ? "sigmoid" : "hard_sigmoid")
    usesBias = config.bool("use_bias", true)
    hasGateArrays = config.dialect.generation == .keras1
    returnsSequences = config.bool("return_sequences", false)
    returnsState = config.bool("return_state", false)
    goesBackwards = config.bool("go_backwards", false)
    isStateful = config.bool("stateful", false)
    if config.bool("time_major", false) { config.unsupported("time_major: true") }
    zeroOutputForMask = config.bool("zero_output_for_mask", false)
    config.ignore("dropout", "recurrent_dropout", "unroll", "unit_forget_bias", "implementation", "consume_less")
  }

  var weights: [WeightSlot] {
    if hasGateArrays { return Keras1Gates.slots(lstm: true) }
    return [WeightSlot("kernel"), WeightSlot("recurrent_kernel")] + (usesBias ? [WeightSlot("bias")] : [])
  }
  var objects: [VariableObject] { [VariableObject("cell", weights)] }
  var masking: MaskRule { .computed }

  func run(_ call: LayerCall, _ input: ValueID, mask: ValueID?, states: [ValueID]) throws -> [KerasTensor] {
    let type = call.type(input)
    guard type.rank == rank + 3 else { throw KilnError(.badInput, "needs an input of rank \(rank + 3), found \(type.message)") }
    guard states.isEmpty || states.count == 2 else { throw KilnError(.badInput, "takes 2 initial states, found \(states.count)") }
    guard let steps = type.dims[1].fixed, steps > 0 else {
      throw KilnError(.unsupportedModel, "a number of steps that is not known is not supported", hint: "an Input with a fixed time axis")
    }
    guard steps <= ConvLSTMLayer.maximumSteps else {
      throw KilnError(.unsupportedModel, "\(steps) steps are not supported", hint: "at most \(ConvLSTMLayer.maximumSteps)")
    }
    guard let width = checkedProduct([filters, 4]) else { throw KilnError(.badInput, "filters is too large") }
    // The input's convolution of all steps at once, with time folded into the batch.
    let batch = type.dims[0]
    let folded = try call.channelsLast(try call.reshape(input, [batch * Dim(steps)] + type.dims.dropFirst(2)), format)
    let window = try call.weight("kernel", kernel + [try call.fixed(folded, axis: -1), width])
    let recurrent = try call.weight("recurrent_kernel", kernel + [filters, width])
    let bias = usesBias ? [try call.weight("bias", [width])] : []
    let backend = call.dialect.backend
    let (padded, inputPadding) =
      padding == .same ? try backend.centred(call, folded, window: kernel, strides: strides) : (folded, padding)
    let gates = try call.add(
      Conv(strides: strides, dilations: dilations, padding: inputPadding, epilogue: Epilogue(bias: usesBias)), [padded, window] + bias, "input_conv")
    let spatial = Array(call.type(gates).dims.dropFirst().dropLast())
    let sequence = try call.reshape(gates, [batch, Dim(steps)] + spatial + [Dim(width)])
    var h: ValueID?
    var c: ValueID?
    let given = try states.map { try call.channelsLast(try call.cast($0, to: call.dtype), format) }
    let starting = try call.startingStates(
      given, isStateful: isStateful, count: 2, [batch] + spatial + [Dim(filters)])
    if starting.count == 2 {
      (h, c) = (starting[0], starting[1])
    } else if mask != nil {
      let zeros = try call.add(BroadcastTo([batch] + spatial + [Dim(filters)]), [try call.scalar(0, call.dtype)], "zeros")
      (h, c) = (zeros, zeros)
    }
    var outputs: [ValueID] = []
    var shown: ValueID?
    for step in goesBackwards ? Array((0..<steps).reversed()) : Array(0..<steps) {
      var ranges = [Slice.Range](repeating: .all, count: rank + 3)
      ranges[1] = Slice.Range(start: step, end: step + 1)
      var sum = try call.reshape(try call.add(Slice(ranges), [sequence], "step"), [batch] + spatial + [Dim(width)])
      if let h {
        let ones = [Int](repeating: 1, count: rank)
        sum = try call.binary(.add, sum, try call.add(
            Conv(strides: ones, padding: backend.samePadding(kernel: kernel, dilations: ones)), [h, recurrent],
            "recurrent_conv"))
      }
      func gate(_ index: Int) throws -> ValueID {
        var part = [Slice.Range](repeating: .all, count: rank + 2)
        part[rank + 1] = Slice.Range(start: index * filters, end: (index + 1) * filters)
        return try call.add(Slice(part), [sum], "gate")
      }
      let i = try recurrentActivation.apply(call, try gate(0))
      let f = try recurrentActivation.apply(call, try gate(1))
      var carry = try call.binary(.mul, i, try activation.apply(call, try gate(2)))
      if let c { carry = try call.binary(.add, try call.binary(.mul, f, c), carry) }
      let o = try recurrentActivation.apply(call, try gate(3))
      var output = try call.binary(.mul, o, try activation.apply(call, carry))
      if let mask, let oldH = h, let oldC = c {
        let range = [Slice.Range.all, Slice.Range(start: step, end: step + 1)]
        let kept = try call.reshape(try call.add(Slice(range), [mask], "mask"), [batch] + [Dim](repeating: 1, count: rank + 1))
        if zeroOutputForMask {
          shown = try call.add(Elementwise(.select), [kept, output, try call.scalar(0, call.dtype)], "shown")
        }
        output = try call.add(Elementwise(.select), [kept, output, oldH], "kept")
        carry = try call.add(Elementwise(.select), [kept, carry, oldC], "kept")
      }
      (h, c) = (output, carry)
      if returnsSequences { outputs.append(try call.expand(try call.back(shown ?? output, format), axis: 1)) }
    }
    guard let h, let c else { throw KilnError(.internal, "a recurrent layer without a step") }
    call.keep([h, c], isStateful: isStateful)
    let last = try call.back(h, format)
    let result =
      returnsSequences
      ? try call.add(Concat(axis: 1), outputs, "concat") : try shown.map { try call.back($0, format) } ?? last
    let finals = returnsState ? [KerasTensor(last), KerasTensor(try call.back(c, format))] : []
    return [KerasTensor(result, mask: returnsSequences ? mask : nil)] + finals
  }
}
