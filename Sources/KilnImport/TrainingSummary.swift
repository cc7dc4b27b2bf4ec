import ModelFile
import TensorModule

/// The training state of a stored model as `inspect` shows it.
package struct TrainingSummary {
  package let optimizer: String?
  package let loss: String?
  package let metrics: String?
  package let variables: [(name: String, type: String)]
  package let json: JSON

  /// Nil when the model has none.
  package init?(_ model: StoredModel) {
    guard let text = model.trainingText, let json = try? JSON.parse(text) else { return nil }
    self.json = json
    let configuration = json["configuration"]
    let object = configuration?["optimizer_config"] ?? configuration?["optimizer"]
    optimizer = object.flatMap { TrainingSummary.name($0) }
    loss = configuration?["loss"].flatMap { TrainingSummary.name($0) }
    metrics = configuration?["metrics"].flatMap { TrainingSummary.name($0) }
    variables = (json["variables"]?.arrayValue ?? []).map { item in
      let shape = (item["shape"]?.arrayValue ?? []).compactMap(\.intValue)
      return (item["name"]?.stringValue ?? "", (item["dtype"]?.stringValue ?? "") + shape.shapeText)
    }
  }

  /// `adam`, `Adam(learning_rate 0.001)`, `mse, mae`.
  private static func name(_ value: JSON) -> String? {
    if value.isNull { return nil }
    if let text = value.stringValue { return text }
    if let list = value.arrayValue {
      let names = list.compactMap(name)
      return names.isEmpty ? nil : names.joined(separator: ", ")
    }
    guard let className = value["class_name"]?.stringValue else {
      let names = (value.objectValue?.entries ?? []).compactMap { entry in name(entry.value).map { "\(entry.key): \($0)" } }
      return names.isEmpty ? nil : names.joined(separator: ", ")
    }
    if className == "function" || className == "MeanMetricWrapper" {
      return value["config"]?["fn"].flatMap(name) ?? value["config"]?.stringValue ?? className
    }
    let rate = value["config"]?["learning_rate"] ?? value["config"]?["lr"]
    return rate?.doubleValue.map { "\(className)(learning_rate \(Float($0)))" } ?? className
  }
}
