import GraphModule
import TensorModule

/// The `.kiln` container: a safetensors file whose metadata hold the graph in text form, hashes and check vectors.
///
/// Constants are stored under their names in the graph, those of subgraphs as `kiln.graph/N/NAME`. Check vectors are tensors named
/// `kiln.check/N/input/NAME` and `kiln.check/N/output/NAME`; what a trainer or a writer needs is apart from these (`TrainingState`, `SourceLayers`). Every tensor
/// has an XXH64; one more covers the metadata.
package enum KilnFile {
  package static let formatVersion = "1"

  /// Beginnings of names that are not a weight's own.
  private static let reserved = [CheckVector.prefix, TrainingState.prefix, SourceLayers.prefix, Graph.storedPrefix]

  /// Writes a model under a temporary name, then gives it its name.
  ///
  /// - Parameter flushing: has it on the disk before it has its name.
  /// - Throws: `KilnError` (`failed`) when the file exists and `overwriting` is false, or cannot be written.
  package static func save(_ model: StoredModel, to path: String, overwriting: Bool = false, flushing: Bool = true) throws {
    var tensors: [(name: String, tensor: Tensor)] = []
    func add(_ name: String, _ tensor: Tensor) throws {
      tensors.append((name, tensor.dtype == .string ? try StringTensor.encode(tensor) : tensor))
    }
    let graph = model.graph.compacted()
    for (index, part) in graph.allGraphs.enumerated() {
      for (id, tensor) in part.constants.sorted(by: { $0.key.index < $1.key.index }) {
        let name = part[id].name
        guard index > 0 || name != "__metadata__" && !reserved.contains(where: name.hasPrefix) else {
          throw KilnError(.unsupportedModel, "a weight cannot have the name \(KilnError.quoted(name))")
        }
        try add(Graph.storedName(name, subgraph: index), tensor)
      }
    }
    var checks: [JSON] = []
    for (index, check) in model.checks.enumerated() {
      for (kind, list) in [("input", check.inputs), ("output", check.outputs)] {
        for (name, tensor) in list { try add("\(CheckVector.prefix)\(index)/\(kind)/\(name)", tensor) }
      }
      checks.append(check.json)
    }
    for (name, tensor) in model.training?.variables ?? [] { try add(TrainingState.prefix + name, tensor) }
    let trainingText = model.training?.text
    var layersText: String?
    if let layers = model.layers {
      let (names, new) = layers.placed(among: tensors)
      for (name, tensor) in new { try add(name, tensor) }
      layersText = layers.text(names)
    }
    let text = TextForm.print(graph, inlineConstants: false)
    let checkText = JSON.array(checks).text()
    let names = tensors.map(\.name)
    var file = try AtomicFile.create(path: path, overwriting: overwriting)
    try Safetensors.write(
      tensors, isLast: { $0.hasPrefix(TrainingState.prefix) || $0.hasPrefix(SourceLayers.prefix) }, to: &file,
      metadata: { hashes in
        let hashText = JSON.object(JSONObject(names.map { ($0, .string(hashes[$0] ?? "")) })).text()
        return [
          ("kiln.format", formatVersion), ("kiln.graph", text), ("kiln.hashes", hashText), ("kiln.checks", checkText),
          ("kiln.digest", digest(text, hashText, checkText, trainingText, layersText)),
        ] + (trainingText.map { [(TrainingState.key, $0)] } ?? []) + (layersText.map { [(SourceLayers.key, $0)] } ?? [])
      })
    try file.commit(flushing: flushing)
  }

  /// Maps a model. Everything is checked first: the container, hashes, the graph's names, types and attributes.
  ///
  /// - Throws: `KilnError` (`badInput`) for anything that is not a sound `.kiln` file.
  ///
  /// - Parameters:
  ///   - checkOnly: the model is not used further; little of the file is then held in memory at a time.
  @discardableResult
  package static func load(path: String, checkOnly: Bool = false) throws -> StoredModel {
    let (model, checks) = try open(path: path, checkOnly: checkOnly)
    try checks.finish()
    return model
  }

  /// Maps a model whose tensors' checksums are not looked at yet: `finish` of the second result does that, on the calling
  /// thread and on those that call `help` meanwhile. The model must not be used for results before.
  ///
  /// - Parameter starting: gets the checks before the graph is read, for threads that help.
  package static func open(
    path: String, checkOnly: Bool = false, starting: (TensorChecks) -> Void = { _ in }
  ) throws -> (model: StoredModel, checks: TensorChecks) {
    let file = try MappedFile(path: path)
    do { return try load(file, checkOnly, starting) } catch let error as KilnError { throw error.inside(path) }
  }

  /// Whether a file begins as a `.kiln` file does: a plausible header length, then `{`.
  package static func isKilnFile(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard bytes.count > 9, let length = try? ByteReader(bytes).int64(0) else { return false }
    return length <= Safetensors.maximumHeader && length < bytes.count && bytes[8] == UInt8(ascii: "{")
  }

  private static func load(_ file: MappedFile, _ checkOnly: Bool, _ starting: (TensorChecks) -> Void) throws -> (StoredModel, TensorChecks) {
    let header = try Safetensors.readHeader(file.bytes)
    guard let version = header.metadata["kiln.format"] else {
      throw KilnError(.badInput, "is a safetensors file without a Kiln graph")
    }
    guard version == formatVersion else {
      throw KilnError(.badInput, "has format \(KilnError.quoted(version)); this Kiln reads \(formatVersion)")
    }
    guard let text = header.metadata["kiln.graph"], let hashText = header.metadata["kiln.hashes"],
      let checkText = header.metadata["kiln.checks"],
      header.metadata["kiln.digest"] == digest(text, hashText, checkText, header.metadata[TrainingState.key], header.metadata[SourceLayers.key])
    else { throw KilnError(.badInput, "the graph's checksum is wrong (file damaged)") }
    let hashes = try JSON.parse(hashText, limits: JSON.Limits(depth: 2))
    var tensors: [String: Tensor] = [:]
    let trainingText = header.metadata[TrainingState.key]
    let hasLayers = header.metadata[SourceLayers.key] != nil
    func isApart(_ name: String) -> Bool {
      trainingText != nil && name.hasPrefix(TrainingState.prefix) || hasLayers && name.hasPrefix(SourceLayers.prefix)
    }
    let used = header.entries.filter { !isApart($0.name) }
    let sums = TensorChecks(used.map { ($0, hashes[$0.name]?.stringValue) }, in: file, releases: checkOnly)
    // One pass over the file, before its text is read into memory.
    if checkOnly {
      try ParallelWork.forEach(4, bytes: sums.byteCount) { _ in sums.help() }
      try sums.finish()
    }
    starting(sums)
    for entry in used { tensors[entry.name] = try Safetensors.tensor(entry, in: file) }
    func take(_ name: String, _ type: TensorType) throws -> Tensor {
      guard let stored = tensors.removeValue(forKey: name) else {
        throw KilnError(.badInput, "tensor \(KilnError.quoted(name)) is missing")
      }
      if type.dtype == .string, let shape = type.shape { return try StringTensor.decode(stored, shape: shape) }
      return stored
    }
    let graph = try TextForm.parse(text, resolve: take)
    try Verifier.verify(graph)
    let list = try JSON.parse(checkText, limits: JSON.Limits(depth: 6)).arrayValue ?? []
    let checks = try list.enumerated().map { index, json in try CheckVector(json, index: index, take: take) }
    if let extra = tensors.keys.sorted().first {
      throw KilnError(.badInput, "tensor \(KilnError.quoted(extra)) is not in the graph")
    }
    var model = StoredModel(graph: graph, checks: checks)
    model.trainingText = trainingText
    return (model, sums)
  }

  private static func digest(_ parts: String?...) -> String {
    Array(parts.compactMap { $0 }.joined(separator: "\0").utf8).withUnsafeBytes { XXH64.text($0) }
  }
}

/// Strings as bytes: for each one its length in 4 bytes, little-endian, then its bytes.
enum StringTensor {
  static func encode(_ tensor: Tensor) throws -> Tensor {
    var bytes: [UInt8] = []
    for text in tensor.strings {
      guard let count = UInt32(exactly: text.count) else { throw KilnError(.badInput, "a string has over 4 GiB") }
      bytes.append32(count)
      bytes += text.bytes
    }
    return try Tensor(bytes, shape: [bytes.count])
  }

  static func decode(_ tensor: Tensor, shape: Shape) throws -> Tensor {
    let reader = ByteReader(tensor.bytes)
    var strings: [ByteString] = []
    var position = 0
    while position < reader.count {
      let length = Int(try reader.uint32(position))
      strings.append(ByteString(try reader.slice(position + 4, length)))
      position += 4 + length
    }
    guard strings.count == checkedProduct(shape) else {
      throw KilnError(.badInput, "\(strings.count) stored strings do not fill \(shape.shapeText)")
    }
    return Tensor(strings: strings, shape: shape)
  }
}
