import GraphModule
import TensorModule

/// Keras `Bidirectional`: a recurrent layer forwards and one backwards, their outputs merged.
struct Bidirectional: KerasLayerReader {
  private enum MergeMode: String, CaseIterable { case concat, sum, mul, ave }

  let forward: KerasLayer?
  let backward: KerasLayer?
  /// Nil: both outputs are given back.
  private let mode: MergeMode?

  init(_ config: LayerConfig, _ models: KerasModelReader) {
    if config.json("merge_mode") == nil && config.has("merge_mode") {
      mode = nil
    } else {
      mode = config.choice("merge_mode", .concat)
    }
    guard let layer = config.json("layer") else {
      config.malformed("layer is missing")
      forward = nil
      backward = nil
      return
    }
    forward = models.innerLayer(layer, of: config, role: "forward_layer")
    // Without a layer of its own the other direction is a copy of the first one, turned round.
    backward = models.innerLayer(
      config.json("backward_layer") ?? Bidirectional.turned(layer), of: config, role: "backward_layer")
    for inner in [forward, backward].compactMap({ $0 })
    where !(inner.reader is any SequenceLayer) && !(inner.reader is UnknownLayer) {
      config.unsupported("Bidirectional of \(KilnError.quoted(inner.className))", nearest: "LSTM, GRU, SimpleRNN, RNN, ConvLSTM2D")
    }
  }

  private static func turned(_ layer: JSON) -> JSON {
    guard var object = layer.objectValue, var inner = object["config"]?.objectValue else { return layer }
    inner["go_backwards"] = .bool(!(inner["go_backwards"]?.boolValue ?? false))
    var name = inner["name"]?.stringValue ?? "layer"
    if name.hasPrefix("forward_") { name.removeFirst("forward_".count) }
    inner["name"] = .string("backward_" + name)
    object["config"] = .object(inner)
    return .object(object)
  }

  var children: [KerasLayer] { [forward, backward].compactMap { $0 } }
  var childAttributes: [String] { (forward == nil ? [] : ["forward_layer"]) + (backward == nil ? [] : ["backward_layer"]) }
  var masking: MaskRule { .computed }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    guard let forward, let backward, let first = forward.reader as? any SequenceLayer,
      let second = backward.reader as? any SequenceLayer
    else {
      throw KilnError(.unsupportedModel, "its layer is not supported")
    }
    var states = Array(call.tensors.dropFirst())
    if let given = call.keyword("initial_state") ?? call.arguments.dropFirst().first, !given.leaves.isEmpty {
      states = given.leaves
    }
    guard states.count % 2 == 0 else {
      throw KilnError(.badInput, "takes an even number of initial states, found \(states.count)")
    }
    let half = states.count / 2
    guard let sequence = call.tensors.first else { throw KilnError(.badInput, "is called without a tensor") }
    let x = try call.cast(sequence.value, to: call.dtype)
    let mask = call.masks.first ?? nil
    let steps = call.handsMask ? mask : nil
    func run(
      _ layer: KerasLayer, _ made: any SequenceLayer, _ states: some Sequence<KerasTensor>
    ) throws -> [KerasTensor] {
      var reader = made
      // tf.keras forces zeros at masked steps of sequences; Keras 3 does too, and writes it in the inner layers' configs.
      if call.dialect.isTensorFlowKeras { reader.zeroOutputForMask = reader.returnsSequences }
      let inner = LayerCall(builder: call.builder, layer: layer, arguments: call.arguments, keywords: [])
      let results = try reader.run(inner, x, mask: steps, states: states.map(\.value))
      call.builder.noteActivity(of: layer, results)
      return results
    }
    let a = try run(forward, first, states.prefix(half))
    let b = try run(backward, second, states.suffix(half))
    guard let left = a.first, var right = b.first else {
      throw KilnError(.internal, "a recurrent layer without result")
    }
    if first.returnsSequences {
      right.value = try call.add(Reverse(axes: [first.isTimeMajor ? 0 : 1]), [right.value], "reverse")
    }
    let merged: [ValueID]
    switch mode {
    case nil: merged = [left.value, right.value]
    case .concat:
      merged = [try call.add(Concat(axis: call.type(left.value).rank - 1), [left.value, right.value], "concat")]
    case .sum: merged = [try call.binary(.add, left.value, right.value)]
    case .mul: merged = [try call.binary(.mul, left.value, right.value)]
    case .ave: merged = [try call.unary(.affine, [0.5, 0], try call.binary(.add, left.value, right.value))]
    }
    let outMask = first.returnsSequences ? mask : nil
    return merged.map { KerasTensor($0, mask: outMask) } + a.dropFirst() + b.dropFirst()
  }
}

/// Keras `TimeDistributed`: a layer on each step, by folding time into the batch.
struct TimeDistributed: KerasLayerReader {
  let inner: KerasLayer?

  init(_ config: LayerConfig, _ models: KerasModelReader) {
    inner = config.json("layer").flatMap { models.innerLayer($0, of: config, role: "layer") }
    if config.json("layer") == nil { config.malformed("layer is missing") }
    // Keras calls the layer past its quantization, with integers for weights and no scales.
    if let inner, let mode = inner.config.quantization?.mode, ["Dense", "EinsumDense", "Embedding"].contains(inner.className) {
      config.unsupported("TimeDistributed of a layer with \(mode.rawValue) quantization, which Keras itself computes without scales,")
    }
  }

  var children: [KerasLayer] { inner.map { [$0] } ?? [] }
  var masking: MaskRule { .computed }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    guard let inner else { throw KilnError(.unsupportedModel, "its layer is not supported") }
    guard let first = call.tensors.first, call.type(first.value).rank >= 2 else {
      throw KilnError(.badInput, "needs an input with a time axis")
    }
    let dims = call.type(first.value).dims
    let (batch, time) = (dims[0], dims[1])
    let masks = call.masks
    func folded(_ value: ValueID) throws -> ValueID {
      let dims = call.type(value).dims
      guard dims.count >= 2 else {
        throw KilnError(.badInput, "needs an input with a time axis, found \(call.type(value).message)")
      }
      return try call.reshape(value, [dims[0] * dims[1]] + dims.dropFirst(2))
    }
    let inputs = try zip(call.tensors, masks).map { tensor, mask in
      // A mask of steps alone says nothing inside a step.
      KerasTensor(try folded(tensor.value), mask: try mask.flatMap { call.type($0).rank > 2 ? try folded($0) : nil })
    }
    let arguments: [KerasTree<KerasTensor>] =
      inputs.count == 1 ? inputs.map { .leaf($0) } : [.list(inputs.map { .leaf($0) })]
    guard let results = call.builder.build(inner, arguments, []) else { return [] }
    return try results.map { result in
      let unfolded = try call.reshape(result.value, [batch, time] + call.type(result.value).dims.dropFirst())
      return KerasTensor(unfolded, mask: try mask(call, result.mask, masks.first ?? nil, batch, time))
    }
  }

  private func mask(_ call: LayerCall, _ inner: ValueID?, _ outer: ValueID?, _ batch: Dim, _ time: Dim) throws
    -> ValueID?
  {
    if call.dialect.isKeras3 { return outer }
    if let inner { return try call.reshape(inner, [batch, time] + call.type(inner).dims.dropFirst()) }
    guard let outer, call.type(outer).rank > 2 else { return outer }
    return try call.add(Reduce(.any, axes: Array(2..<call.type(outer).rank)), [outer], "mask")
  }
}
