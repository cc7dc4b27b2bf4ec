import TensorModule

/// Writes the legacy layout of `.h5` files: a group for each layer of the model, its weights in order.
struct KerasH5Writer {
  let isKeras3: Bool

  func write(_ document: KerasDocument, _ state: [Tensor]?, to path: String, weightsOnly: Bool) throws {
    var document = document
    var compile = document.compileConfig
    if !isKeras3 { (document, compile) = try KerasDowngrade.document(document) } else { try check(document) }
    let version = isKeras3 ? KerasWriter.version3 : KerasWriter.version2
    let file = try HDF5Writer(path: path)
    let root = weightsOnly ? "" : "model_weights"
    try layers(document, in: root, version, file)
    if !weightsOnly {
      try file.attribute("keras_version", version, of: "")
      try file.attribute("backend", "tensorflow", of: "")
      try file.attribute("model_config", document.model.text(nonFinite: nil), of: "")
      if let compile {
        try file.attribute("training_config", KerasTraining.legacy(compile, keras3: isKeras3).text(nonFinite: nil), of: "")
        if let state, !document.optimizerVariables.isEmpty { try optimizer(state, file) }
      }
    }
    try file.close()
  }

  /// What Keras 3 keeps in archives and does not read in its `.h5` files.
  private func check(_ document: KerasDocument) throws {
    func refused(_ text: String) -> KilnError { KilnError(.unsupportedModel, text, hint: "a .keras file has it") }
    if let one = document.variables.first(where: { $0.name.hasSuffix("_amax_history") }) {
      throw refused("layer \(KilnError.quoted(one.layer)): float8 is not written in an .h5 of Keras 3")
    }
    if let one = document.variables.first(where: { $0.name == "idf_weights" }) {
      throw refused("layer \(KilnError.quoted(one.layer)): Keras 3 does not read the weights of tf_idf in an .h5")
    }
    // Keras 3 makes of its arrays what it computes with for the model's own layers alone.
    if let one = document.variables.first(where: { $0.name == "mean" && !$0.isTrainable && $0.layer != $0.group }) {
      throw refused("layer \(KilnError.quoted(one.layer)): Keras 3 loads the statistics of a Normalization inside a layer from an .h5 and does not use them")
    }
    if Self.hasEllipsis(document.model) { throw refused("Keras 3 does not read an ellipsis among indices in an .h5") }
  }

  private static func hasEllipsis(_ json: JSON) -> Bool {
    if let items = json.arrayValue { return items.contains(where: hasEllipsis) }
    guard let object = json.objectValue else { return false }
    return object["class_name"]?.stringValue == "__ellipsis__" || object.entries.contains { hasEllipsis($0.value) }
  }

  private func layers(_ document: KerasDocument, in root: String, _ version: String, _ file: HDF5Writer) throws {
    let prefix = root.isEmpty ? "" : root + "/"
    let names = (document.model["config"]?["layers"]?.arrayValue ?? []).filter { layer in
      // Functions are no layers.
      !(layer["module"]?.stringValue ?? "").hasPrefix("keras.src.ops")
    }.compactMap { $0["name"]?.stringValue ?? $0["config"]?["name"]?.stringValue }
    try file.attribute("layer_names", names, of: root)
    try file.attribute("backend", "tensorflow", of: root)
    try file.attribute("keras_version", version, of: root)
    let byGroup = Dictionary(grouping: document.variables, by: \.group)
    var used: Set<String> = []
    for name in names {
      var list: [String] = []
      for variable in byGroup[name] ?? [] {
        let stem = "\(variable.layer)/\(variable.name)"
        var proposal = stem + (isKeras3 ? "" : ":0")
        var number = 0
        while !used.insert("\(name)/\(proposal)").inserted {
          number += 1
          proposal = "\(stem)_\(number)" + (isKeras3 ? "" : ":0")
        }
        list.append(proposal)
        // Keras 3 does not read bfloat16 in an .h5, not its own either.
        let tensor = variable.tensor.dtype == .bfloat16 ? try variable.tensor.converted(to: .float32) : variable.tensor
        try file.dataset("\(prefix)\(name)/\(proposal)", tensor)
      }
      try file.attribute("weight_names", list, of: prefix + name)
    }
    if let extra = document.variables.first(where: { !names.contains($0.group) }) {
      throw KilnError(.internal, "the variables of \(KilnError.quoted(extra.group)) have no layer")
    }
  }

  private func optimizer(_ state: [Tensor], _ file: HDF5Writer) throws {
    let names = state.indices.map { "optimizer/\($0)" }
    for (name, tensor) in zip(names, state) { try file.dataset("optimizer_weights/\(name)", tensor) }
    try file.attribute("weight_names", names, of: "optimizer_weights")
  }
}
