import TensorModule

/// A shape as a file declares it; nil dims are unknown, nil altogether is an unknown rank.
struct TFShape: Hashable, Sendable {
  var dims: [Int?]?
}

/// The value of a node's attribute.
indirect enum TFAttribute: Sendable {
  case bytes([UInt8])
  case int(Int)
  case float(Double)
  case bool(Bool)
  case type(TFDataType)
  case shape(TFShape)
  case tensor(TFTensor)
  case function(String)
  /// The name of an attribute of the function around the node.
  case placeholder(String)
  case list([TFAttribute])

  var text: String? { if case .bytes(let bytes) = self { String(validating: bytes, as: UTF8.self) } else { nil } }
}

/// One output of a node as an operand names it: `node`, `node:1`, and in functions `node:product:0`.
struct TFReference: Hashable, Sendable, CustomStringConvertible {
  var node: String
  /// The name of an output argument; only in functions.
  var argument: String?
  var index: Int

  /// - Throws: `KilnError` (`badInput`) when the text is no reference.
  init(_ text: String) throws {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard let first = parts.first, !first.isEmpty, parts.count <= 3 else { throw TFReference.wrong(text) }
    node = String(first)
    index = 0
    if parts.count == 2, let number = Int(parts[1]) {
      index = number
    } else if parts.count >= 2 {
      argument = String(parts[1])
      guard parts.count == 2 || Int(parts[2]) != nil else { throw TFReference.wrong(text) }
      index = parts.count == 3 ? Int(parts[2]) ?? 0 : 0
    }
    guard index >= 0, index < 1 << 20 else { throw TFReference.wrong(text) }
  }

  init(node: String, index: Int) {
    self.node = node
    self.index = index
  }

  private static func wrong(_ text: String) -> KilnError {
    KilnError(.badInput, "\(KilnError.quoted(text)) is not the name of a tensor")
  }

  var description: String { argument.map { "\(node):\($0):\(index)" } ?? "\(node):\(index)" }
}

/// A node as the file has it.
struct TFNode: Sendable {
  var name: String
  var op: String
  var inputs: [TFReference]
  /// Nodes that only have to run before.
  var controls: [String]
  var device: String
  var attributes: [String: TFAttribute]
}

/// A function of the library.
struct TFFunction: Sendable {
  struct Argument: Sendable {
    var name: String
    var type: TFDataType
  }

  var name: String
  var inputs: [Argument]
  var outputs: [Argument]
  var nodes: [TFNode]
  /// What each output is, by the output's name.
  var results: [String: TFReference]
}

/// A GraphDef.
struct TFGraph: Sendable {
  var nodes: [TFNode]
  var functions: [String: TFFunction]
  /// The version of the format that the writer knew; 0 when it does not say.
  var producer: Int
}

/// A graph with what its container says about it: what `TFConverter` reads.
struct TFModel {
  struct Endpoint {
    /// The name in the signature.
    var name: String
    var tensor: TFReference
    var shape: TFShape?
    var type: TFDataType?
  }

  var graph: TFGraph
  /// `TensorFlow frozen graph`, `TensorFlow SavedModel`.
  var container: String
  var version = ""
  /// What the caller gives and gets; nil when the container does not say.
  var inputs: [Endpoint]?
  var outputs: [Endpoint]?
  /// Values of variables by the name of their node (`VarHandleOp`, `VariableV2`).
  var variables: [String: () throws -> Tensor] = [:]
  /// Keys and values of tables, from a checkpoint or from what initialises them, by the name of their node.
  var tables: [String: () throws -> (keys: Tensor, values: Tensor)] = [:]
  /// What fills tables, by the name of the table's node.
  var fillings: [String: TableFilling] = [:]
  /// The tables whose contents a checkpoint holds.
  var stored: Set<String> = []
  /// The names of all signatures, and the one that was chosen.
  var signatures: [String] = []
  var signature: String?
}
