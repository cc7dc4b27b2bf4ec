import TensorModule

/// The value of a node's attribute.
indirect enum ONNXAttribute: Sendable {
  case float(Float)
  case int(Int)
  case bytes([UInt8])
  case tensor(ONNXTensor)
  case sparse(ONNXSparseTensor)
  case graph(ONNXGraph)
  case floats([Float])
  case ints([Int])
  case strings([[UInt8]])
  case tensors([ONNXTensor])
  /// A kind that no reader takes.
  case other(String)
  /// The name of an attribute of the function around the node.
  case reference(String)
}

/// A type as a file declares it.
indirect enum ONNXType: Sendable {
  enum Dim: Hashable, Sendable {
    case fixed(Int)
    case named(String)
    case unknown
  }

  /// The dims are nil when the rank is unknown.
  case tensor(ONNXDataType, [Dim]?)
  case sequence
  case optional
  case map
  case sparse
  case unknown
}

/// A name with its type.
struct ONNXValueInfo: Sendable {
  var name: String
  var type: ONNXType
}

/// A node as the file has it. An empty name among the inputs is an operand that is left out.
struct ONNXNode: Sendable {
  var name: String
  var op: String
  var domain: String
  var overload: String
  var inputs: [String]
  var outputs: [String]
  var attributes: [String: ONNXAttribute]
  /// Values from around the node that its graphs read, sorted.
  var captures: [String]

  /// How messages name it.
  var title: String { name.isEmpty ? outputs.first { !$0.isEmpty } ?? op : name }
}

/// A graph: the model's, or one in an attribute.
struct ONNXGraph: Sendable {
  var name: String
  var nodes: [ONNXNode]
  var initializers: [String: ONNXTensor]
  var sparseInitializers: [String: ONNXSparseTensor]
  var inputs: [ONNXValueInfo]
  var outputs: [ONNXValueInfo]
  /// Declared types of values inside.
  var types: [String: ONNXType]

  static let maximumNodes = 1_000_000
}

/// A function of the model's own.
struct ONNXFunction: Sendable {
  var name: String
  var domain: String
  var overload: String
  var inputs: [String]
  var outputs: [String]
  var nodes: [ONNXNode]
  /// Attributes that calls may leave out.
  var defaults: [String: ONNXAttribute]
  /// Versions of the operator sets by domain.
  var opsets: [String: Int]

  /// A key that tells functions apart.
  static func key(_ domain: String, _ name: String, _ overload: String) -> String { "\(domain)\u{1}\(name)\u{1}\(overload)" }
}

/// What an ONNX file holds.
struct ONNXModel: Sendable {
  var irVersion: Int
  var producer: String
  var producerVersion: String
  var graph: ONNXGraph
  /// Versions of the operator sets by domain; that of ONNX itself has an empty name.
  var opsets: [String: Int]
  var functions: [String: ONNXFunction]
  var metadata: [(key: String, value: String)]

  /// `ai.onnx` is another name of the empty domain.
  static func domain(_ name: String) -> String { name == "ai.onnx" ? "" : name }
}
