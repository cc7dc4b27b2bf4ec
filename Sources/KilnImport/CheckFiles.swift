import GraphModule
import ModelFile
import TensorModule

/// Inputs, and the outputs that the source framework itself gave for them: two `.npz` files by name, or `.npy` files
/// where the model has one input or output.
public struct CheckFiles: Sendable {
  public var inputs: String
  public var outputs: String

  public init(inputs: String, outputs: String) {
    self.inputs = inputs
    self.outputs = outputs
  }

  /// The check vector to store.
  ///
  /// - Throws: `KilnError` (`badInput`) when a name is not one of the model's, or one is missing.
  func vector(for graph: Graph) throws -> CheckVector {
    CheckVector(
      origin: .framework, tolerance: .framework, inputs: try CheckFiles.read(inputs, graph.inputs.map { graph[$0].name }, "input"),
      outputs: try CheckFiles.read(outputs, graph.outputs.map(\.name), "output"))
  }

  private static func read(_ path: String, _ names: [String], _ what: String) throws -> [(name: String, tensor: Tensor)] {
    let file = try MappedFile(path: path)
    let isArray = withExtendedLifetime(file) { NumPyFile.isNPY(file.bytes) }
    var found = isArray ? [("", try NumPyFile.read(npy: path))] : try NumPyFile.read(npz: path)
    if found.count == 1, names.count == 1 { found[0].0 = names[0] }
    if let extra = found.first(where: { !names.contains($0.0) }) {
      throw KilnError(.badInput, "the model has no \(what) \(KilnError.quoted(extra.0))", at: [path])
    }
    return try names.map { name in
      guard let array = found.first(where: { $0.0 == name }) else {
        throw KilnError(.badInput, "the \(what) \(KilnError.quoted(name)) is missing", at: [path])
      }
      return (name, array.1)
    }
  }
}
