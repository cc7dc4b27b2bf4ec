import TensorModule

/// The value of an op's attribute, as the text form and the container write it.
package enum AttributeValue: Hashable, Sendable {
  case bool(Bool)
  case int(Int)
  case float(Double)
  /// A bare word: one of a fixed set of names (`same`, `float32`, `sigmoid`).
  case word(String)
  case string(String)
  case dims([Dim])
  case list([AttributeValue])
  /// A closed subgraph: what it reads from around it are its inputs.
  indirect case graph(Graph)

  package static func ints(_ values: [Int]) -> AttributeValue { .list(values.map { .int($0) }) }
  package static func floats(_ values: [Double]) -> AttributeValue { .list(values.map { .float($0) }) }

  /// Equal kinds and values; floats by their bits, so that NaN equals itself and 0.0 is not -0.0.
  package static func == (left: AttributeValue, right: AttributeValue) -> Bool {
    switch (left, right) {
    case (.bool(let a), .bool(let b)): a == b
    case (.int(let a), .int(let b)): a == b
    case (.float(let a), .float(let b)): a.bitPattern == b.bitPattern
    case (.word(let a), .word(let b)): a == b
    case (.string(let a), .string(let b)): a == b
    case (.dims(let a), .dims(let b)): a == b
    case (.list(let a), .list(let b)): a == b
    case (.graph(let a), .graph(let b)): a == b
    default: false
    }
  }

  package func hash(into hasher: inout Hasher) {
    switch self {
    case .bool(let value): hasher.combine(value)
    case .int(let value): hasher.combine(value)
    case .float(let value): hasher.combine(value.bitPattern)
    case .word(let value): hasher.combine(value)
    case .string(let value): hasher.combine(value)
    case .dims(let value): hasher.combine(value)
    case .list(let value): hasher.combine(value)
    case .graph(let value):
      hasher.combine(value.inputs.count)
      hasher.combine(value.nodes.count)
    }
  }
}

/// Attributes in the order in which an op lists them.
package typealias Attributes = [(name: String, value: AttributeValue)]

/// Reads an op's attributes back, each exactly once; what is left over is an error.
package struct AttributeReader {
  private let op: String
  private var remaining: [String: AttributeValue]

  package init(op: String, _ attributes: Attributes) throws {
    self.op = op
    remaining = [:]
    for (name, value) in attributes {
      guard remaining.updateValue(value, forKey: name) == nil else {
        throw KilnError(.badInput, "op '\(op)': attribute '\(name)' appears twice")
      }
    }
  }

  package mutating func value(_ name: String) throws -> AttributeValue {
    guard let value = remaining.removeValue(forKey: name) else {
      throw KilnError(.badInput, "op '\(op)': attribute '\(name)' is missing")
    }
    return value
  }

  /// Whether an attribute that may be left out is there.
  package func has(_ name: String) -> Bool { remaining[name] != nil }

  package mutating func optional(_ name: String) -> AttributeValue? { remaining.removeValue(forKey: name) }

  package mutating func bool(_ name: String) throws -> Bool {
    guard case .bool(let value) = try value(name) else { throw mismatch(name, "true or false") }
    return value
  }

  package mutating func int(_ name: String) throws -> Int {
    guard case .int(let value) = try value(name) else { throw mismatch(name, "an integer") }
    return value
  }

  package mutating func float(_ name: String) throws -> Double {
    switch try value(name) {
    case .float(let value): return value
    case .int(let value): return Double(value)
    default: throw mismatch(name, "a number")
    }
  }

  package mutating func word(_ name: String) throws -> String {
    guard case .word(let value) = try value(name) else { throw mismatch(name, "a word") }
    return value
  }

  package mutating func string(_ name: String) throws -> String {
    guard case .string(let value) = try value(name) else { throw mismatch(name, "a string") }
    return value
  }

  package mutating func list(_ name: String) throws -> [AttributeValue] {
    guard case .list(let values) = try value(name) else { throw mismatch(name, "a list") }
    return values
  }

  package mutating func ints(_ name: String) throws -> [Int] {
    try list(name).map {
      guard case .int(let value) = $0 else { throw mismatch(name, "a list of integers") }
      return value
    }
  }

  package mutating func floats(_ name: String) throws -> [Double] {
    try list(name).map {
      switch $0 {
      case .float(let value): return value
      case .int(let value): return Double(value)
      default: throw mismatch(name, "a list of numbers")
      }
    }
  }

  package mutating func dims(_ name: String) throws -> [Dim] {
    guard case .dims(let dims) = try value(name) else { throw mismatch(name, "dims") }
    return dims
  }

  package mutating func graph(_ name: String) throws -> Graph {
    guard case .graph(let graph) = try value(name) else { throw mismatch(name, "a graph") }
    return graph
  }

  package mutating func graphs(_ name: String) throws -> [Graph] {
    try list(name).map {
      guard case .graph(let graph) = $0 else { throw mismatch(name, "a list of graphs") }
      return graph
    }
  }

  package mutating func dtype(_ name: String) throws -> DType {
    guard let dtype = DType(name: try word(name)) else { throw mismatch(name, "a dtype") }
    return dtype
  }

  /// A word that is the raw value of a case of `Choice`.
  package mutating func choice<Choice: RawRepresentable>(_ name: String) throws -> Choice
  where Choice.RawValue == String {
    let text = try word(name)
    guard let choice = Choice(rawValue: text) else {
      throw KilnError(.badInput, "op '\(op)': attribute '\(name)' has the unknown value '\(KilnError.escaped(text))'")
    }
    return choice
  }

  /// Throws when an attribute was not read.
  package func finish() throws {
    if let extra = remaining.keys.sorted().first {
      throw KilnError(.badInput, "op '\(op)' has no attribute '\(KilnError.escaped(extra))'")
    }
  }

  private func mismatch(_ name: String, _ wanted: String) -> KilnError {
    KilnError(.badInput, "op '\(op)': attribute '\(name)' must be \(wanted)")
  }
}
