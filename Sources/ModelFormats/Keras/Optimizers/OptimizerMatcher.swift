import TensorModule

/// Finds an optimizer's variables among those of a file: by their names, else by the order in which the file's Keras keeps them.
struct OptimizerMatcher {
  /// A variable of the file.
  struct Stored {
    let name: String
    let shape: Shape
    /// The name's words: `training/Adam/dense/kernel/m:0` is `training_adam_dense_kernel_m`.
    let words: String

    init(_ name: String, _ shape: Shape) {
      (self.name, self.shape) = (name, shape)
      words = OptimizerMatcher.words(name)
    }
  }

  /// The trained variables in Keras's order.
  let variables: [KerasDocument.Variable]
  let stored: [Stored]
  private let shapes: [Shape]
  /// The variables of the file whose names end with some words.
  private var endings: [String: [Int]] = [:]

  init(_ variables: [KerasDocument.Variable], _ stored: [(name: String, shape: Shape)]) {
    self.variables = variables
    self.stored = stored.map { Stored($0.name, $0.shape) }
    shapes = variables.map(\.tensor.shape)
    for (index, own) in self.stored.enumerated() where own.words.utf8.count <= 1024 {
      let parts = own.words.split(separator: "_")
      for start in parts.indices.suffix(64) { endings[parts[start...].joined(separator: "_"), default: []].append(index) }
    }
  }

  /// The file's variable for each one that it has; nil when they are those of another optimizer or of other variables.
  ///
  /// - Parameter orders: in which the file may keep them, the likeliest first.
  func match(_ orders: [[OptimizerEntry]]) -> [OptimizerEntry: String]? {
    let fitting = orders.filter { $0.count == stored.count }
    for order in fitting { if let found = byName(order) { return found } }
    guard let order = fitting.first(where: isInOrder) else { return nil }
    return Dictionary(zip(order, stored).map { ($0, $1.name) }, uniquingKeysWith: { first, _ in first })
  }

  /// Whether the file's variables have the entries' shapes one by one, and no name tells another kind.
  private func isInOrder(_ entries: [OptimizerEntry]) -> Bool {
    zip(entries, stored).allSatisfy { entry, own in
      if let shape = entry.shape(shapes), shape != own.shape { return false }
      guard let variable = entry.variable, let kind = kind(of: own, variable) else { return true }
      return entry.kind.tokens.contains(kind)
    }
  }

  /// What a name says beside the variable's own.
  private func kind(of own: Stored, _ variable: Int) -> String? {
    let whole = "_\(own.words)_"
    for path in paths(variable) {
      guard let range = whole.firstRange(of: "_\(path)_") else { continue }
      let behind = whole[range.upperBound...].split(separator: "_").joined(separator: "_")
      return behind.isEmpty ? nil : behind
    }
    return nil
  }

  /// Each entry's variable by its name; nil when an entry has none, or more than one.
  private func byName(_ entries: [OptimizerEntry]) -> [OptimizerEntry: String]? {
    var found: [OptimizerEntry: String] = [:]
    var used: Set<String> = []
    for entry in entries {
      guard let own = named(entry), used.insert(own.name).inserted else { return nil }
      found[entry] = own.name
    }
    return found
  }

  private func named(_ entry: OptimizerEntry) -> Stored? {
    let wanted = entry.shape(shapes)
    func only(_ words: [String]) -> Stored? {
      let found = Set(words.flatMap { endings[$0] ?? [] }).filter { wanted == nil || stored[$0].shape == wanted }
      return found.count == 1 ? found.first.map { stored[$0] } : nil
    }
    guard let variable = entry.variable else { return only(entry.kind.tokens) }
    for path in paths(variable) {
      // `adam/dense_kernel_momentum`, `Adam/dense/kernel/m:0`; `Adam/m/dense/kernel:0`.
      if let found = only(entry.kind.tokens.flatMap { ["\(path)_\($0)", "\($0)_\(path)"] }) { return found }
    }
    return nil
  }

  /// What names may call a variable: by its layer's whole path, by the layer's own name.
  private func paths(_ variable: Int) -> [String] {
    let own = variables[variable]
    let parts = own.layer.split(separator: "/")
    return parts.indices.map { OptimizerMatcher.words(parts[$0...].joined(separator: "/") + "/" + own.name) }
  }

  /// Letters and digits in lower case, with one line between words, without TensorFlow's number of the output.
  static func words(_ name: String) -> String {
    var text = name[...]
    if let colon = text.lastIndex(of: ":"), text[text.index(after: colon)...].allSatisfy(\.isNumber) { text = text[..<colon] }
    let mapped = text.lowercased().map { $0.isLetter || $0.isNumber ? $0 : "_" }
    return String(mapped).split(separator: "_").joined(separator: "_")
  }
}
