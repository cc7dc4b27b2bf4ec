import TensorModule
import Yams

/// Reads YAML, as Keras's `to_yaml` wrote it, into JSON values.
enum YAMLText {
  private static let maximumBytes = 16 << 20
  private static let prefix = "tag:yaml.org,2002:"
  private static let listTags: Set = ["", "!", "seq", "python/tuple", "python/list"]
  private static let objectTags: Set = ["", "!", "map", "python/dict"]
  private static let textTags: Set = ["!", "str", "python/str", "python/unicode"]
  private static let plainTags: Set = [
    "", "null", "bool", "int", "float", "python/none", "python/bool", "python/int", "python/long", "python/float",
  ]

  /// Parses one document. Tuples become lists; aliases are followed within the limit of values.
  ///
  /// NumPy's numbers and arrays of numbers become numbers and lists.
  ///
  /// - Throws: `KilnError` (`badInput`): not YAML, too deep, too many values (aliases of aliases grow without bound), or
  ///   tags that stand for other Python objects.
  static func parse(_ bytes: [UInt8], limits: JSON.Limits = JSON.Limits()) throws -> JSON {
    guard bytes.count <= maximumBytes else { throw KilnError(.badInput, "is \(bytes.count) bytes long; at most \(maximumBytes) of YAML are read") }
    guard let text = String(validating: bytes, as: UTF8.self) else { throw KilnError(.badInput, "is not UTF-8 text") }
    let root: Node?
    do {
      root = try Parser(yaml: text, encoding: .utf8).singleRoot()
    } catch let error as YamlError {
      throw KilnError(.badInput, "is not YAML: \(message(error))")
    }
    guard let root else { throw KilnError(.badInput, "is empty") }
    var converter = Converter(limits: limits, valuesLeft: limits.values)
    return try converter.json(root, depth: 0)
  }

  private static func message(_ error: YamlError) -> String {
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _), .composer(_, let problem, let mark, _):
      return "line \(mark.line): \(problem)"
    case .reader(let problem, _, _, _): return problem
    case .duplicatedKeysInMapping(let keys, let context):
      return "line \(context.mark.line): key \(KilnError.quoted(keys.first ?? "")) appears twice"
    default: return "it cannot be parsed"
    }
  }

  private struct Converter {
    let limits: JSON.Limits
    var valuesLeft: Int

    mutating func json(_ node: Node, depth: Int) throws -> JSON {
      guard depth <= limits.depth else { throw KilnError(.badInput, "YAML is nested deeper than \(limits.depth) levels") }
      valuesLeft -= 1
      guard valuesLeft >= 0 else { throw KilnError(.badInput, "YAML holds more than \(limits.values) values, aliases followed") }
      if YAMLNumbers.isNumber(YAMLText.name(node.tag)) {
        return try YAMLNumbers.value(node) { part in
          // The parts are plain: names, lengths, tuples of these.
          try json(part, depth: depth + 1)
        }
      }
      switch node {
      case .scalar(let scalar): return try YAMLText.value(scalar)
      case .sequence(let sequence):
        if let kind = YAMLText.constructed(YAMLText.name(sequence.tag)), sequence.count <= 1 {
          return try constructed(kind, sequence.first, depth: depth)
        }
        try YAMLText.check(sequence.tag, YAMLText.listTags)
        return .array(try sequence.map { try json($0, depth: depth + 1) })
      case .mapping(let mapping):
        try YAMLText.check(mapping.tag, YAMLText.objectTags)
        var object = JSONObject()
        for (key, value) in mapping {
          guard let name = key.scalar?.string else { throw KilnError(.badInput, "YAML has a key that is not text") }
          object[name] = try json(value, depth: depth + 1)
        }
        return .object(object)
      case .alias: throw KilnError(.badInput, "YAML has an alias of nothing")
      }
    }

    /// The list or dict that a constructor of one argument makes: a list of items, or of pairs.
    private mutating func constructed(_ kind: Constructed, _ argument: Node?, depth: Int) throws -> JSON {
      let value = try argument.map { try json($0, depth: depth + 1) }
      guard kind == .dict else {
        guard let value, value.arrayValue == nil else { return value ?? .array([]) }
        throw KilnError(.badInput, "YAML makes a list of \(value.kind)")
      }
      guard let pairs = value?.arrayValue else {
        guard value == nil || value?.objectValue != nil else { throw KilnError(.badInput, "YAML makes a dict of \(value?.kind ?? "")") }
        return value ?? .object(JSONObject())
      }
      var object = JSONObject()
      for pair in pairs {
        guard let items = pair.arrayValue, items.count == 2, let name = items[0].stringValue, object[name] == nil else {
          throw KilnError(.badInput, "YAML makes a dict of what is no list of pairs with different names")
        }
        object[name] = items[1]
      }
      return .object(object)
    }
  }

  private static func name(_ tag: Tag) -> String {
    let text = tag.description
    return text.hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : text
  }

  enum Constructed { case list, dict }

  /// What the constructor in a tag makes, for those that Keras's configurations hold: Python's own collections and what
  /// tf.keras 2.x tracked in their place.
  private static func constructed(_ tag: String) -> Constructed? {
    guard tag.hasPrefix("python/object/apply:") else { return nil }
    let name = tag.dropFirst("python/object/apply:".count)
    if ["builtins.dict", "__builtin__.dict", "collections.OrderedDict"].contains(name) { return .dict }
    if ["builtins.list", "builtins.tuple", "__builtin__.list", "__builtin__.tuple"].contains(name) { return .list }
    guard name.hasPrefix("tensorflow.") else { return nil }
    if name.hasSuffix("DictWrapper") { return .dict }
    return name.hasSuffix("ListWrapper") || name.hasSuffix("TupleWrapper") ? .list : nil
  }

  private static func check(_ tag: Tag, _ allowed: Set<String>) throws {
    let name = name(tag)
    guard !allowed.contains(name) else { return }
    throw KilnError(.badInput, "YAML tag \(KilnError.quoted("!!" + name)) stands for a Python object, which is not loaded")
  }

  private static func value(_ scalar: Node.Scalar) throws -> JSON {
    let name = name(scalar.tag)
    if textTags.contains(name) { return .string(scalar.string) }
    try check(scalar.tag, plainTags)
    switch scalar.style {
    case .singleQuoted, .doubleQuoted, .literal, .folded: return name.isEmpty ? .string(scalar.string) : plain(scalar.string)
    case .any, .plain: return plain(scalar.string)
    }
  }

  /// A plain scalar as YAML 1.1 resolves it.
  private static func plain(_ text: String) -> JSON {
    switch text {
    case "", "~", "null", "Null", "NULL", "None": return .null
    case "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON": return .bool(true)
    case "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF": return .bool(false)
    case ".inf", ".Inf", ".INF", "+.inf": return .double(.infinity)
    case "-.inf", "-.Inf", "-.INF": return .double(-.infinity)
    case ".nan", ".NaN", ".NAN": return .double(.nan)
    default: break
    }
    guard let first = text.utf8.first, "+-.0123456789".utf8.contains(first) else { return .string(text) }
    if let number = Int(text) { return .int(number) }
    guard text.utf8.allSatisfy({ "+-.eE0123456789".utf8.contains($0) }), let number = Double(text) else { return .string(text) }
    return .double(number)
  }
}
