import GraphModule
import TensorModule

/// One node while it is converted: its operands and attributes, and the means to add to the graph.
final class ONNXCall: NodeBuilding {
  let converter: ONNXConverter
  let scope: ONNXScope
  let node: ONNXNode
  let name: String
  /// The version of the operator set.
  let version: Int
  let inputs: [ONNXValue?]

  init(_ converter: ONNXConverter, _ scope: ONNXScope, _ node: ONNXNode, _ name: String, _ version: Int, _ inputs: [ONNXValue?]) {
    self.converter = converter
    self.scope = scope
    self.node = node
    self.name = name
    self.version = version
    self.inputs = inputs
  }

  var builder: ImportBuilder { converter.builder }
  var op: String { node.op }

  // MARK: Attributes

  func attribute(_ key: String) -> ONNXAttribute? {
    guard let found = node.attributes[key] else { return nil }
    if case .reference(let name) = found { return scope.attributes[name] }
    return found
  }

  func has(_ key: String) -> Bool { attribute(key) != nil }

  func int(_ key: String, _ fallback: Int? = nil) throws -> Int {
    guard let found = attribute(key) else {
      if let fallback { return fallback }
      throw wrong("attribute '\(key)' is missing")
    }
    guard case .int(let value) = found, value.magnitude < 1 << 62 else { throw wrong("attribute '\(key)' must be an integer") }
    return value
  }

  /// A flag, which is an integer.
  func bool(_ key: String, _ fallback: Bool = false) throws -> Bool { try int(key, fallback ? 1 : 0) != 0 }

  func float(_ key: String, _ fallback: Double? = nil) throws -> Double {
    guard let found = attribute(key) else {
      if let fallback { return fallback }
      throw wrong("attribute '\(key)' is missing")
    }
    guard case .float(let value) = found else { throw wrong("attribute '\(key)' must be a number") }
    // The shortest decimal that means this float: 0.1 stays 0.1.
    return value.isFinite ? Double(value.description) ?? Double(value) : Double(value)
  }

  func text(_ key: String, _ fallback: String? = nil) throws -> String {
    guard let found = attribute(key) else {
      if let fallback { return fallback }
      throw wrong("attribute '\(key)' is missing")
    }
    guard case .bytes(let bytes) = found, let text = String(validating: bytes, as: UTF8.self) else { throw wrong("attribute '\(key)' must be text") }
    return text
  }

  func ints(_ key: String, _ fallback: [Int]? = nil) throws -> [Int] {
    guard let found = attribute(key) else {
      if let fallback { return fallback }
      throw wrong("attribute '\(key)' is missing")
    }
    switch found {
    case .ints(let values): return values.map { Dim.clamp($0) }
    case .floats(let values) where values.isEmpty: return []
    default: throw wrong("attribute '\(key)' must be a list of integers")
    }
  }

  func floats(_ key: String, _ fallback: [Double]? = nil) throws -> [Double] {
    guard let found = attribute(key) else {
      if let fallback { return fallback }
      throw wrong("attribute '\(key)' is missing")
    }
    switch found {
    case .floats(let values): return values.map { Double($0) }
    case .ints(let values) where values.isEmpty: return []
    default: throw wrong("attribute '\(key)' must be a list of numbers")
    }
  }

  func texts(_ key: String, _ fallback: [ByteString]? = nil) throws -> [ByteString] {
    guard let found = attribute(key) else {
      if let fallback { return fallback }
      throw wrong("attribute '\(key)' is missing")
    }
    switch found {
    case .strings(let values): return values.map { ByteString($0) }
    case .ints(let values) where values.isEmpty: return []
    default: throw wrong("attribute '\(key)' must be a list of texts")
    }
  }

  func graph(_ key: String) throws -> ONNXGraph {
    guard case .graph(let graph)? = attribute(key) else { throw wrong("attribute '\(key)' must be a graph") }
    return graph
  }

  /// A dtype as an attribute gives its number.
  func element(_ key: String, _ fallback: ONNXDataType) throws -> ONNXDataType {
    let number = try int(key, fallback.number)
    let element = number == 0 ? fallback : ONNXDataType(number)
    _ = try dtype(element)
    return element
  }

  func dtype(_ element: ONNXDataType) throws -> DType {
    guard let dtype = element.dtype else { throw unsupported("the type \(element.name)") }
    return dtype
  }

  // MARK: Operands

  /// An operand, or nil when it is left out.
  func optional(_ index: Int) -> ONNXValue? {
    guard inputs.indices.contains(index), let value = inputs[index] else { return nil }
    if case .absent = value { return nil }
    return value
  }

  func has(_ index: Int) -> Bool { optional(index) != nil }

  func value(_ index: Int) throws -> ONNXValue {
    guard let value = optional(index) else { throw wrong("has \(inputs.count) inputs; input \(index + 1) is missing") }
    return value
  }

  func input(_ index: Int) throws -> ImportedValue { try tensor(try value(index)).0 }

  func tensor(_ value: ONNXValue) throws -> (ImportedValue, ONNXDataType) {
    switch value {
    case .tensor(let value, let element): return (value, element)
    case .sequence: throw unsupported("a sequence where a tensor is taken")
    case .absent: throw wrong("takes a tensor and is given none")
    }
  }

  /// The element type of an operand.
  func element(_ index: Int) throws -> ONNXDataType { try tensor(try value(index)).1 }

  /// An operand in the graph.
  func x(_ index: Int) throws -> ValueID { try builder.id(try input(index)) }

  /// All operands in the graph.
  func all() throws -> [ValueID] { try inputs.indices.map { try x($0) } }

  /// An operand that must be known when the model is imported.
  func constant(_ index: Int, _ what: String) throws -> Tensor {
    guard let tensor = try input(index).evaluated else { throw unsupported("\(what) that depends on the model's inputs") }
    return tensor
  }

  /// An operand's integers, which must be known.
  func integers(_ index: Int, _ what: String) throws -> [Int] {
    guard let tensor = try input(index).evaluated else { throw unsupported("\(what) that depends on the model's inputs") }
    guard tensor.dtype.isInteger, tensor.count <= 1 << 20 else { throw wrong("\(what) must be a few integers") }
    return tensor.integers.map { Dim.clamp(Int($0)) }
  }

  /// An operand's integers as expressions over the inputs' symbols; nil when the data say them.
  func dims(_ index: Int) throws -> [Dim]? { try input(index).known?.elements }

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

  /// Integers that newer versions take as an operand and older ones as an attribute; nil when neither is there.
  func integers(_ key: String, or index: Int, _ what: String) throws -> [Int]? {
    if has(key) { return try ints(key) }
    return has(index) ? try integers(index, what) : nil
  }

  /// Positive axes, each once, sorted.
  func axes(_ axes: [Int], _ rank: Int) throws -> [Int] {
    let positive = try axes.map { try axis($0, rank) }
    guard Set(positive).count == positive.count else { throw wrong("an axis appears twice in \(axes)") }
    return positive.sorted()
  }

  /// The dims that the file declares for an output, where they are numbers; nil when it does not tell the rank.
  func declared(_ index: Int) -> [Dim?]? {
    guard node.outputs.indices.contains(index), case .tensor(_, let dims?)? = scope.types[node.outputs[index]] else { return nil }
    return dims.map { if case .fixed(let length) = $0 { Dim(length) } else { nil } }
  }

  /// Dims of an output of the given rank that only the data tell: numbers where the file declares them, else new symbols.
  func dataDims(_ index: Int, rank: Int) -> [Dim] {
    let declared = declared(index)
    guard let declared, declared.count == rank else { return (0..<rank).map { _ in dataSize() } }
    return declared.map { $0 ?? dataSize() }
  }

  // MARK: Results

  func plain(_ ids: [ValueID]) -> [ONNXValue] {
    ids.enumerated().map { index, id in .plain(ImportedValue.value(id, builder, name: outputName(index))) }
  }

  func result(_ id: ValueID, _ element: ONNXDataType, _ index: Int = 0) -> ONNXValue {
    .tensor(ImportedValue.value(id, builder, name: outputName(index)), element)
  }

  private func outputName(_ index: Int) -> String {
    guard index > 0, node.outputs.indices.contains(index), !node.outputs[index].isEmpty else { return index == 0 ? name : "\(name):\(index)" }
    return scope.prefix + node.outputs[index]
  }

  /// The results of a reader, or what is known of them without the graph.
  func results(by reader: @escaping ONNXOpCatalog.Reader) throws -> [ONNXValue] {
    if node.domain.isEmpty, let known = try? ONNXShapeArithmetic.evaluate(self) {
      return known.enumerated().map { index, elements in
        .plain(
          ImportedValue.known(elements, builder, name: outputName(index)) {
            if let made = try self.sizes(elements, index) { return made }
            let made = try self.finished(try reader(self))
            guard made.indices.contains(index), case .tensor(let value, _) = made[index] else { throw self.wrong("has no output \(index)") }
            return try value.materialised()
          })
      }
    }
    return try reader(self)
  }

  /// Elements that are expressions over lengths, as a value of the graph; nil for other elements.
  private func sizes(_ elements: DimTensor, _ index: Int) throws -> ValueID? {
    guard elements.dtype.isInteger, elements.elements.count <= ImportedValue.maximumNumbers else { return nil }
    let vector = try builder.vector(elements.elements)
    return try reshape(try cast(vector, elements.dtype), elements.shape.map { Dim($0) })
  }

  /// Gives values that the node made the names of its outputs.
  func finished(_ values: [ONNXValue]) throws -> [ONNXValue] {
    for (index, result) in values.enumerated() {
      guard case .tensor(let value, _) = result, value.builder === builder, let id = value.id else { continue }
      let wanted = outputName(index)
      if builder.graph[id].name.hasPrefix("\(name)/"), builder.graph.value(named: wanted) == nil, builder.graph.constants[id] == nil {
        builder.graph.rename(id, to: wanted)
      }
    }
    return values
  }
}
