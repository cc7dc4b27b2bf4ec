import GraphModule
import TensorModule

/// An attribute of a node that is being written.
enum ONNXDraftAttribute {
  case int(Int)
  case float(Double)
  case ints([Int])
  case floats([Double])
  case text(String)
  case texts([ByteString])
  case graph(ONNXBlock)
}

/// A node that is being written. An operand that is left out has the empty name.
struct ONNXDraftNode {
  var op: String
  var domain: String
  var inputs: [String]
  var outputs: [String]
  var attributes: [(name: String, value: ONNXDraftAttribute)]
}

/// The name and type of a graph's input or output.
struct ONNXDraftValue {
  var name: String
  var type: TensorType
  /// Dims that are neither numbers nor names are left open.
  var namesDims = true
}

/// The nodes of the graph, or of one in an attribute, in order.
final class ONNXBlock {
  let name: String
  var nodes: [ONNXDraftNode] = []
  var inputs: [ONNXDraftValue] = []
  var outputs: [ONNXDraftValue] = []

  init(_ name: String) { self.name = name }
}

/// What all graphs of a file under construction have in common: names, initializers, problems.
final class ONNXDraft {
  /// A tensor of the file; it is made when it is written.
  struct Initializer {
    var name: String
    var dtype: DType
    var shape: Shape
    var make: () throws -> Tensor

    var byteCount: Int { shape.elementCount * dtype.byteCount }
  }

  private(set) var initializers: [Initializer] = []
  private var taken: Set<String> = []
  private var suffixes: [String: Int] = [:]
  private var numbers: [String: String] = [:]
  /// What ONNX cannot say, each with the node.
  var problems: [String] = []
  /// What is not quite as in the source.
  private(set) var notes: [String] = []
  /// Names that results get at last, because they are the model's outputs.
  var renamed: [String: String] = [:]
  private(set) var domains: Set<String> = []

  /// The version of the standard operators that is written, and the version of the file format that goes with it.
  static let operatorSet = 20
  static let irVersion = 9
  static let classicalOperatorSet = 2

  func note(_ text: String) { if !notes.contains(text) { notes.append(text) } }

  func uses(_ domain: String) { if !domain.isEmpty { domains.insert(domain) } }

  /// A name that nothing has yet.
  func unique(_ name: String) -> String {
    let wanted = name.isEmpty ? "value" : name
    if taken.insert(wanted).inserted { return wanted }
    var suffix = suffixes[wanted, default: 1]
    while !taken.insert("\(wanted)_\(suffix)").inserted { suffix += 1 }
    suffixes[wanted] = suffix + 1
    return "\(wanted)_\(suffix)"
  }

  func initializer(_ name: String, _ dtype: DType, _ shape: Shape, _ make: @escaping () throws -> Tensor) -> String {
    let name = unique(name)
    initializers.append(Initializer(name: name, dtype: dtype, shape: shape, make: make))
    return name
  }

  func initializer(_ name: String, _ tensor: Tensor) -> String { initializer(name, tensor.dtype, tensor.shape) { tensor } }

  /// Numbers as a tensor; the same ones are one tensor.
  func numbers(_ values: [Double], _ dtype: DType, _ shape: Shape) throws -> String {
    let key = "\(dtype.name)\(shape)\(values.map(\.bitPattern))"
    if let name = numbers[key] { return name }
    let text = values.count == 1 ? "\(values[0])" : "\(values.count)"
    let name = initializer("const_\(dtype.name)_\(text)", try Tensor(converting: values, to: dtype, shape: shape))
    numbers[key] = name
    return name
  }

  func isInitializer(_ name: String) -> Bool { initializers.contains { $0.name == name } }
}
