import TensorModule

/// Writes documents as files of Keras. The same document gives the same bytes.
package enum KerasWriter {
  /// The Keras whose files these are.
  static let version3 = "3.15.1"
  static let version2 = "2.21.0"

  /// Writes a document; the file appears complete or not at all.
  ///
  /// - Parameters:
  ///   - optimizer: the optimizer's variables by their names in the source; empty leaves its state out.
  ///   - overwriting: replace an existing file.
  ///   - validate: looks at the complete file under its temporary name; what it throws leaves nothing behind.
  /// - Throws: `KilnError`: `unsupportedModel` with everything that the target cannot express, `failed` when the file exists or
  ///   cannot be written.
  package static func write(
    _ document: KerasDocument, optimizer: [(name: String, tensor: Tensor)] = [], as target: KerasTarget, to path: String,
    overwriting: Bool = false, validate: (String) throws -> Void = { _ in }
  ) throws {
    if let first = document.problems.first {
      let count = document.problems.count
      throw KilnError(.unsupportedModel, count == 1 ? first : "\(count) things cannot be written: " + document.problems.joined(separator: "; "))
    }
    if !overwriting, FileStatus.exists(path) { throw KilnError(.failed, "exists already", at: [path], hint: "--force overwrites it") }
    let folder = try PrivateFolder(beside: path)
    let temporary = folder.path + "/" + (target == .keras3Archive ? "model.keras" : "model.h5")
    let state = try self.state(document, optimizer, isKeras3: target != .keras2H5)
    try folder.standing(for: path) {
      switch target {
      case .keras3Archive: try archive(document, state, folder.path, temporary)
      case .keras3Weights:
        let file = try HDF5Writer(path: temporary)
        try tree(document, nil, file)
        try file.close()
      case .keras3H5: try KerasH5Writer(isKeras3: true).write(document, state, to: temporary, weightsOnly: false)
      case .keras2H5, .keras2Weights:
        try KerasH5Writer(isKeras3: false).write(document, state, to: temporary, weightsOnly: target.isWeightsOnly)
      }
    }
    try validate(temporary)
    try FileStatus.publish(temporary, as: path)
  }

  /// The optimizer's variables in the target's order; nil when there are none.
  private static func state(_ document: KerasDocument, _ optimizer: [(name: String, tensor: Tensor)], isKeras3: Bool) throws -> [Tensor]? {
    guard document.compileConfig != nil, !document.optimizerVariables.isEmpty, !optimizer.isEmpty else { return nil }
    let shapes = document.variables.filter(\.isTrainable).map(\.tensor.shape)
    guard let order = document.compileConfig?["optimizer"].flatMap({ OptimizerOrder($0, variableCount: shapes.count) }),
      order.document.count == document.optimizerVariables.count
    else { return nil }
    let byName = Dictionary(optimizer.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
    var known: [OptimizerEntry: Tensor] = [:]
    for (entry, name) in zip(order.document, document.optimizerVariables) {
      let tensor: Tensor
      if name.hasPrefix(KerasDocument.number), let value = Double(name.dropFirst(KerasDocument.number.count)) {
        tensor = try Tensor(converting: [value], to: .float32, shape: [])
      } else {
        guard let found = byName[name] else { throw KilnError(.badInput, "the optimizer's variable \(KilnError.quoted(name)) is missing") }
        tensor = found
      }
      known[entry] = entry.kind == .iteration ? try Tensor(converting: tensor.doubles, to: .int64, shape: []) : tensor
    }
    let wanted = isKeras3 ? order.keras3 : order.tfKeras(shapes)
    return try wanted.map { entry in
      if let tensor = known[entry] { return tensor }
      let shape = entry.shape(shapes) ?? []
      return try Tensor(converting: [Double](repeating: 0, count: shape.elementCount), to: .float32, shape: shape)
    }
  }

  /// `metadata.json`, `config.json`, `model.weights.h5` and assets, stored without compression.
  private static func archive(_ document: KerasDocument, _ state: [Tensor]?, _ folder: String, _ path: String) throws {
    let weights = folder + "/model.weights.h5"
    let file = try HDF5Writer(path: weights)
    try tree(document, state, file)
    try file.close()
    guard var config = document.model.objectValue else { throw KilnError(.internal, "a document without a model") }
    config["build_config"] = config["build_config"] ?? .object(JSONObject())
    config["compile_config"] = document.compileConfig ?? .object(JSONObject())
    let metadata = JSON.object(JSONObject([("keras_version", .string(version3)), ("date_saved", .string("1980-01-01@00:00:00"))]))
    var zip = ZipWriter()
    var out = try AtomicFile.create(path: path, overwriting: true)
    let mapped = try MappedFile(path: weights)
    let texts = [("metadata.json", metadata.text()), ("config.json", JSON.object(config).text(nonFinite: nil))]
    for (name, text) in texts { try add(name, text, &zip, &out) }
    try out.write(try zip.header(name: "model.weights.h5", data: mapped.bytes))
    try out.write(mapped.bytes)
    for asset in document.assets { try add(asset.name, asset.text, &zip, &out) }
    try out.write(try zip.trailer())
    try out.commit()
  }

  private static func add(_ name: String, _ text: String, _ zip: inout ZipWriter, _ out: inout AtomicFile) throws {
    let bytes = Array(text.utf8)
    try out.write(try bytes.withUnsafeBytes { try zip.header(name: name, data: $0) })
    try out.write(bytes)
  }

  /// The tree of objects with their variables, by layers.
  private static func tree(_ document: KerasDocument, _ state: [Tensor]?, _ file: HDF5Writer) throws {
    for object in document.objects {
      try file.group("\(object.place)/vars")
      try file.attribute("name", object.name, of: "\(object.place)/vars")
    }
    let all = document.variables.flatMap { variable in variable.places.map { (place: $0, tensor: variable.tensor) } }
    for item in all { try file.dataset(item.place, item.tensor) }
    for (index, tensor) in (state ?? []).enumerated() { try file.dataset("optimizer/vars/\(index)", tensor) }
    try file.group("vars")
  }
}
