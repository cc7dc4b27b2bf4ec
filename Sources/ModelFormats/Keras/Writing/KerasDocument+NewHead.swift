import TensorModule

extension KerasDocument {
  /// Gives the model an output for other classes: the last Dense gets new units and fresh weights; a model that ends otherwise gets
  /// pooling over its positions and a Dense.
  ///
  /// - Parameters:
  ///   - classes: how many; 1 stands for two classes told apart by one number.
  ///   - output: the type of the model's output as it is, the batch first.
  /// - Throws: `KilnError` (`unsupportedModel`) for a model of several outputs.
  package mutating func replaceHead(classes: Int, seed: Int, output: [Int?]) throws {
    guard var config = model["config"]?.objectValue, var layers = config["layers"]?.arrayValue, let last = outputLayer(config, layers) else {
      throw KilnError(.unsupportedModel, "has several outputs, or one that is no layer's; --new-head needs a single one")
    }
    let isSequential = model["class_name"]?.stringValue == "Sequential"
    let name = layers[last]["config"]?["name"]?.stringValue ?? layers[last]["name"]?.stringValue ?? ""
    // A Softmax or Activation behind the Dense stays.
    var dense = last
    if isSequential, ["Activation", "Softmax"].contains(layers[last]["class_name"]?.stringValue ?? ""), last > 0 { dense = last - 1 }
    if layers[dense]["class_name"]?.stringValue == "Dense" {
      let own = layers[dense]["config"]?["name"]?.stringValue ?? name
      guard let kernel = variables.firstIndex(where: { $0.layer == own && $0.name == "kernel" }) else {
        throw KilnError(.unsupportedModel, "has no kernel to replace", at: [own])
      }
      let inputs = variables[kernel].tensor.shape[0]
      variables[kernel].tensor = try Self.glorot([inputs, classes], seed)
      if let bias = variables.firstIndex(where: { $0.layer == own && $0.name == "bias" }) {
        variables[bias].tensor = try Tensor(converting: [Double](repeating: 0, count: classes), to: .float32, shape: [classes])
      }
      if var object = layers[dense].objectValue, var options = object["config"]?.objectValue {
        options["units"] = .int(classes)
        options["trainable"] = .bool(true)
        if dense == last { options["activation"] = .string(classes == 1 ? "sigmoid" : "softmax") }
        object["config"] = .object(options)
        object["build_config"] = .object(JSONObject([("input_shape", .array([.null, .int(inputs)]))]))
        layers[dense] = .object(object)
      }
    } else {
      try append(to: &layers, &config, behind: name, isSequential: isSequential, classes, seed, output)
    }
    config["layers"] = .array(layers)
    if var object = model.objectValue {
      object["config"] = .object(config)
      model = .object(object)
    }
    optimizerVariables = []
    compile(for: classes)
  }

  /// The index of the layer that gives the model's one output.
  private func outputLayer(_ config: JSONObject, _ layers: [JSON]) -> Int? {
    if model["class_name"]?.stringValue == "Sequential" { return layers.isEmpty ? nil : layers.count - 1 }
    guard let outputs = config["output_layers"] else { return nil }
    // One output is written with or without a list around it.
    let name = outputs[0]?.stringValue ?? (outputs.arrayValue?.count == 1 ? outputs[0]?[0]?.stringValue : nil)
    return layers.firstIndex { ($0["name"]?.stringValue ?? $0["config"]?["name"]?.stringValue) == name }
  }

  private mutating func append(
    to layers: inout [JSON], _ config: inout JSONObject, behind name: String, isSequential: Bool, _ classes: Int, _ seed: Int, _ output: [Int?]
  ) throws {
    guard let channels = output.last ?? nil, (2...5).contains(output.count) else {
      throw KilnError(.unsupportedModel, "the output has no known width for --new-head")
    }
    let names = Set(layers.compactMap { $0["config"]?["name"]?.stringValue })
    func free(_ wanted: String) -> String { names.contains(wanted) ? (1...).lazy.map { "\(wanted)_\($0)" }.first { !names.contains($0) } ?? wanted : wanted }
    var (before, shape) = (name, output)
    func add(_ className: String, _ own: String, _ options: [(String, JSON)]) {
      var entries: [(String, JSON)] = [
        ("module", .string("keras.layers")), ("class_name", .string(className)),
        ("config", .object(JSONObject([("name", .string(own)), ("trainable", .bool(true)), ("dtype", .string("float32"))] + options))),
        ("registered_name", .null),
      ]
      let dims = JSON.array(shape.map { $0.map { .int($0) } ?? .null })
      entries.append(("build_config", .object(JSONObject([("input_shape", dims)]))))
      if !isSequential {
        let tensor = JSON.object(
          JSONObject([
            ("class_name", .string("__keras_tensor__")),
            ("config", .object(JSONObject([("shape", dims), ("dtype", .string("float32")), ("keras_history", .array([.string(before), .int(0), .int(0)]))]))),
          ]))
        entries.append(("name", .string(own)))
        entries.append(("inbound_nodes", .array([.object(JSONObject([("args", .array([tensor])), ("kwargs", .object(JSONObject()))]))])))
      }
      layers.append(.object(JSONObject(entries)))
      let same = layers.dropLast().count { $0["class_name"]?.stringValue == className }
      let stem = Self.stem(className)
      objects.append(("layers/\(same == 0 ? stem : "\(stem)_\(same)")", own))
      before = own
    }
    if shape.count > 2 {
      add("GlobalAveragePooling\(shape.count - 2)D", free("global_average_pooling\(shape.count - 2)d"), [("data_format", .string("channels_last")), ("keepdims", .bool(false))])
      shape = [shape[0], channels]
    }
    let own = free("head")
    add(
      "Dense", own,
      [("units", .int(classes)), ("activation", .string(classes == 1 ? "sigmoid" : "softmax")), ("use_bias", .bool(true))])
    let place = objects.last?.place ?? ""
    variables.append(
      Variable(layer: own, name: "kernel", group: own, places: ["\(place)/vars/0"], isTrainable: true, tensor: try Self.glorot([channels, classes], seed)))
    variables.append(
      Variable(
        layer: own, name: "bias", group: own, places: ["\(place)/vars/1"], isTrainable: true,
        tensor: try Tensor(converting: [Double](repeating: 0, count: classes), to: .float32, shape: [classes])))
    if !isSequential { config["output_layers"] = .array([.array([.string(own), .int(0), .int(0)])]) }
  }

  /// How a tree of objects spells a class: `global_average_pooling2d`.
  private static func stem(_ className: String) -> String { VariableMatcher.itemNames([className]).first ?? className.lowercased() }

  /// Keras's GlorotUniform, from a seed.
  private static func glorot(_ shape: Shape, _ seed: Int) throws -> Tensor {
    let limit = (6.0 / Double(shape[0] + shape[1])).squareRoot()
    var state = UInt64(bitPattern: Int64(seed)) &+ 0x5EED
    let values = (0..<shape.elementCount).map { _ -> Double in
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
      return (Double((z ^ z >> 31) >> 11) * 0x1p-52 - 1) * limit
    }
    return try Tensor(converting: values, to: .float32, shape: shape)
  }

  /// A loss that goes with the classes, where the present one does not.
  private mutating func compile(for classes: Int) {
    var compile = compileConfig?.objectValue ?? JSONObject([("optimizer", .string("adam"))])
    let wanted = classes == 1 ? ["binary_crossentropy", "BinaryCrossentropy"] : ["categorical_crossentropy", "CategoricalCrossentropy"]
    let loss = compile["loss"]?.stringValue ?? compile["loss"]?["class_name"]?.stringValue ?? ""
    if !wanted.contains(where: loss.contains) || classes == 1 && !loss.lowercased().hasPrefix("binary") {
      compile["loss"] = .string(classes == 1 ? "binary_crossentropy" : "sparse_categorical_crossentropy")
      compile["loss_weights"] = .null
      compile["metrics"] = .array([.string("accuracy")])
      compile["weighted_metrics"] = .null
    }
    compileConfig = .object(compile)
  }
}
