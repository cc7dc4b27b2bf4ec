import GraphModule
import TensorModule

/// One node while it is converted: its operands and attributes, and the means to add to the graph.
final class TFCall: NodeBuilding {
  let converter: TFConverter
  let frame: TFFrame
  let node: TFNode
  /// The node's name in the whole graph.
  let name: String
  let inputs: [TFValue]

  init(_ converter: TFConverter, _ frame: TFFrame, _ node: TFNode, _ name: String, _ inputs: [TFValue]) {
    self.converter = converter
    self.frame = frame
    self.node = node
    self.name = name
    self.inputs = inputs
  }

  var builder: TFBuilder { converter.builder }
  var op: String { node.op }
  var device: String { node.device }

  /// The same node with other operands and attributes.
  func with(inputs: [TFValue]? = nil, attributes: [String: TFAttribute]? = nil) -> TFCall {
    var changed = node
    changed.attributes = attributes ?? node.attributes
    return TFCall(converter, frame, changed, name, inputs ?? self.inputs)
  }

  // MARK: Attributes

  func attribute(_ key: String) -> TFAttribute? {
    guard let found = node.attributes[key] else { return nil }
    if case .placeholder(let name) = found { return frame.attributes[name] }
    return found
  }

  func bool(_ key: String, _ fallback: Bool = false) throws -> Bool {
    guard let found = attribute(key) else { return fallback }
    guard case .bool(let value) = found else { throw wrong("attribute '\(key)' must be true or false") }
    return value
  }

  func int(_ key: String, _ fallback: Int? = nil) throws -> Int {
    guard let found = attribute(key) else {
      if let fallback { return fallback }
      throw wrong("attribute '\(key)' is missing")
    }
    guard case .int(let value) = found, value.magnitude < 1 << 48 else { throw wrong("attribute '\(key)' must be an integer") }
    return value
  }

  func float(_ key: String, _ fallback: Double? = nil) throws -> Double {
    guard let found = attribute(key) else {
      if let fallback { return fallback }
      throw wrong("attribute '\(key)' is missing")
    }
    guard case .float(let value) = found else { throw wrong("attribute '\(key)' must be a number") }
    return value
  }

  func text(_ key: String, _ fallback: String? = nil) throws -> String {
    guard let found = attribute(key) else {
      if let fallback { return fallback }
      throw wrong("attribute '\(key)' is missing")
    }
    guard let value = found.text else { throw wrong("attribute '\(key)' must be text") }
    return value
  }

  func ints(_ key: String, _ fallback: [Int]? = nil) throws -> [Int] {
    guard let found = attribute(key) else {
      if let fallback { return fallback }
      throw wrong("attribute '\(key)' is missing")
    }
    guard case .list(let items) = found else { throw wrong("attribute '\(key)' must be a list of integers") }
    return try items.map {
      guard case .int(let value) = $0, value.magnitude < 1 << 48 else { throw wrong("attribute '\(key)' must be a list of integers") }
      return value
    }
  }

  func floats(_ key: String, _ fallback: [Double]) throws -> [Double] {
    guard let found = attribute(key) else { return fallback }
    guard case .list(let items) = found else { throw wrong("attribute '\(key)' must be a list of numbers") }
    return try items.map {
      guard case .float(let value) = $0 else { throw wrong("attribute '\(key)' must be a list of numbers") }
      return value
    }
  }

  func dataType(_ key: String) throws -> TFDataType? {
    guard let found = attribute(key) else { return nil }
    guard case .type(let type) = found else { throw wrong("attribute '\(key)' must be a dtype") }
    return type
  }

  /// A dtype that a graph has.
  func dtype(_ key: String, _ fallback: DType) throws -> DType {
    guard let type = try dataType(key) else { return fallback }
    guard let dtype = type.dtype else { throw unsupported("dtype \(type.name)") }
    return dtype
  }

  // MARK: Operands

  func input(_ index: Int) throws -> TFValue {
    guard inputs.indices.contains(index) else { throw wrong("has \(inputs.count) inputs; input \(index + 1) is missing") }
    return inputs[index]
  }

  /// An operand in the graph.
  func x(_ index: Int) throws -> ValueID { try builder.id(try input(index)) }

  /// All operands in the graph.
  func all() throws -> [ValueID] { try inputs.map { try builder.id($0) } }

  /// An operand that must be known when the model is imported.
  func constant(_ index: Int, _ what: String) throws -> Tensor {
    guard let tensor = try input(index).evaluated else { throw unsupported("\(what) that depends on the model's inputs") }
    return tensor
  }

  /// An operand's integers, which must be known.
  func integers(_ index: Int, _ what: String) throws -> [Int] {
    guard let elements = try input(index).known, let fixed = elements.fixed else {
      throw unsupported("\(what) that depends on the model's inputs")
    }
    return fixed
  }

  func integer(_ index: Int, _ what: String) throws -> Int {
    let values = try integers(index, what)
    guard values.count == 1, let value = values.first else { throw wrong("\(what) must be one number, found \(values.count)") }
    return value
  }

  func number(_ index: Int, _ what: String) throws -> Double {
    let tensor = try constant(index, what)
    guard tensor.count == 1, let value = tensor.doubles.first else { throw wrong("\(what) must be one number, found \(tensor.count)") }
    return value
  }

  /// A value for each id, under the names that TensorFlow has for the node's outputs.
  func values(_ ids: [ValueID]) -> [TFValue] {
    ids.enumerated().map { index, id in TFValue.value(id, builder, name: index == 0 ? name : "\(name):\(index)") }
  }

  /// Gives values that the node made the names of its outputs.
  func named(_ values: [TFValue]) throws -> [TFValue] {
    for (index, value) in values.enumerated() {
      guard case .tensor = value.kind, value.builder === builder, let id = value.id else { continue }
      let wanted = index == 0 ? name : "\(name):\(index)"
      if builder.graph[id].name.hasPrefix("\(name)/"), builder.graph.value(named: wanted) == nil, builder.graph.constants[id] == nil {
        builder.graph.rename(id, to: wanted)
      }
    }
    return values
  }
}
