import TensorModule

/// An input, a parameter, a constant or a placeholder of a model.
struct CNTKVariable: Sendable {
  enum Kind: Int, Sendable { case input, output, parameter, constant, placeholder }

  var uid: String
  var name: String
  var kind: Kind
  var typeNumber: Int
  var shape: CNTKShape
  var axes: [CNTKAxis]
  var isSparse: Bool
  /// The values of a parameter or constant.
  var value: CNTKArray?
}

/// An operation on variables and on other functions' results, as the file has it.
struct CNTKFunction: Sendable {
  /// What a block hides: the function that gives its results, and what stands for its placeholders.
  struct Block: Sendable {
    var name: String
    var root: String
    var arguments: [(placeholder: String, value: String)]
  }

  var uid: String
  var name: String
  /// The name of the primitive operation.
  var op: String
  /// Uids of variables, or of results (`UID_Output_0`).
  var inputs: [String]
  var attributes: [String: CNTKAttribute]
  var block: Block?

  var isBlock: Bool { block != nil }
  var isCombine: Bool { op == "Combine" }
  var isDelay: Bool { op == "PastValue" || op == "FutureValue" }

  func result(_ index: Int) -> String { "\(uid)_Output_\(index)" }

  /// How messages name it.
  var title: String { name.isEmpty ? uid : name }
}

/// What a file of CNTK holds: functions in no order, which may go in circles through delays.
struct CNTKModel: Sendable {
  static let maximumFunctions = 1_000_000

  var functions: [CNTKFunction]
  /// By uid.
  var variables: [String: CNTKVariable]
  /// Uids of the inputs, parameters, constants and placeholders in the file's order.
  var order: [String]
  /// Uids of what the model gives.
  var outputs: [String]
  /// The names that the file itself gives outputs; others are called after their functions.
  var outputNames: [String: String] = [:]
  /// `CNTK v2`, `CNTK v1`.
  var generation: String
  var version: Int
}

extension CNTKModel {
  /// Reads a model of the second generation from its dictionary.
  ///
  /// - Throws: `KilnError` (`badInput`) when something that every function has is missing or of another kind.
  init(_ root: [String: CNTKAttribute]) throws {
    let entries = CNTKEntries(root, "the model")
    // A trainer's state has no type of its own.
    if root["type"] == nil, root["primitive_functions"] == nil, !root.isEmpty {
      throw KilnError(
        .unsupportedModel, "is a dictionary of CNTK with \(root.keys.sorted().prefix(4).map { KilnError.quoted($0) }.joined(separator: ", ")), not a model",
        hint: "the model of a trainer's checkpoint is in the file without .ckp")
    }
    let type = try entries.text("type")
    guard type == "CompositeFunction" else {
      throw KilnError(.unsupportedModel, "holds \(KilnError.quoted(type)), not a model", hint: "a trainer's checkpoint has its model in the file without .ckp")
    }
    let version = try entries.int("version")
    guard (1...3).contains(version) else { throw KilnError(.unsupportedModel, "has the version \(version) of CNTK's models; 1 to 3 are read") }
    generation = "CNTK v2"
    self.version = version
    functions = []
    variables = [:]
    order = []
    outputs = []
    for item in try entries.list("inputs") {
      let variable = try CNTKVariable(item)
      guard variables.updateValue(variable, forKey: variable.uid) == nil else {
        throw KilnError(.badInput, "two variables have the uid \(KilnError.quoted(variable.uid))")
      }
      order.append(variable.uid)
    }
    let items = try entries.list("primitive_functions")
    guard items.count <= CNTKModel.maximumFunctions else { throw KilnError(.badInput, "has more than \(CNTKModel.maximumFunctions) functions") }
    var seen: Set<String> = []
    for item in items {
      let function = try CNTKFunction(item)
      guard seen.insert(function.uid).inserted else { throw KilnError(.badInput, "two functions have the uid \(KilnError.quoted(function.uid))") }
      functions.append(function)
    }
    let rootUID = try entries.text("root")
    guard let rootFunction = functions.first(where: { $0.uid == rootUID }) else {
      throw KilnError(.badInput, "the root function \(KilnError.quoted(rootUID)) is missing")
    }
    outputs = try results(of: rootFunction)
  }

  /// Uids of everything that a function gives.
  private func results(of root: CNTKFunction) throws -> [String] {
    var function = root
    let byUID = Dictionary(functions.map { ($0.uid, $0) }) { first, _ in first }
    // A block gives what its own root gives, under its own names.
    for _ in 0...CNTKGraph.maximumDepth {
      if function.isCombine { return root.isCombine ? function.inputs : function.inputs.indices.map { root.result($0) } }
      guard let block = function.block else {
        let hasMask = function.op == "UnpackSequence" && function.attributes["sequenceUnpackSuppressMaskOutput"].flag != true
        let count = function.op == "TopK" || hasMask ? 2 : 1
        return (0..<count).map { root.result($0) }
      }
      guard let inner = byUID[block.root] else {
        throw KilnError(.badInput, "block \(KilnError.quoted(function.title)): its root \(KilnError.quoted(block.root)) is missing")
      }
      function = inner
    }
    throw KilnError(.badInput, "blocks are nested deeper than \(CNTKGraph.maximumDepth) levels")
  }
}

extension CNTKAttribute? {
  var flag: Bool? {
    switch self {
    case .bool(let value)?: value
    case .int(let value)?: value != 0
    default: nil
    }
  }
}

extension CNTKVariable {
  init(_ item: CNTKAttribute) throws {
    guard let dictionary = item.dictionary else { throw KilnError(.badInput, "a variable is \(item.kind), not a dictionary") }
    let entries = CNTKEntries(dictionary, "a variable")
    uid = try entries.name("uid")
    entries.what = "variable \(KilnError.quoted(uid))"
    name = try entries.name("name", "")
    let number = try entries.int("kind")
    guard let kind = Kind(rawValue: number) else { throw KilnError(.badInput, "variable \(KilnError.quoted(uid)): the kind \(number) is unknown") }
    self.kind = kind
    typeNumber = try entries.int("data_type")
    shape = try entries.shape("shape")
    axes = try entries.axes("dynamic_axis")
    isSparse = dictionary["is_sparse"].flag ?? false
    switch dictionary["value"] {
    case .array(let array)?: value = array
    case nil, CNTKAttribute.none?: value = nil
    case let other?: throw KilnError(.badInput, "variable \(KilnError.quoted(uid)): its value is \(other.kind), not an array")
    }
    // A parameter may have been given its values in another shape of as many elements.
    if let found = value, found.shape != shape {
      guard let count = checkedProduct(shape.dims), shape.dims.allSatisfy({ $0 >= 0 }), found.shape.dims.allSatisfy({ $0 >= 0 }), checkedProduct(found.shape.dims) == count else {
        throw KilnError(
          .badInput, "variable \(KilnError.quoted(uid)): its value has the shape \(found.shape.rowMajor.shapeText), the variable \(shape.rowMajor.shapeText)")
      }
      value = found.reshaped(shape)
    }
    if let value, value.typeNumber != typeNumber {
      throw KilnError(
        .badInput,
        "variable \(KilnError.quoted(uid)): its value is \(CNTKArray.typeName(value.typeNumber)), the variable \(CNTKArray.typeName(typeNumber))")
    }
  }
}

extension CNTKFunction {
  init(_ item: CNTKAttribute) throws {
    guard let dictionary = item.dictionary else { throw KilnError(.badInput, "a function is \(item.kind), not a dictionary") }
    let entries = CNTKEntries(dictionary, "a function")
    uid = try entries.name("uid")
    entries.what = "function \(KilnError.quoted(uid))"
    name = try entries.name("name", "")
    let type = try entries.text("type")
    inputs = try entries.names("inputs")
    attributes = try entries.dictionary("attributes", [:])
    guard type == "PrimitiveFunction" else {
      // A function of the user's own; whoever needs it learns that it is not read.
      op = type == "UserDefinedFunction" ? "user-defined function \(try entries.name("op_name", try entries.name("module", "")))" : type
      return
    }
    let number = try entries.int("op")
    op = CNTKOperation.name(number)
    guard number == CNTKOperation.block else { return }
    let inner = CNTKEntries(try entries.dictionary("block_function_composite"), entries.what)
    let keys = try entries.names("block_function_composite_arguments_map_keys")
    let values = try entries.names("block_function_composite_arguments_map_values")
    guard keys.count == values.count else {
      throw KilnError(.badInput, "function \(KilnError.quoted(uid)): a block maps \(keys.count) placeholders to \(values.count) values")
    }
    block = Block(
      name: try entries.name("block_function_op_name", ""), root: try inner.name("root"),
      arguments: zip(keys, values).map { (placeholder: $0, value: $1) })
  }
}

/// Entries of a dictionary that must be there, or be of a kind.
final class CNTKEntries {
  private let dictionary: [String: CNTKAttribute]
  /// Whose they are, for messages.
  var what: String

  init(_ dictionary: [String: CNTKAttribute], _ what: String) {
    self.dictionary = dictionary
    self.what = what
  }

  private func wrong(_ key: String, _ wanted: String) -> KilnError {
    guard let found = dictionary[key] else { return KilnError(.badInput, "\(what): '\(key)' is missing") }
    return KilnError(.badInput, "\(what): '\(key)' must be \(wanted), found \(found.kind)")
  }

  func text(_ key: String) throws -> String {
    guard let text = dictionary[key]?.text else { throw wrong(key, "a text") }
    return text
  }

  /// A text that names something.
  func name(_ key: String, _ fallback: String? = nil) throws -> String {
    if dictionary[key] == nil, let fallback { return fallback }
    let text = try text(key)
    guard text.utf8.count <= 1024 else { throw KilnError(.badInput, "\(what): '\(key)' has \(text.utf8.count) bytes; at most 1024 are allowed") }
    return text
  }

  func int(_ key: String) throws -> Int {
    guard let value = dictionary[key]?.int else { throw wrong(key, "an integer") }
    return value
  }

  func shape(_ key: String) throws -> CNTKShape {
    guard case .shape(let shape)? = dictionary[key] else { throw wrong(key, "a shape") }
    return shape
  }

  func list(_ key: String, _ fallback: [CNTKAttribute]? = nil) throws -> [CNTKAttribute] {
    if dictionary[key] == nil, let fallback { return fallback }
    guard let items = dictionary[key]?.list else { throw wrong(key, "a list") }
    return items
  }

  /// A list of axes, which may be left out.
  func axes(_ key: String) throws -> [CNTKAxis] {
    try list(key, []).map {
      guard case .axis(let axis) = $0 else { throw wrong(key, "a list of axes") }
      return axis
    }
  }

  func names(_ key: String) throws -> [String] {
    try list(key).map {
      guard let text = $0.text, text.utf8.count <= 1024 else { throw KilnError(.badInput, "\(what): '\(key)' must be a list of names") }
      return text
    }
  }

  func dictionary(_ key: String, _ fallback: [String: CNTKAttribute]? = nil) throws -> [String: CNTKAttribute] {
    if dictionary[key] == nil, let fallback { return fallback }
    guard let entries = dictionary[key]?.dictionary else { throw wrong(key, "a dictionary") }
    return entries
  }
}
