/// A JSON value as it stands in a file: integers and floats told apart, members in order.
///
/// Foundation's decoder forgets the order of members, cannot tell `1` from `1.0`, and lets a repeated key pass;
/// model configurations need all three.
package enum JSON: Hashable, Sendable {
  case null
  case bool(Bool)
  case int(Int)
  case double(Double)
  case string(String)
  case array([JSON])
  case object(JSONObject)

  package var boolValue: Bool? { if case .bool(let value) = self { value } else { nil } }
  /// An integer, or a float without a fraction (`3.0`).
  package var intValue: Int? {
    switch self {
    case .int(let value): value
    case .double(let value): Int(exactly: value)
    default: nil
    }
  }
  package var doubleValue: Double? {
    switch self {
    case .int(let value): Double(value)
    case .double(let value): value
    default: nil
    }
  }
  package var stringValue: String? { if case .string(let value) = self { value } else { nil } }
  package var arrayValue: [JSON]? { if case .array(let values) = self { values } else { nil } }
  package var objectValue: JSONObject? { if case .object(let object) = self { object } else { nil } }
  package var isNull: Bool { self == .null }

  /// The member of that name, when this is an object that has it.
  package subscript(_ key: String) -> JSON? { objectValue?[key] }

  /// The element at that index, when this is an array that has it.
  package subscript(_ index: Int) -> JSON? {
    guard let values = arrayValue, values.indices.contains(index) else { return nil }
    return values[index]
  }

  /// What kind of value this is, for messages.
  package var kind: String {
    switch self {
    case .null: "null"
    case .bool: "a boolean"
    case .int, .double: "a number"
    case .string: "a string"
    case .array: "a list"
    case .object: "an object"
    }
  }
}

/// A JSON object: unique keys, in the order of the file.
package struct JSONObject: Hashable, Sendable {
  package private(set) var entries: [(key: String, value: JSON)] = []
  private var index: [String: Int] = [:]

  package init() {}

  package init(_ entries: [(String, JSON)]) {
    for (key, value) in entries { self[key] = value }
  }

  package var keys: [String] { entries.map(\.key) }
  package var count: Int { entries.count }

  package subscript(_ key: String) -> JSON? {
    get { index[key].map { entries[$0].value } }
    set {
      if let position = index[key] {
        if let newValue {
          entries[position].value = newValue
        } else {
          entries.remove(at: position)
          index = Dictionary(uniqueKeysWithValues: entries.enumerated().map { ($1.key, $0) })
        }
      } else if let newValue {
        index[key] = entries.count
        entries.append((key, newValue))
      }
    }
  }

  package static func == (left: JSONObject, right: JSONObject) -> Bool {
    left.count == right.count && left.entries.allSatisfy { right[$0.key] == $0.value }
  }

  package func hash(into hasher: inout Hasher) { hasher.combine(count) }
}
