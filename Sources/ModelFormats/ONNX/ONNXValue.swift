import GraphModule
import TensorModule

/// What a name stands for while a graph is converted.
indirect enum ONNXValue {
  case tensor(ImportedValue, ONNXDataType)
  /// A sequence whose number of items is known.
  case sequence([ONNXValue])
  /// An optional without a value.
  case absent

  static func plain(_ value: ImportedValue) -> ONNXValue { .tensor(value, ONNXDataType(value.type.dtype)) }
}

/// The names of one graph, or of one call of a function, with the graph around it.
final class ONNXScope {
  enum Found {
    case value(ONNXValue)
    /// A problem, which is noted, stands in the way.
    case failed
    case missing
  }

  let parent: ONNXScope?
  let prefix: String
  let opsets: [String: Int]
  /// Attributes of the call, which attributes of the function's nodes refer to.
  let attributes: [String: ONNXAttribute]
  /// Declared types of values.
  let types: [String: ONNXType]
  /// The functions that are being called, outermost first.
  let calls: [String]
  private let graph: ONNXGraph?
  private let builder: ImportBuilder
  private(set) var values: [String: ONNXValue] = [:]
  private(set) var failed: Set<String> = []

  /// The scope of a graph.
  init(_ graph: ONNXGraph, _ builder: ImportBuilder, opsets: [String: Int], parent: ONNXScope? = nil, prefix: String = "") {
    self.graph = graph
    self.builder = builder
    self.parent = parent
    self.prefix = prefix
    self.opsets = opsets
    attributes = parent?.attributes ?? [:]
    calls = parent?.calls ?? []
    var types = graph.types
    for output in graph.outputs { types[output.name] = output.type }
    self.types = types
  }

  /// The scope of a call.
  init(_ function: ONNXFunction, _ builder: ImportBuilder, opsets: [String: Int], attributes: [String: ONNXAttribute], prefix: String, calls: [String]) {
    graph = nil
    parent = nil
    self.builder = builder
    self.prefix = prefix
    self.opsets = opsets
    self.attributes = function.defaults.merging(attributes) { _, given in given }
    self.calls = calls
    types = [:]
  }

  func bind(_ name: String, _ value: ONNXValue) { values[name] = value }
  func fail(_ name: String) { failed.insert(name) }

  /// Whether the name is an initializer of this graph.
  func isInitializer(_ name: String) -> Bool { graph?.initializers[name] != nil || graph?.sparseInitializers[name] != nil }

  /// What a name stands for, here or around.
  func find(_ name: String) throws -> Found {
    var scope: ONNXScope? = self
    while let open = scope {
      if let value = open.values[name] { return .value(value) }
      if open.failed.contains(name) { return .failed }
      if let tensor = open.graph?.initializers[name] {
        let value = ONNXValue.tensor(.constant(try tensor.load(), open.builder, name: open.prefix + name), tensor.type)
        open.values[name] = value
        return .value(value)
      }
      if let sparse = open.graph?.sparseInitializers[name] {
        let value = ONNXValue.tensor(.constant(try sparse.load(), open.builder, name: open.prefix + name), sparse.values.type)
        open.values[name] = value
        return .value(value)
      }
      scope = open.parent
    }
    return .missing
  }
}
