import Kiln

/// The names of classes, in the order of the model's outputs.
struct Labels {
  let names: [String]

  /// The names that training left in the model; nil when there are none.
  init?(of model: Model) {
    guard let text = model.metadata["class_names"], let list = try? JSON.parse(text).arrayValue else { return nil }
    names = list.compactMap(\.stringValue)
    guard names.count == list.count, model.outputs.count == 1, model.outputs[0].dims.last == .some(names.count) else { return nil }
  }

  /// Reads one name a line, a JSON list, or Keras's `imagenet_class_index.json` (`{"0": ["n01440764", "tench"], …}`).
  init(path: String) throws {
    let file = try MappedFile(path: path)
    do {
      names = try withExtendedLifetime(file) {
        path.lowercased().hasSuffix(".json") ? try Labels.json(JSON.parse(file.bytes)) : try Labels.lines(file.bytes)
      }
    } catch let error as KilnError {
      throw error.inside(path)
    }
  }

  private static func lines(_ bytes: UnsafeRawBufferPointer) throws -> [String] {
    guard let text = String(validating: bytes, as: UTF8.self) else { throw KilnError(.badInput, "is not UTF-8") }
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      String(line.last == "\r" ? line.dropLast() : line)
    }
    while lines.last == "" { lines.removeLast() }
    return lines
  }

  private static func json(_ value: JSON) throws -> [String] {
    func name(_ value: JSON?) -> String? { value?.stringValue ?? value?.arrayValue?.last?.stringValue }
    let found: [String?]
    switch value {
    case .array(let values): found = values.map { name($0) }
    case .object(let object): found = (0..<object.count).map { name(object[String($0)]) }
    default: found = [nil]
    }
    let names = found.compactMap { $0 }
    guard names.count == found.count else {
      throw KilnError(.badInput, "must be a list of names, or an object of names under \"0\", \"1\", …")
    }
    return names
  }
}
