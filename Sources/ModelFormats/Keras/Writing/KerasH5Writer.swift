import TensorModule

/// Writes the legacy layout of `.h5` files: a group for each layer of the model, its weights in order.
struct KerasH5Writer {
  let isKeras3: Bool

  func write(_ document: KerasDocument, _ state: [Tensor]?, to path: String, weightsOnly: Bool) throws {
    var document = document
    var compile = document.compileConfig
    if !isKeras3 { (document, compile) = try KerasDowngrade.document(document) }
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
        try file.dataset("\(prefix)\(name)/\(proposal)", variable.tensor)
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
