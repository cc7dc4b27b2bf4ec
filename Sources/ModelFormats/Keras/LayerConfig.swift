import TensorModule

/// A layer's `config`: every key is asked for by name, wrong values are noted as problems, and what nobody asked for
/// becomes a warning. Reading never throws, so that one run finds every problem.
final class LayerConfig {
  let className: String
  /// The layer's path, for messages.
  let path: String
  let dialect: KerasDialect
  let diagnostics: ImportDiagnostics
  /// How the layer is quantized, for those layers that can be.
  var quantization: KerasQuantization?
  private let values: JSONObject
  private var known: Set<String> = []

  init(className: String, path: String, values: JSONObject, dialect: KerasDialect, diagnostics: ImportDiagnostics) {
    self.className = className
    self.path = path
    self.values = values
    self.dialect = dialect
    self.diagnostics = diagnostics
  }

  /// Keys that any layer may have and that mean nothing when predicting.
  private static let commonKeys: Set<String> = [
    "name", "trainable", "dtype", "batch_shape", "batch_size", "input_dtype", "input_dim", "input_length",
    "input_shape",
    "activity_regularizer", "seed", "build_config", "autocast", "ragged", "sparse", "optional", "lora_rank",
    "lora_alpha",
    "build_input_shape", "batch_input_shape",
  ]
  private static let commonSuffixes = ["_initializer", "_regularizer", "_constraint"]

  /// Everything, as it was read.
  var object: JSONObject { values }

  // MARK: Values

  /// The value; nil when the key is absent or null.
  func json(_ key: String) -> JSON? {
    known.insert(key)
    guard let value = values[key], !value.isNull else { return nil }
    return value
  }

  /// Whether the key is there, null or not.
  func has(_ key: String) -> Bool { values[key] != nil }

  /// Names keys that mean nothing when predicting.
  func ignore(_ keys: String...) { known.formUnion(keys) }

  /// Every key with its value, for a reader that checks them itself; the layer's name is left out.
  func everything() -> [(key: String, value: JSON)] {
    known.formUnion(values.keys)
    return values.entries.filter { $0.key != "name" }
  }

  func bool(_ key: String, _ fallback: Bool) -> Bool {
    guard let value = json(key) else { return fallback }
    if let flag = value.boolValue { return flag }
    if let number = value.intValue, number == 0 || number == 1 { return number == 1 }
    malformed("\(key) must be true or false, found \(value.kind)")
    return fallback
  }

  func double(_ key: String, _ fallback: Double) -> Double {
    guard let value = json(key) else { return fallback }
    guard let number = value.doubleValue ?? value["value"]?.doubleValue ?? value["config"]?["value"]?.doubleValue else {
      malformed("\(key) must be a number, found \(value.kind)")
      return fallback
    }
    return number
  }

  /// The number, or nil when absent or null.
  func optionalDouble(_ key: String) -> Double? { json(key) == nil ? nil : double(key, 0) }

  /// An integer in `range`; without a fallback the key must be there.
  func int(_ key: String, _ fallback: Int? = nil, in range: ClosedRange<Int> = 1...Int(Int32.max)) -> Int {
    guard let value = json(key) else {
      if fallback == nil { malformed("\(key) is missing") }
      return fallback ?? range.lowerBound
    }
    guard let number = value.intValue, range.contains(number) else {
      malformed("\(key) must be an integer from \(range.lowerBound), found \(LayerConfig.describe(value))")
      return fallback ?? range.lowerBound
    }
    return number
  }

  /// `count` integers; one integer stands for all. Nil when absent or null.
  func ints(_ key: String, count: Int, in range: ClosedRange<Int> = 1...Int(Int32.max)) -> [Int]? {
    guard let value = json(key) else { return nil }
    if let number = value.intValue, range.contains(number) { return [Int](repeating: number, count: count) }
    let numbers = (value.arrayValue ?? []).compactMap(\.intValue).filter(range.contains)
    guard numbers.count == count, value.arrayValue?.count == count else {
      malformed("\(key) must be \(count) integers from \(range.lowerBound), found \(LayerConfig.describe(value))")
      return nil
    }
    return numbers
  }

  /// Integers of any number; one integer makes a list of one. Nil when absent or null.
  func intList(_ key: String) -> [Int]? {
    guard let value = json(key) else { return nil }
    if let number = value.intValue { return [number] }
    let numbers = (value.arrayValue ?? []).compactMap(\.intValue)
    guard let items = value.arrayValue, numbers.count == items.count, numbers.count <= 64,
      numbers.allSatisfy({ $0.magnitude <= Int(Int32.max) })
    else {
      malformed("\(key) must be integers, found \(LayerConfig.describe(value))")
      return nil
    }
    return numbers
  }

  func string(_ key: String, _ fallback: String) -> String {
    guard let value = json(key) else { return fallback }
    guard let text = value.stringValue else {
      malformed("\(key) must be text, found \(value.kind)")
      return fallback
    }
    return text
  }

  /// One of the names of a set of choices; another name is a problem that lists the choices.
  func choice<Choice: RawRepresentable & CaseIterable>(_ key: String, _ fallback: Choice) -> Choice
  where Choice.RawValue == String {
    let text = string(key, fallback.rawValue)
    if let choice = Choice(rawValue: text) { return choice }
    unsupported(
      "\(key) \(KilnError.quoted(text))", nearest: Choice.allCases.map(\.rawValue).joined(separator: ", "))
    return fallback
  }

  // MARK: Problems

  func malformed(_ message: String) {
    diagnostics.add(ImportProblem(kind: .malformed, layer: path, className: className, message: message, nearest: nil))
  }

  /// Notes that an option has no meaning here: `interpolation 'lanczos3' is not supported`.
  func unsupported(_ what: String, nearest: String? = nil) {
    diagnostics.add(
      ImportProblem(
        kind: .unsupported, layer: path, className: className, message: "\(what) is not supported", nearest: nearest))
  }

  /// Warns of keys that no reader asked for.
  func finish() {
    for (key, _) in values.entries where !known.contains(key) && !LayerConfig.commonKeys.contains(key) {
      if LayerConfig.commonSuffixes.contains(where: key.hasSuffix) { continue }
      diagnostics.warn(
        path, "config key \(KilnError.quoted(key)) of \(KilnError.escaped(className)) is unknown and ignored")
    }
  }

  /// A value as short text for messages.
  static func describe(_ value: JSON) -> String { KilnError.escaped(value.text(), limit: 60) }
}

/// The order of an image's axes.
public enum DataFormat: String, Sendable, CaseIterable {
  case channelsLast = "channels_last"
  case channelsFirst = "channels_first"
}
