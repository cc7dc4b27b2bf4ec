import TensorModule

/// What training left beside a model, for a trainer that goes on: never read when a model is loaded to predict.
///
/// It is stored as tensors named `kiln.optimizer/NAME` at the end of the file, and under `kiln.training` in the metadata.
package struct TrainingState: Sendable {
  static let prefix = "kiln.optimizer/"
  static let key = "kiln.training"

  /// The source's own training configuration: optimizer, loss, metrics.
  package var configuration: JSON
  /// The optimizer's variables under the names of the source, in its order.
  package var variables: [(name: String, tensor: Tensor)]

  package init(configuration: JSON, variables: [(name: String, tensor: Tensor)]) {
    self.configuration = configuration
    self.variables = variables
  }

  /// The description that goes in the metadata.
  var text: String {
    let list = variables.map { name, tensor in
      JSON.object(
        JSONObject([
          ("name", .string(name)), ("dtype", .string(tensor.dtype.name)), ("shape", .array(tensor.shape.map { .int($0) })),
        ]))
    }
    return JSON.object(JSONObject([("configuration", configuration), ("variables", .array(list))])).text()
  }
}

extension KilnFile {
  /// The training state in a `.kiln` file, its checksums checked; nil when there is none.
  ///
  /// - Throws: `KilnError` (`badInput`) when it is damaged.
  package static func training(path: String) throws -> TrainingState? {
    let file = try MappedFile(path: path)
    do {
      let header = try Safetensors.readHeader(file.bytes)
      guard let text = header.metadata[TrainingState.key] else { return nil }
      let json = try JSON.parse(text)
      let hashes = try JSON.parse(header.metadata["kiln.hashes"] ?? "", limits: JSON.Limits(depth: 2))
      let entries = Dictionary(header.entries.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
      let variables = try (json["variables"]?.arrayValue ?? []).map { item in
        let name = item["name"]?.stringValue ?? ""
        guard let entry = entries[TrainingState.prefix + name] else {
          throw KilnError(.badInput, "the optimizer's variable \(KilnError.quoted(name)) is missing")
        }
        let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[entry.range])
        guard hashes[entry.name]?.stringValue == XXH64.text(bytes) else {
          throw KilnError(.badInput, "tensor \(KilnError.quoted(entry.name)): the checksum is wrong (file damaged)")
        }
        return (name, try Safetensors.tensor(entry, in: file))
      }
      return TrainingState(configuration: json["configuration"] ?? .null, variables: variables)
    } catch let error as KilnError { throw error.inside(path) }
  }
}
