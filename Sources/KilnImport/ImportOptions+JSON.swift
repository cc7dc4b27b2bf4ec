import ModelFormats
import TensorModule

extension ImportOptions {
  /// What the child is told.
  var json: JSON {
    func names(_ list: [String]) -> JSON { .array(list.map { .string($0) }) }
    let shapes = inputShapes.sorted { $0.key < $1.key }.map { name, shape in
      (name, JSON.array(shape.map { $0.map { .int($0) } ?? .null }))
    }
    return .object(
      JSONObject([
        ("format", .string(format.rawValue)), ("inputs", names(inputs)), ("outputs", names(outputs)),
        ("inputShapes", .object(JSONObject(shapes))), ("architecture", architecture.map { .string($0) } ?? .null),
        ("signature", signature.map { .string($0) } ?? .null), ("tags", names(tags)),
        ("backend", backend.map { .string($0.rawValue) } ?? .null),
        ("dataFormat", dataFormat.map { .string($0.rawValue) } ?? .null),
        ("replacements", .array(replacements.map { .array([.string($0.name), .string($0.expression)]) })),
        ("allowsExternalData", .bool(allowsExternalData)), ("keepsOptimizer", .bool(keepsOptimizer)), ("keepsLayers", .bool(keepsLayers)),
        ("isForTraining", .bool(isForTraining)), ("lossExpression", lossExpression.map { .string($0) } ?? .null), ("byteBudget", byteBudget.map { .int($0) } ?? .null),
      ]))
  }

  init(_ json: JSON) {
    self.init()
    func names(_ key: String) -> [String] { json[key]?.arrayValue?.compactMap(\.stringValue) ?? [] }
    format = Format(rawValue: json["format"]?.stringValue ?? "") ?? .auto
    inputs = names("inputs")
    outputs = names("outputs")
    for (name, shape) in json["inputShapes"]?.objectValue?.entries ?? [] {
      inputShapes[name] = shape.arrayValue?.map(\.intValue)
    }
    architecture = json["architecture"]?.stringValue
    signature = json["signature"]?.stringValue
    tags = names("tags")
    backend = json["backend"]?.stringValue.flatMap(Backend.init)
    dataFormat = json["dataFormat"]?.stringValue.flatMap(DataFormat.init)
    for pair in json["replacements"]?.arrayValue ?? [] {
      if let name = pair[0]?.stringValue, let expression = pair[1]?.stringValue { replacements.append((name, expression)) }
    }
    byteBudget = json["byteBudget"]?.intValue
    allowsExternalData = json["allowsExternalData"]?.boolValue ?? false
    keepsOptimizer = json["keepsOptimizer"]?.boolValue ?? true
    keepsLayers = json["keepsLayers"]?.boolValue ?? true
    isForTraining = json["isForTraining"]?.boolValue ?? false
    lossExpression = json["lossExpression"]?.stringValue
  }
}
