import GraphModule
import TensorModule

/// What `Bidirectional` needs of a layer that runs over time.
protocol SequenceLayer: KerasLayerReader {
  var returnsSequences: Bool { get }
  var isTimeMajor: Bool { get }
  /// Whether outputs at masked steps are zeros.
  var zeroOutputForMask: Bool { get set }
  /// - Returns: the output, then the states when the layer returns them.
  func run(_ call: LayerCall, _ input: ValueID, mask: ValueID?, states: [ValueID]) throws -> [KerasTensor]
}

extension SequenceLayer {
  func call(_ call: LayerCall) throws -> [KerasTensor] {
    // The states can follow the sequence in a list, or be an argument of their own.
    var states = Array(call.tensors.dropFirst())
    if let given = call.keyword("initial_state") ?? call.arguments.dropFirst().first, !given.leaves.isEmpty { states = given.leaves }
    guard let first = call.tensors.first else { throw KilnError(.badInput, "is called without a tensor") }
    var mask = call.keyword("mask")?.leaves.first?.value ?? first.mask
    if let given = mask, call.type(given).rank != 2 { mask = nil }
    let x = try call.cast(first.value, to: call.dtype)
    var results = try run(call, x, mask: call.handsMask ? mask : nil, states: states.map(\.value))
    if returnsSequences, !results.isEmpty { results[0].mask = mask }
    return results
  }
}

extension RecurrentLayer: SequenceLayer {}

/// Keras `RNN`: a recurrent layer given as a cell, or as several cells in a stack.
enum CellLayers {
  private static let layers = [
    "SimpleRNNCell": "SimpleRNN", "LSTMCell": "LSTM", "LSTMCellV2": "LSTM", "GRUCell": "GRU", "GRUCellV2": "GRU",
  ]
  /// What a stack's inner layers do not take from the `RNN` around them.
  private static let outerKeys = ["return_sequences", "return_state", "go_backwards", "zero_output_for_mask", "time_major"]

  static func reader(_ config: LayerConfig, _ models: KerasModelReader) -> any KerasLayerReader {
    guard let cell = config.json("cell") else {
      config.malformed("cell is missing")
      return UnknownLayer()
    }
    let options = outerKeys.map { ($0, config.json($0) ?? .bool(false)) }
    config.ignore("unroll", "implementation")
    let isStateful = config.bool("stateful", false)
    let cells: [JSON]
    if let list = cell.arrayValue {
      cells = list
    } else if cell["class_name"]?.stringValue == "StackedRNNCells" {
      cells = cell["config"]?["cells"]?.arrayValue ?? []
      if cell["config"]?["reverse_state_order"]?.boolValue == true { config.unsupported("reverse_state_order: true") }
    } else {
      cells = [cell]
    }
    guard !cells.isEmpty, cells.count <= 256 else {
      config.malformed("cell must hold 1 to 256 cells")
      return UnknownLayer()
    }
    var made: [KerasLayer] = []
    let items = VariableMatcher.itemNames(cells.map { cell in
      String((cell["class_name"]?.stringValue ?? "").split(separator: ">").last ?? "")
    })
    let isStack = cell.arrayValue != nil || cell["class_name"]?.stringValue == "StackedRNNCells"
    for (position, cell) in cells.enumerated() {
      guard let name = cell["class_name"]?.stringValue, let values = cell["config"]?.objectValue,
        let layer = layers[String(name.split(separator: ">").last ?? "")]
      else {
        let given = cell["class_name"]?.stringValue ?? cell.kind
        config.unsupported("a cell of class \(KilnError.quoted(given))", nearest: "LSTMCell, GRUCell, SimpleRNNCell")
        return UnknownLayer()
      }
      var object = values
      for (key, value) in options { object[key] = value }
      object["stateful"] = .bool(isStateful)
      if cells.count > 1 {
        object["return_sequences"] = position < cells.count - 1 ? .bool(true) : options[0].1
        object["return_state"] = .bool(true)
        object["go_backwards"] = position == 0 ? options[2].1 : .bool(false)
      }
      if position > 0 || cells.count > 1 { object["name"] = .string("\(position)_\(values["name"]?.stringValue ?? name)") }
      let json = JSON.object(JSONObject([("class_name", .string(layer)), ("config", .object(object))]))
      guard let inner = models.innerLayer(json, of: config, role: "cell") else { return UnknownLayer() }
      guard inner.reader is RecurrentLayer else { return UnknownLayer() }
      // A cell holds its variables itself.
      inner.objects = [VariableObject("", inner.reader.weights)]
      inner.objectName = values["name"]?.stringValue ?? inner.name
      made.append(inner)
    }
    return StackedCells(
      cells: made, childAttributes: isStack ? items.map { "cell/cells/\($0)" } : ["cell"], returnsSequences: config.bool("return_sequences", false), returnsState: config.bool("return_state", false),
      goesBackwards: config.bool("go_backwards", false), isTimeMajor: config.bool("time_major", false),
      zeroOutputForMask: config.bool("zero_output_for_mask", false))
  }
}

/// A stack of recurrent cells: each works on the sequence of the one before.
struct StackedCells: SequenceLayer {
  let cells: [KerasLayer]
  let childAttributes: [String]
  let returnsSequences: Bool
  let returnsState: Bool
  let goesBackwards: Bool
  let isTimeMajor: Bool
  var zeroOutputForMask: Bool

  var children: [KerasLayer] { cells }
  var masking: MaskRule { .computed }

  func run(_ call: LayerCall, _ input: ValueID, mask: ValueID?, states: [ValueID]) throws -> [KerasTensor] {
    let readers = cells.compactMap { $0.reader as? RecurrentLayer }
    let wanted = readers.map(\.stateCount).reduce(0, +)
    guard readers.count == cells.count, states.isEmpty || states.count == wanted else {
      throw KilnError(.badInput, "takes \(wanted) initial states, found \(states.count)")
    }
    var x = input
    var steps = mask
    var rest = states[...]
    var finals: [KerasTensor] = []
    for (position, (cell, made)) in zip(cells, readers).enumerated() {
      var reader = made
      reader.zeroOutputForMask = zeroOutputForMask
      let inner = LayerCall(builder: call.builder, layer: cell, arguments: call.arguments, keywords: [])
      let results = try reader.run(inner, x, mask: steps, states: Array(rest.prefix(reader.stateCount)))
      rest = rest.dropFirst(reader.stateCount)
      guard let output = results.first else { throw KilnError(.internal, "a recurrent layer without result") }
      x = output.value
      finals += results.dropFirst()
      // After the first cell the sequence is in the order of processing, and so must be its mask.
      if position == 0, goesBackwards, cells.count > 1, let given = steps {
        steps = try call.add(Reverse(axes: [isTimeMajor ? 0 : 1]), [given], "mask")
      }
    }
    return [KerasTensor(x, mask: returnsSequences ? mask : nil)] + (returnsState ? finals : [])
  }
}

/// TensorFlow 1's `CuDNNLSTM` and `CuDNNGRU`: their weights in cuDNN's layout, turned into those of `LSTM` and `GRU`.
struct CuDNNLayer: SequenceLayer {
  let layer: KerasLayer?
  let isLSTM: Bool
  var zeroOutputForMask = false

  init(_ config: LayerConfig, _ models: KerasModelReader, lstm: Bool) {
    isLSTM = lstm
    var values = JSONObject()
    for key in ["units", "return_sequences", "return_state", "go_backwards", "stateful", "time_major", "name"] {
      if let value = config.json(key) { values[key] = value }
    }
    values["activation"] = .string("tanh")
    values["recurrent_activation"] = .string("sigmoid")
    values["use_bias"] = .bool(true)
    values["reset_after"] = .bool(true)
    let json = JSON.object(JSONObject([("class_name", .string(lstm ? "LSTM" : "GRU")), ("config", .object(values))]))
    layer = models.innerLayer(json, of: config, role: "layer")
  }

  var weights: [WeightSlot] { ["kernel", "recurrent_kernel", "bias"].map { WeightSlot($0) } }
  var masking: MaskRule { .computed }

  private var recurrent: RecurrentLayer? { layer?.reader as? RecurrentLayer }
  var returnsSequences: Bool { recurrent?.returnsSequences ?? false }
  var isTimeMajor: Bool { recurrent?.isTimeMajor ?? false }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    guard let first = call.tensors.first else { throw KilnError(.badInput, "is called without a tensor") }
    let (inner, reader) = try prepared(call, first.value)
    return try reader.call(inner)
  }

  func run(_ call: LayerCall, _ input: ValueID, mask: ValueID?, states: [ValueID]) throws -> [KerasTensor] {
    var (inner, reader) = try prepared(call, input)
    reader.zeroOutputForMask = zeroOutputForMask
    return try reader.run(inner, input, mask: mask, states: states)
  }

  /// The layer with turned weights, ready to be called on `input`.
  private func prepared(_ call: LayerCall, _ input: ValueID) throws -> (LayerCall, RecurrentLayer) {
    guard let layer, let reader = recurrent else { throw KilnError(.unsupportedModel, "its layer is not supported") }
    let (units, gates) = (reader.units, isLSTM ? 4 : 3)
    let features = try call.fixed(input, axis: -1)
    guard let width = checkedProduct([units, gates]), checkedProduct([features, width]) != nil, checkedProduct([units, width]) != nil else {
      throw KilnError(.badInput, "units is too large")
    }
    layer.constants["kernel"] = try call.weight("kernel", [features, width]) { try turned($0, rows: features, units, gates, rereads: true) }
    layer.constants["recurrent_kernel"] = try call.weight("recurrent_kernel", [units, width]) {
      try turned($0, rows: units, units, gates, rereads: false)
    }
    let isSummed = isLSTM
    layer.constants["bias"] = try call.weight("bias", [2 * width]) { bias in
      guard isSummed else { return bias.reshaped([2, width]) }
      let values = bias.doubles
      return try Tensor(converting: (0..<width).map { values[$0] + values[$0 + width] }, to: bias.dtype, shape: [width])
    }
    return (LayerCall(builder: call.builder, layer: layer, arguments: call.arguments, keywords: call.keywords), reader)
  }

  /// Gate by gate: an input block [rows, units] is its buffer read column by column, a recurrent block is transposed.
  private func turned(_ kernel: Tensor, rows: Int, _ units: Int, _ gates: Int, rereads: Bool) throws -> Tensor {
    let values = kernel.doubles
    let width = units * gates
    var result = [Double](repeating: 0, count: values.count)
    for gate in 0..<gates {
      for row in 0..<rows {
        for unit in 0..<units {
          let (sourceRow, sourceUnit) = rereads ? ((unit * rows + row) / units, (unit * rows + row) % units) : (unit, row)
          result[row * width + gate * units + unit] = values[sourceRow * width + gate * units + sourceUnit]
        }
      }
    }
    return try Tensor(converting: result, to: kernel.dtype, shape: kernel.shape)
  }
}
