import TensorModule

extension ModelDiff {
  /// A few lines for people.
  public var text: String {
    var lines = notes.map { "note: \($0)" }
    if isEqual {
      let worst = outputs.compactMap(\.error).max() ?? 0
      lines.append("equal: \(outputs.count) outputs, largest difference \(Float(worst))")
    } else if let difference {
      lines.append("the models part here:")
      for (which, place) in [("first", difference.first), ("second", difference.second)] {
        guard let place else {
          lines.append("  \(which)   nothing that reads the same")
          continue
        }
        let scope = place.scope.isEmpty ? "" : " in \(KilnError.escaped(place.scope))"
        lines.append("  \(which.padded(to: 6))  \(KilnError.quoted(place.name))\(scope): \(place.op) \(place.type)")
      }
      if let error = difference.error { lines.append("  error   \(Float(error)) where values reach \(Float(difference.scale ?? 0))") }
      for cause in difference.causes { lines.append("  guess   \(cause.kind): \(cause.text)") }
      if difference.causes.isEmpty { lines.append("  guess   none") }
    }
    for output in outputs where !output.agrees {
      let error = output.error.map { "differs by up to \(Float($0))" } ?? "has another shape or dtype"
      lines.append("output \(KilnError.quoted(output.first)) \(error)")
    }
    lines.append("\(aligned) of \(nodes) nodes of the first model have a counterpart in the second")
    return lines.joined(separator: "\n") + "\n"
  }

  /// The same for programs.
  public var json: String {
    func place(_ place: Place?) -> JSON {
      guard let place else { return .null }
      return .object(
        JSONObject([("name", .string(place.name)), ("op", .string(place.op)), ("scope", .string(place.scope)), ("type", .string(place.type))]))
    }
    func number(_ value: Double?) -> JSON { value.map { .double($0) } ?? .null }
    var object = JSONObject([("schema", .int(1)), ("equal", .bool(isEqual)), ("aligned", .int(aligned)), ("nodes", .int(nodes))])
    object["difference"] =
      difference.map { difference in
        .object(
          JSONObject([
            ("first", place(difference.first)), ("second", place(difference.second)), ("error", number(difference.error)),
            ("scale", number(difference.scale)),
            ("causes", .array(difference.causes.map { .object(JSONObject([("kind", .string($0.kind)), ("text", .string($0.text))])) })),
          ]))
      } ?? .null
    object["outputs"] = .array(
      outputs.map {
        .object(JSONObject([("first", .string($0.first)), ("second", .string($0.second)), ("error", number($0.error)), ("agrees", .bool($0.agrees))]))
      })
    object["notes"] = .array(notes.map { .string($0) })
    return JSON.object(object).text() + "\n"
  }
}

extension String {
  fileprivate func padded(to width: Int) -> String { count < width ? self + String(repeating: " ", count: width - count) : self }
}
