import GraphModule
import TensorModule

/// What a writer of the source's format needs: the source's layers as data beside the graph, and their variables as they were
/// before the graph was simplified. Never read when a model is loaded to predict.
///
/// The description is under `kiln.layers` in the metadata. A variable that is a constant of the graph as it stands is not stored
/// again; the others are tensors named `kiln.layers/N` at the end of the file.
package struct SourceLayers: Sendable {
  static let prefix = "kiln.layers/"
  static let key = "kiln.layers"

  /// The description; its form is the importer's.
  package var description: JSON
  package var variables: [Tensor]

  package init(description: JSON, variables: [Tensor]) {
    self.description = description
    self.variables = variables
  }

  /// Tensors alike in type and sample of which one is looked for among this many.
  private static let candidates = 16

  /// Which tensors stand for the variables, and those of them that have to be stored.
  ///
  /// - Parameter stored: the tensors that the file has already.
  func placed(among stored: [(name: String, tensor: Tensor)]) -> (names: [String], new: [(name: String, tensor: Tensor)]) {
    struct Key: Hashable {
      let dtype: DType
      let shape: Shape
      let sample: [UInt8]

      init(_ tensor: Tensor) { (dtype, shape, sample) = (tensor.dtype, tensor.shape, tensor.sample) }
    }
    var known: [Key: [(name: String, tensor: Tensor)]] = [:]
    for item in stored where !item.name.hasPrefix(CheckVector.prefix) && !item.name.hasPrefix(TrainingState.prefix) {
      known[Key(item.tensor), default: []].append(item)
    }
    var names: [String] = []
    var new: [(name: String, tensor: Tensor)] = []
    for (index, tensor) in variables.enumerated() {
      if let found = known[Key(tensor)]?.prefix(SourceLayers.candidates).first(where: { $0.tensor.hasSameBits(as: tensor) }) {
        names.append(found.name)
      } else {
        names.append("\(SourceLayers.prefix)\(index)")
        new.append((names[index], tensor))
      }
    }
    return (names, new)
  }

  /// The text for the metadata.
  func text(_ names: [String]) -> String {
    JSON.object(JSONObject([("description", description), ("tensors", .array(names.map { .string($0) }))])).text(nonFinite: nil)
  }
}

extension KilnFile {
  /// The source's layers in a `.kiln` file, the checksums of their variables checked; nil when it has none.
  ///
  /// - Throws: `KilnError` (`badInput`) when they are damaged.
  package static func layers(path: String) throws -> SourceLayers? {
    let file = try MappedFile(path: path)
    do {
      let header = try Safetensors.readHeader(file.bytes)
      guard let text = header.metadata[SourceLayers.key] else { return nil }
      let json = try JSON.parse(text)
      let hashes = try JSON.parse(header.metadata["kiln.hashes"] ?? "", limits: JSON.Limits(depth: 2))
      let entries = Dictionary(header.entries.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
      let variables = try (json["tensors"]?.arrayValue ?? []).map { item in
        let name = item.stringValue ?? ""
        guard let entry = entries[name] else { throw KilnError(.badInput, "the variable \(KilnError.quoted(name)) is missing") }
        let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[entry.range])
        guard hashes[entry.name]?.stringValue == XXH64.text(bytes) else {
          throw KilnError(.badInput, "tensor \(KilnError.quoted(entry.name)): the checksum is wrong (file damaged)")
        }
        return try Safetensors.tensor(entry, in: file)
      }
      return SourceLayers(description: json["description"] ?? .null, variables: variables)
    } catch let error as KilnError { throw error.inside(path) }
  }
}
