import GraphModule
import TensorModule

/// Recurrent layers: gates and biases are in their present order already; hard_sigmoid of Keras 2 is put into the weights.
extension KerasUpgrade {
  /// hard_sigmoid is clip(0.2 x + 0.5, 0, 1) in Keras 2 and clip(x / 6 + 0.5, 0, 1) in Keras 3: the one of x is the other of 1.2 x.
  private static let gateFactor = 1.2

  /// Scales the gates that a hard_sigmoid closes; everything before it is linear.
  private func scaleGates(_ made: WrittenLayer, _ layer: KerasLayer, gates: [Bool]) {
    let config = layer.config.object
    if activationName(config["activation"] ?? .string("tanh")) == "hard_sigmoid" {
      problem(layer, "activation 'hard_sigmoid' of Keras 2 is another function in Keras 3")
    }
    guard !gates.isEmpty else { return }
    let name = activationName(config["recurrent_activation"] ?? .string("sigmoid"))
    if let name { made.config["recurrent_activation"] = .string(name) } else { problem(layer, "recurrent_activation is a layer, which Keras 3 does not take") }
    guard name == "hard_sigmoid" else { return }
    note(layer, "the weights of its gates are multiplied by 1.2: so hard_sigmoid of Keras 3 gives what that of Keras 2 gave")
    for slot in ["kernel", "recurrent_kernel", "bias"] {
      guard let weight = made.stored[slot], let width = weight.shape.last, width % gates.count == 0, width > 0 else { continue }
      let units = width / gates.count
      made.stored[slot] = weight.mapped { tensor in
        var values = tensor.doubles
        for index in values.indices where gates[index % width / units] { values[index] *= KerasUpgrade.gateFactor }
        return try Tensor(converting: values, to: tensor.dtype, shape: tensor.shape)
      }
    }
  }

  /// Which gates the recurrent activation closes.
  private static func gates(_ className: String) -> [Bool] {
    switch className {
    case "LSTM", "LSTMCell", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D": [true, true, false, true]
    case "GRU", "GRUCell": [true, true, false]
    default: []
    }
  }

  private func setActivation(_ made: WrittenLayer, _ layer: KerasLayer) {
    if let name = activationName(layer.config.object["activation"] ?? .string("tanh")) {
      made.config["activation"] = .string(name)
    } else {
      problem(layer, "its activation is a layer, which Keras 3 does not take in a recurrent one")
    }
  }

  /// The layer itself, as it also stands in a Bidirectional.
  func recurrentLayer(_ layer: KerasLayer, _ className: String? = nil) -> WrittenLayer {
    let className = className ?? ConfigRewrite.currentClassName(layer.className)
    let made = plain(layer, className)
    if (layer.reader as? RecurrentLayer)?.isTimeMajor == true { problem(layer, "time_major is not known to Keras 3") }
    setActivation(made, layer)
    scaleGates(made, layer, gates: KerasUpgrade.gates(className))
    return made
  }

  func recurrent(_ layer: KerasLayer) -> UpgradedLayer { UpgradedLayer(recurrentLayer(layer)) }

  func cuDNN(_ layer: KerasLayer) -> UpgradedLayer {
    guard let reader = layer.reader as? CuDNNLayer, let inner = reader.layer else { return UpgradedLayer(plain(layer)) }
    let className = reader.isLSTM ? "LSTM" : "GRU"
    let made = WrittenLayer(className, layer.name)
    made.config = ConfigUpgrade.config(inner.config.object, className, layer, self)
    made.isTrainable = layer.isTrainable
    for slot in ["kernel", "recurrent_kernel", "bias"] { made.stored[slot] = built(inner, slot) }
    setWeights(made)
    return UpgradedLayer(made)
  }

  func convLSTM(_ layer: KerasLayer) -> UpgradedLayer {
    guard let reader = layer.reader as? ConvLSTMLayer else { return UpgradedLayer(plain(layer)) }
    let made = recurrentLayer(layer)
    if reader.padding != .valid, dialect.backend == .theano || dialect.backend == .cntk,
      dialect.backend == .cntk ? reader.strides.contains { $0 > 1 } : !zip(reader.kernel, reader.strides).allSatisfy({ $0 % 2 == 1 && $1 == 1 })
    {
      problem(layer, "padding 'same' of \(dialect.backend.rawValue) covers other cells here than that of Keras 3")
    }
    // The recurrent convolution pads as the backend does, too.
    if dialect.backend == .theano, reader.kernel.contains(where: { $0 % 2 == 0 }) {
      problem(layer, "its recurrent convolution pads on the other side on Theano")
    }
    return turned(UpgradedLayer(made), layer, rank: reader.rank, leading: 1)
  }

  /// `RNN` of one cell or several.
  func cells(_ layer: KerasLayer) -> UpgradedLayer { UpgradedLayer(cellLayer(layer)) }

  private func cellLayer(_ layer: KerasLayer) -> WrittenLayer {
    let made = plain(layer)
    guard let reader = layer.reader as? StackedCells else { return made }
    if reader.isTimeMajor { problem(layer, "time_major is not known to Keras 3") }
    let names = VariableMatcher.itemNames(reader.cells.map { ConfigRewrite.currentClassName($0.className) + "Cell" })
    let isStack = reader.childAttributes.first?.hasPrefix("cell/") ?? false
    let cells = zip(reader.cells, names).map { cell, name in
      let className = ConfigRewrite.currentClassName(cell.className) + "Cell"
      let inner = plain(cell, className)
      // A cell holds its variables itself.
      inner.slots = cell.reader.weights.filter { cell.stored[$0.name] != nil }
      inner.objects = [VariableObject("", inner.slots)]
      inner.name = cell.objectName
      inner.config["name"] = .string(cell.objectName)
      setActivation(inner, cell)
      scaleGates(inner, cell, gates: KerasUpgrade.gates(className))
      return (attribute: isStack ? "cell/cells/\(name)" : "cell", layer: inner)
    }
    made.children = cells.map { (nil, $0.attribute, $0.layer) }
    if isStack {
      made.config["cell"] = .object(
        JSONObject([
          ("module", .string("keras.layers")), ("class_name", .string("StackedRNNCells")),
          ("config", .object(JSONObject([("name", .string("\(layer.name)_cells")), ("cells", .array(cells.map(\.layer.json)))]))),
          ("registered_name", .null),
        ]))
    } else {
      made.config["cell"] = cells.first?.layer.json
    }
    return made
  }

  func bidirectional(_ layer: KerasLayer) -> UpgradedLayer {
    let made = plain(layer)
    made.config["layer"] = nil
    made.config["backward_layer"] = nil
    guard let reader = layer.reader as? Bidirectional else { return UpgradedLayer(made) }
    for (child, key) in [(reader.forward, "layer"), (reader.backward, "backward_layer")] {
      guard let child else { continue }
      let inner = child.reader is StackedCells ? cellLayer(child) : self.inner(child)
      if inner.nested != nil { problem(layer, "the layer in it is written as several, which Bidirectional does not take") }
      let returnsSequences = (child.reader as? any SequenceLayer)?.returnsSequences ?? false
      // tf.keras makes zeros at masked steps of sequences; Keras 3 does what the inner layer says.
      if KerasArguments.layer(inner.className, keras3: true)?.contains("zero_output_for_mask") == true {
        inner.config["zero_output_for_mask"] = .bool(dialect.isTensorFlowKeras && returnsSequences)
      }
      made.children.append((key, key == "layer" ? "forward_layer" : key, inner))
    }
    return UpgradedLayer(made)
  }
}
