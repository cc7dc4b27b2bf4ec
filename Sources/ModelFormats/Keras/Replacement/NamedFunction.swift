import TensorModule

/// A function that an expression calls.
struct NamedFunction {
  let library: FunctionLibrary
  /// As the expression writes it.
  let function: String
  /// As the catalogue has it.
  let name: String
  let meaning: FunctionCatalog.Meaning
  /// The names of the arguments by position; empty when any are taken.
  let parameters: [String]
  /// Names of arguments that the catalogue has under another one.
  var renames: [String: String] = [:]
  /// Values of arguments that are left out, where they are not the catalogue's own.
  var defaults: [(key: String, value: JSON)] = []

  /// Functions whose first argument is a list of tensors.
  static let takesList: Set<String> = ["concatenate", "stack", "hstack", "vstack", "dstack", "add_n"]

  /// Arguments that every function may have.
  static let common: Set<String> = ["name", "dtype"]

  /// The function of `K.mean`, `tf.nn.relu`, `ops.mean`; a name alone is of `keras.ops`, else of TensorFlow, else of K.
  static func find(_ text: String) -> NamedFunction? {
    for prefix in ["K.", "keras.backend.", "tf.keras.backend.", "backend."] where text.hasPrefix(prefix) {
      return backend(String(text.dropFirst(prefix.count)), text)
    }
    for prefix in ["keras.ops.", "ops.", "keras.activations.", "activations.", "np.", "numpy.", "tf.keras.activations."]
    where text.hasPrefix(prefix) { return keras(String(text.dropFirst(prefix.count)), text) }
    for prefix in ["tf.", "tensorflow."] where text.hasPrefix(prefix) { return tensorFlow(String(text.dropFirst(prefix.count)), text) }
    return keras(text, text) ?? tensorFlow(text, text) ?? backend(text, text)
  }

  /// The known name that is most like a text.
  static func nearest(to text: String) -> String? {
    let last = text.split(separator: ".").last.map(String.init) ?? text
    return Nearest.name(to: last, among: FunctionCatalog.meanings.keys.sorted())
  }

  private static func keras(_ text: String, _ whole: String) -> NamedFunction? {
    let last = text.split(separator: ".").last.map(String.init) ?? text
    guard let name = FunctionCatalog.kerasFunction(last), let meaning = FunctionCatalog.meanings[name] else { return nil }
    // These find their operands by position alone.
    let isOpen = ["einsum", "meshgrid"].contains(name)
    let parameters = isOpen ? [] : FunctionSignatures.keras[text] ?? FunctionSignatures.keras[last] ?? []
    return NamedFunction(library: .keras, function: whole, name: name, meaning: meaning, parameters: parameters)
  }

  private static func tensorFlow(_ text: String, _ whole: String) -> NamedFunction? {
    guard let name = FunctionCatalog.tensorFlowName(text), let meaning = FunctionCatalog.meanings[name] else { return nil }
    let last = text.split(separator: ".").last.map(String.init) ?? text
    let parameters = name == "einsum" ? [] : FunctionSignatures.tensorFlow[text] ?? FunctionSignatures.tensorFlow[last] ?? []
    return NamedFunction(library: .tensorFlow, function: whole, name: name, meaning: meaning, parameters: parameters)
  }

  private static func backend(_ text: String, _ whole: String) -> NamedFunction? {
    guard let row = FunctionSignatures.backend[text] else { return nil }
    let renames = BackendFunctions.renames[text] ?? [:]
    let defaults = BackendFunctions.defaults[text] ?? []
    if let own = BackendFunctions.meanings[text] {
      return NamedFunction(library: .tensorFlow, function: whole, name: text, meaning: own, parameters: row)
    }
    let name = BackendFunctions.aliases[text] ?? FunctionCatalog.tensorFlowName(text) ?? FunctionCatalog.kerasFunction(text)
    guard let name, let meaning = FunctionCatalog.meanings[name] else { return nil }
    return NamedFunction(
      library: .tensorFlow, function: whole, name: name, meaning: meaning, parameters: row, renames: renames, defaults: defaults)
  }
}
