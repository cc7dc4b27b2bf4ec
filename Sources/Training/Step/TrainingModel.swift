import GraphModule
import TensorModule

/// A model to train: the graph as its source has it, and which of its constants are variables.
package struct TrainingModel: Sendable {
  /// One variable of a layer, which is a constant of the graph.
  package struct Variable: Sendable {
    /// The constant's name in the graph.
    package var value: String
    /// The layer's path, and what Keras calls the variable there.
    package var layer: String
    package var name: String
    package var isTrainable: Bool
    /// Its place among the variables of the source's document, when it is laid out as there.
    package var document: Int?
    /// Its shape in Keras, which optimizers and constraints see; the constant may have the same elements under another.
    package var shape: Shape?
    package var regularizer: JSON?
    package var constraint: JSON?
  }

  /// What training needs to know of a layer.
  package struct Layer: Sendable {
    package var path: String
    package var className: String
    package var isTrainable: Bool
    package var momentum: Double
    package var isMasked: Bool
    package var activityRegularizer: JSON?
    /// The names of what its calls give, of a layer whose activity is penalized.
    package var results: [String]
    /// Options that training does not support.
    package var unsupported: [String]
  }

  package static let metadataKey = "training_layout"

  package var graph: Graph
  package var variables: [Variable]
  package var layers: [Layer]

  /// - Parameter graph: of an import for training; the layout is in its metadata.
  /// - Throws: `KilnError` (`unsupportedModel`) for a graph that was not imported for training.
  package init(_ graph: Graph) throws {
    guard let text = graph.metadata[Self.metadataKey], let json = try? JSON.parse(text),
      let variables = json["variables"]?.arrayValue, let layers = json["layers"]?.arrayValue
    else {
      throw KilnError(.unsupportedModel, "was not imported for training", hint: "kconv import --for-training")
    }
    self.graph = graph
    self.variables = variables.map {
      Variable(
        value: $0["value"]?.stringValue ?? "", layer: $0["layer"]?.stringValue ?? "", name: $0["name"]?.stringValue ?? "",
        isTrainable: $0["trainable"]?.boolValue ?? false, document: $0["document"]?.intValue, shape: $0["shape"]?.arrayValue?.compactMap(\.intValue), regularizer: $0["regularizer"],
        constraint: $0["constraint"])
    }
    self.layers = layers.map {
      Layer(
        path: $0["path"]?.stringValue ?? "", className: $0["class"]?.stringValue ?? "", isTrainable: $0["trainable"]?.boolValue ?? true,
        momentum: $0["momentum"]?.doubleValue ?? 0.99, isMasked: $0["masked"]?.boolValue ?? false,
        activityRegularizer: $0["activity_regularizer"], results: $0["results"]?.arrayValue?.compactMap(\.stringValue) ?? [],
        unsupported: $0["unsupported"]?.arrayValue?.compactMap(\.stringValue) ?? [])
    }
    // A variable that the outputs do not depend on is no constant of the graph any more.
    self.variables.removeAll { graph.value(named: $0.value).flatMap { graph.constants[$0] } == nil }
  }

  /// What the outputs are called that carry the masks of others.
  package static let maskPrefix = "mask of "

  /// The names of the model's own outputs.
  package var outputs: [String] { graph.outputs.map(\.name).filter { !$0.hasPrefix(Self.maskPrefix) } }

  /// The constant that is a variable.
  package func constant(_ variable: Variable) -> ValueID? { graph.value(named: variable.value) }
}
