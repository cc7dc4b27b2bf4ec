import GraphModule
import TensorModule

/// One node while it is converted: its operands and attributes, and the means to add to the graph.
final class TFCall {
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

  private var scope: String { name.lastIndex(of: "/").map { String(name[..<$0]) } ?? "" }

  func wrong(_ message: String) -> KilnError { KilnError(.badInput, message) }
  func unsupported(_ message: String) -> KilnError { KilnError(.unsupportedModel, "\(message) is not supported") }

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

  func type(_ value: ValueID) -> TensorType { builder.graph.type(of: value) }

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

  /// A positive axis.
  func axis(_ axis: Int, _ rank: Int, _ what: String = "axis") throws -> Int {
    let positive = axis < 0 ? axis + rank : axis
    guard (0..<rank).contains(positive) else { throw wrong("\(what) \(axis) is out of range for rank \(rank)") }
    return positive
  }

  /// A length that must be a number.
  func length(_ value: ValueID, _ axis: Int) throws -> Int {
    let type = type(value)
    guard let positive = type.axis(axis) else { throw wrong("axis \(axis) is out of range for \(type.message)") }
    guard let length = type.dims[positive].fixed else {
      throw KilnError(.unsupportedModel, "axis \(positive) of its operand \(type.message) must be known", hint: "give the inputs' shapes with --input-shape")
    }
    return length
  }

  // MARK: Building

  func add(_ op: any OpDefinition, _ operands: [ValueID], _ suffix: String) throws -> ValueID {
    try builder.graph.addOne(op, operands, name: "\(name)/\(suffix)", scope: scope, device: node.device)
  }

  func addAll(_ op: any OpDefinition, _ operands: [ValueID], _ suffix: String) throws -> [ValueID] {
    try builder.graph.add(op, operands, name: "\(name)/\(suffix)", scope: scope, device: node.device)
  }

  func unary(_ function: ScalarFunction, _ value: ValueID, _ parameters: [Double] = []) throws -> ValueID {
    try add(Elementwise(function, parameters), [value], function.rawValue)
  }

  func binary(_ function: ScalarFunction, _ left: ValueID, _ right: ValueID) throws -> ValueID {
    try add(Elementwise(function), [left, right], function.rawValue)
  }

  func select(_ condition: ValueID, _ yes: ValueID, _ no: ValueID) throws -> ValueID {
    try add(Elementwise(.select), [condition, yes, no], "select")
  }

  func cast(_ value: ValueID, _ dtype: DType) throws -> ValueID {
    type(value).dtype == dtype ? value : try add(Cast(dtype), [value], "cast")
  }

  func reshape(_ value: ValueID, _ dims: [Dim]) throws -> ValueID {
    type(value).dims == dims ? value : try add(Reshape(dims), [value], "reshape")
  }

  func transpose(_ value: ValueID, _ permutation: [Int]) throws -> ValueID {
    permutation == Array(permutation.indices) ? value : try add(Transpose(permutation), [value], "transpose")
  }

  func broadcast(_ value: ValueID, _ dims: [Dim]) throws -> ValueID {
    type(value).dims == dims ? value : try add(BroadcastTo(dims), [value], "broadcast_to")
  }

  func reduce(_ kind: Reduce.Kind, _ value: ValueID, _ axes: [Int], keepDims: Bool = false) throws -> ValueID {
    try add(Reduce(kind, axes: axes.sorted(), keepDims: keepDims), [value], kind.rawValue)
  }

  func slice(_ value: ValueID, axis: Int, _ start: Int?, _ end: Int?, step: Int = 1) throws -> ValueID {
    var ranges = [Slice.Range](repeating: .all, count: type(value).rank)
    ranges[axis] = Slice.Range(start: start, end: end, step: step)
    return try add(Slice(ranges), [value], "slice")
  }

  func concat(_ values: [ValueID], axis: Int) throws -> ValueID {
    values.count == 1 ? values[0] : try add(Concat(axis: axis), values, "concat")
  }

  /// The value with an axis of length 1 put in before `axis`.
  func expand(_ value: ValueID, _ axis: Int) throws -> ValueID {
    var dims = type(value).dims
    dims.insert(1, at: axis)
    return try reshape(value, dims)
  }

  /// The value without an axis of length 1.
  func drop(_ value: ValueID, _ axis: Int) throws -> ValueID {
    var dims = type(value).dims
    dims.remove(at: axis)
    return try reshape(value, dims)
  }

  func constant(_ tensor: Tensor, _ suffix: String) -> ValueID {
    builder.graph.addConstant("\(name)/\(suffix)", tensor)
  }

  func numbers(_ values: [Double], _ shape: Shape, _ dtype: DType, _ suffix: String) throws -> ValueID {
    constant(try Tensor(converting: values, to: dtype, shape: shape), suffix)
  }

  func scalar(_ value: Double, _ dtype: DType) throws -> ValueID { try builder.scalar(value, dtype) }

  /// The scalar 0, false or the empty string.
  func zero(_ dtype: DType) throws -> ValueID {
    dtype == .string ? constant(Tensor(strings: [ByteString("")], shape: []), "nothing") : try scalar(0, dtype)
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
