import GraphModule
import TensorModule

/// Layers of Keras 1 that are gone: compositions of present ones, as nested models of the layer's name.
extension KerasUpgrade {
  func merge(_ layer: KerasLayer) -> UpgradedLayer {
    let config = layer.config.object
    let mode = config["mode"]?.stringValue ?? "sum"
    let names = ["sum": "Add", "mul": "Multiply", "ave": "Average", "max": "Maximum", "concat": "Concatenate", "dot": "Dot", "cos": "Dot"]
    guard let className = names[mode] else {
      problem(layer, "mode \(KilnError.quoted(mode)) has no layer in Keras 3")
      return UpgradedLayer(plain(layer, "Add"))
    }
    let made = WrittenLayer(className, layer.name, JSONObject([("name", .string(layer.name))]))
    if className == "Concatenate" { made.config["axis"] = config["concat_axis"] ?? .int(-1) }
    var parts = UpgradedLayer(made)
    if className == "Dot" {
      let axes = layer.config.intList("dot_axes") ?? [-1]
      let ranks = layer.inputTypes.map(\.rank)
      // Keras 3 counts axes from the batch and takes no pair of equal ones for one.
      let positive = zip(axes.count == 1 ? [axes[0], axes[0]] : axes, ranks).map { $0 < 0 ? $0 + $1 : $0 }
      made.config["axes"] = .array(positive.map { .int($0) })
      made.config["normalize"] = .bool(mode == "cos")
      if mode == "cos" {
        guard ranks == [2, 2] else {
          problem(layer, "mode 'cos' of more than vectors has no layer in Keras 3")
          return parts
        }
        parts.after.append(extra("Reshape", layer, "_reshape", [("target_shape", .array([.int(1), .int(1)]))]))
      }
    }
    return parts
  }

  /// t · h + (1 − t) · x, as x + t · (h − x).
  func highway(_ layer: KerasLayer) -> UpgradedLayer {
    guard let reader = layer.reader as? Highway, let width = layer.inputTypes.first?.dims.last?.fixed,
      case .some(let composer) = Composer(layer, self)
    else { return unknownShape(layer) }
    func dense(_ suffix: String, _ kernel: String, _ bias: String, _ activation: JSON) -> KerasReference {
      let made = composer.add(
        "Dense", suffix, [("units", .int(width)), ("activation", activation), ("use_bias", .bool(reader.usesBias))], on: [composer.input])
      made.stored["kernel"] = layer.stored[kernel]
      if reader.usesBias { made.stored["bias"] = layer.stored[bias] }
      setWeights(made)
      return composer.result(made)
    }
    var transformed: KerasReference
    if let name = activationName(layer.config.object["activation"]), name != "hard_sigmoid" {
      transformed = dense("_transform", "W", "b", .string(name))
    } else {
      if activationName(layer.config.object["activation"]) == nil { problem(layer, "its activation is a layer") }
      transformed = dense("_transform", "W", "b", .string("linear"))
      for part in hardSigmoid(layer) { transformed = composer.append(part, on: [transformed]) }
    }
    let gate = dense("_gate", "W_carry", "b_carry", .string("sigmoid"))
    let change = composer.result(composer.add("Subtract", "_change", [], on: [transformed, composer.input]))
    let step = composer.result(composer.add("Multiply", "_step", [], on: [gate, change]))
    return composer.finish(composer.result(composer.add("Add", "_carry", [], on: [composer.input, step])))
  }

  /// The largest of several dense results: one product with an axis for these, then the maximum over it.
  func maxoutDense(_ layer: KerasLayer) -> UpgradedLayer {
    guard let reader = layer.reader as? MaxoutDense, let composer = Composer(layer, self) else { return unknownShape(layer) }
    let made = composer.add(
      "EinsumDense", "_dense",
      [
        ("equation", .string("bi,ifo->bfo")), ("output_shape", .array([.int(reader.features), .int(reader.units)])),
        ("bias_axes", reader.usesBias ? .string("fo") : .null), ("activation", .string("linear")),
      ], on: [composer.input])
    // Here it has its input's axis first already.
    if let stored = layer.stored["W"] { made.stored["kernel"] = stored }
    if reader.usesBias { made.stored["bias"] = layer.stored["b"] }
    setWeights(made)
    return composer.finish(composer.result(composer.add("GlobalMaxPooling1D", "_max", [("data_format", .string("channels_last"))], on: [composer.result(made)])))
  }

  /// x + (1 − a_left) · max(t_left − x, 0) + (a_right − 1) · max(x − t_right, 0).
  func sReLU(_ layer: KerasLayer) -> UpgradedLayer {
    let names = ["t_left", "a_left", "t_right", "a_right"]
    let stored = names.compactMap { layer.stored[$0] }
    guard stored.count == 4, let composer = Composer(layer, self), let shape = composer.shape else { return unknownShape(layer) }
    func values(_ change: @escaping ([Double], [Double], [Double], [Double]) -> [Double]) -> StoredWeight {
      .made("\(layer.path)/lines", shape) {
        let all = try stored.map { try KerasUpgrade.broadcast($0.load(), to: shape) }
        return change(all[0], all[1], all[2], all[3])
      }
    }
    let right: ([Double], [Double]) -> [Double] = { left, step in zip(left, step).map { $0 + abs($1) } }
    let below = composer.affine("_below", scale: values { left, _, _, _ in left.map { _ in -1 } }, offset: values { left, _, _, _ in left }, on: composer.input)
    let low = composer.result(composer.add("ReLU", "_low", [], on: [below]))
    let lowSlope = composer.affine("_low_slope", scale: values { _, slope, _, _ in slope.map { 1 - $0 } }, offset: nil, on: low)
    let above = composer.affine(
      "_above", scale: values { left, _, _, _ in left.map { _ in 1 } }, offset: values { left, _, step, _ in right(left, step).map { -$0 } }, on: composer.input)
    let high = composer.result(composer.add("ReLU", "_high", [], on: [above]))
    let highSlope = composer.affine("_high_slope", scale: values { _, _, _, slope in slope.map { $0 - 1 } }, offset: nil, on: high)
    return composer.finish(composer.result(composer.add("Add", "_sum", [], on: [composer.input, lowSlope, highSlope])))
  }

  /// alpha · softplus(beta · x).
  func parametricSoftplus(_ layer: KerasLayer) -> UpgradedLayer {
    guard let alphas = layer.stored["alphas"], let betas = layer.stored["betas"], let composer = Composer(layer, self), let shape = composer.shape
    else { return unknownShape(layer) }
    func whole(_ weight: StoredWeight) -> StoredWeight { .made(weight.path, shape) { try KerasUpgrade.broadcast(weight.load(), to: shape) } }
    let scaled = composer.affine("_beta", scale: whole(betas), offset: nil, on: composer.input)
    let plus = composer.result(composer.add("Activation", "_softplus", [("activation", .string("softplus"))], on: [scaled]))
    return composer.finish(composer.affine("_alpha", scale: whole(alphas), offset: nil, on: plus))
  }

  /// A kernel of its own at each position: patches of the input, then one product with an axis for the positions.
  func locallyConnected(_ layer: KerasLayer) -> UpgradedLayer {
    guard let reader = layer.reader as? LocallyConnectedLayer, let composer = Composer(layer, self), let own = composer.shape,
      let kernel = built(layer, "kernel"), kernel.shape.count == 3, let type = layer.resultTypes.first?.first,
      case let results = type.dims.dropFirst().compactMap(\.fixed), results.count == type.rank - 1
    else { return unknownShape(layer) }
    let isFirst = reader.format == .channelsFirst
    let shape = isFirst ? Array(own.dropFirst()) + [own[0]] : own
    let lengths = isFirst ? Array(results.dropFirst()) : Array(results.dropLast())
    var value = composer.input
    func permute(_ suffix: String, _ dims: [Int]) {
      value = composer.result(composer.add("Permute", suffix, [("dims", .array(dims.map { .int($0) }))], on: [value]))
    }
    func reshape(_ suffix: String, _ shape: [Int]) {
      value = composer.result(composer.add("Reshape", suffix, [("target_shape", .array(shape.map { .int($0) }))], on: [value]))
    }
    if isFirst { permute("_last", Array(2..<own.count + 1) + [1]) }
    let (channels, positions) = (shape.last ?? 0, kernel.shape[0])
    reshape("_cells", [shape.dropLast().reduce(1, *), channels])
    let take = composer.add("Take", "_patches", [("axis", .int(1))], on: [value])
    take.module = "keras.src.ops.numpy"
    take.registeredName = "Take"
    take.operands = [.array(reader.places(shape).map { .int($0) })]
    value = composer.result(take)
    reshape("_rows", [positions, kernel.shape[1]])
    let product = composer.add(
      "EinsumDense", "_product",
      [
        ("equation", .string("abc,bcd->abd")), ("output_shape", .array([.int(positions), .int(reader.filters)])),
        ("bias_axes", reader.usesBias ? .string("bd") : .null), ("activation", .string("linear")),
      ], on: [value])
    product.stored["kernel"] = kernel
    if reader.usesBias, let bias = built(layer, "bias") {
      let flat = [positions, reader.filters]
      product.stored["bias"] = StoredWeight(path: bias.path, dtype: bias.dtype, shape: flat) {
        guard isFirst else { return try bias.load().reshaped(flat) }
        // Channels-first Keras reads the same elements as [filters, positions].
        let values = try bias.load().doubles
        let turned = values.indices.map { values[$0 % reader.filters * positions + $0 / reader.filters] }
        return try Tensor(converting: turned, to: bias.dtype, shape: flat)
      }
    }
    setWeights(product)
    value = composer.result(product)
    reshape("_image", lengths + [reader.filters])
    if isFirst { permute("_first", [results.count] + Array(1..<results.count)) }
    if let name = activationName(layer.config.object["activation"]) {
      if name == "hard_sigmoid" {
        for part in hardSigmoid(layer) { value = composer.append(part, on: [value]) }
      } else if name != "linear" {
        value = composer.result(composer.add("Activation", "_activation", [("activation", .string(name))], on: [value]))
      }
    } else {
      problem(layer, "its activation is a layer")
    }
    return composer.finish(value)
  }

  private func unknownShape(_ layer: KerasLayer) -> UpgradedLayer {
    problem(layer, "the shape of its input is not known, as what stands for it in Keras 3 would need")
    return UpgradedLayer(WrittenLayer("Identity", layer.name))
  }

  /// The elements of an array whose axes of length 1 stand for every position.
  private static func broadcast(_ tensor: Tensor, to shape: Shape) throws -> [Double] {
    let values = tensor.doubles
    guard tensor.shape.count == shape.count, let count = checkedProduct(shape), zip(tensor.shape, shape).allSatisfy({ $0 == $1 || $0 == 1 }) else {
      throw KilnError(.badInput, "a weight of \(tensor.shape.shapeText) does not fit \(shape.shapeText)")
    }
    return (0..<count).map { position in
      var (rest, place, step) = (position, 0, 1)
      for axis in shape.indices.reversed() {
        if tensor.shape[axis] != 1 { place += rest % shape[axis] * step }
        step *= tensor.shape[axis]
        rest /= shape[axis]
      }
      return values[place]
    }
  }
}

/// Puts together a nested model that stands for one layer.
final class Composer {
  let input: KerasReference
  /// The shape of the input without the batch, where every length is known.
  let shape: Shape?
  private let layer: KerasLayer
  private let upgrade: KerasUpgrade
  private var layers: [WrittenLayer] = []

  /// Nil when the shape of the layer's one input is not known.
  init?(_ layer: KerasLayer, _ upgrade: KerasUpgrade) {
    guard layer.inputTypes.count == 1, let type = layer.inputTypes.first, type.rank > 0 else { return nil }
    self.layer = layer
    self.upgrade = upgrade
    let lengths = type.dims.dropFirst().map(\.fixed)
    shape = lengths.contains { $0 == nil } ? nil : lengths.compactMap { $0 }
    let name = "\(layer.name)_input"
    input = KerasReference(layer: name, call: 0, result: 0)
    let made = WrittenLayer(
      "InputLayer", name,
      JSONObject([
        ("batch_shape", .array([.null] + lengths.map { $0.map { .int($0) } ?? .null })), ("dtype", .string("float32")), ("sparse", .bool(false)),
        ("name", .string(name)),
      ]))
    made.results = [[type]]
    layers.append(made)
  }

  func result(_ layer: WrittenLayer) -> KerasReference { KerasReference(layer: layer.name, call: 0, result: 0) }

  func add(_ className: String, _ suffix: String, _ options: [(String, JSON)], on inputs: [KerasReference]) -> WrittenLayer {
    let made = upgrade.extra(className, layer, suffix, options)
    _ = append(made, on: inputs)
    return made
  }

  func append(_ made: WrittenLayer, on inputs: [KerasReference]) -> KerasReference {
    made.isTrainable = layer.isTrainable
    made.calls = [KerasCall(arguments: [inputs.count == 1 ? .leaf(inputs[0]) : .list(inputs.map { .leaf($0) })], keywords: [])]
    layers.append(made)
    return result(made)
  }

  /// scale · x + offset at each position, by weights that can be trained.
  func affine(_ suffix: String, scale: StoredWeight, offset: StoredWeight?, on input: KerasReference) -> KerasReference {
    let axes = String("abcdefgh".dropFirst(1).prefix(scale.shape.count))
    let made = add(
      "EinsumDense", suffix,
      [
        ("equation", .string("a\(axes),\(axes)->a\(axes)")), ("output_shape", .array(scale.shape.map { .int($0) })),
        ("bias_axes", offset == nil ? .null : .string(axes)), ("activation", .string("linear")),
      ], on: [input])
    made.stored["kernel"] = scale
    made.stored["bias"] = offset
    upgrade.setWeights(made)
    return result(made)
  }

  func finish(_ output: KerasReference) -> UpgradedLayer {
    let made = WrittenLayer("Functional", layer.name, module: "keras.src.models.functional")
    made.isTrainable = layer.isTrainable
    var model = WrittenModel(name: layer.name, layers: layers, inputs: .leaf(input), outputs: .leaf(output), isSequential: false)
    model.layers = LayerOrder.sorted(model)
    made.nested = model
    upgrade.note(layer, "is written as a small model of layers that Keras 3 has")
    return UpgradedLayer(made)
  }
}
