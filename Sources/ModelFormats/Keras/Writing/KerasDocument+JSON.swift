import TensorModule

/// The form in which a `.kiln` keeps a document: its JSON, and the variables as tensors beside it.
extension KerasDocument {
  /// Everything but the arrays.
  package var json: JSON {
    func texts(_ list: [String]) -> JSON { .array(list.map { .string($0) }) }
    let list = variables.map { variable in
      JSON.array([
        .string(variable.layer), .string(variable.name), .string(variable.group), texts(variable.places), .bool(variable.isTrainable),
      ])
    }
    return .object(
      JSONObject([
        ("model", model), ("variables", .array(list)),
        ("objects", .array(objects.map { .array([.string($0.place), .string($0.name)]) })),
        ("assets", .array(assets.map { .array([.string($0.name), .string($0.text)]) })), ("compile_config", compileConfig ?? .null),
        ("optimizer", texts(optimizerVariables)), ("problems", texts(problems)), ("notes", texts(notes)),
        ("masked", texts(maskedLayers)), ("order2", texts(order2)),
      ]))
  }

  /// - Parameter tensors: the arrays of the variables, in their order.
  /// - Throws: `KilnError` (`badInput`) when the description is no document.
  package init(_ json: JSON, tensors: [Tensor]) throws {
    func damaged() -> KilnError { KilnError(.badInput, "its description of the source's layers is malformed") }
    guard let model = json["model"], let list = json["variables"]?.arrayValue, list.count == tensors.count else { throw damaged() }
    self.init(model: model)
    func texts(_ key: String) -> [String] { json[key]?.arrayValue?.compactMap(\.stringValue) ?? [] }
    func pairs(_ key: String) throws -> [(String, String)] {
      try (json[key]?.arrayValue ?? []).map { pair in
        guard let first = pair[0]?.stringValue, let second = pair[1]?.stringValue else { throw damaged() }
        return (first, second)
      }
    }
    variables = try zip(list, tensors).map { item, tensor in
      guard let layer = item[0]?.stringValue, let name = item[1]?.stringValue, let group = item[2]?.stringValue,
        let places = item[3]?.arrayValue?.compactMap(\.stringValue), !places.isEmpty, let isTrainable = item[4]?.boolValue
      else { throw damaged() }
      return Variable(layer: layer, name: name, group: group, places: places, isTrainable: isTrainable, tensor: tensor)
    }
    objects = try pairs("objects").map { (place: $0, name: $1) }
    assets = try pairs("assets").map { (name: $0, text: $1) }
    compileConfig = json["compile_config"].flatMap { $0.isNull ? nil : $0 }
    optimizerVariables = texts("optimizer")
    problems = texts("problems")
    notes = texts("notes")
    maskedLayers = texts("masked")
    order2 = texts("order2")
  }
}
