import TensorModule

/// The text form of graphs: it prints, and parses back to an equal graph.
///
///     graph "digits" {
///       meta framework = "keras"
///       input %x: float32[batch,8,8,1]
///       const %conv/kernel: float32[3,3,1,16]
///       const %axis: int64[2] = [1, 2]
///       %conv: float32[batch,6,6,16] = conv(%x, %conv/kernel) {strides: [1, 1], padding: same} @conv
///       state %h = %lstm:1
///       output "probabilities" = %conv
///     }
///
/// Names that are not plain words are quoted. Constants of at most `inlineLimit` elements are written out; the bytes of
/// larger ones travel beside the text (as safetensors in a `.kiln` file).
package enum TextForm {
  package static let inlineLimit = 8

  /// The graph as text.
  ///
  /// - Parameter inlineConstants: write small constants out. Without it every constant is left to the resolver.
  package static func print(_ graph: Graph, inlineConstants: Bool = true) -> String {
    block(graph, Style(inlineConstants: inlineConstants, indent: "")) + "\n"
  }

  /// How subgraphs in attributes are written.
  private struct Style {
    var inlineConstants: Bool
    var indent: String
  }

  private static func block(_ graph: Graph, _ style: Style) -> String {
    let graph = graph.compacted(keepDeadNodes: true)
    var inner = style
    inner.indent += "  "
    var lines: [String] = []
    for (key, value) in graph.metadata.sorted(by: { $0.key < $1.key }) { lines.append("meta \(word(key)) = \(quoted(value))") }
    for id in graph.inputs { lines.append("input \(reference(graph[id].name)): \(graph.type(of: id))") }
    for (id, tensor) in graph.constants.sorted(by: { $0.key.index < $1.key.index }) {
      let isWritten = style.inlineConstants && tensor.count <= inlineLimit
      lines.append(
        "const \(reference(graph[id].name)): \(graph.type(of: id))" + (isWritten ? " = \(literal(tensor))" : ""))
    }
    for node in graph.nodes { lines.append(line(node, in: graph, inner)) }
    for state in graph.states {
      lines.append("state \(reference(graph[state.value].name)) = \(reference(graph[state.next].name))")
    }
    for output in graph.outputs {
      lines.append("output \(quoted(output.name)) = \(reference(graph[output.value].name))")
    }
    let body = lines.map { "\(inner.indent)\($0)\n" }.joined()
    return "graph \(quoted(graph.name)) {\n\(body)\(style.indent)}"
  }

  /// One node: `%y: float32[batch,10] = softmax(%x) {axis: -1} @head`. Subgraphs are left out: `graph "body" {…}`.
  package static func line(_ node: Node, in graph: Graph) -> String { line(node, in: graph, nil) }

  private static func line(_ node: Node, in graph: Graph, _ style: Style?) -> String {
    // The verifier prints nodes that name values which do not exist.
    func value(_ id: ValueID) -> Value? { graph.values.indices.contains(id.index) ? graph[id] : nil }
    let results = node.outputs.map { id in
      value(id).map { "\(reference($0.name)): \($0.type)" } ?? "%\(id.index)"
    }.joined(separator: ", ")
    let operands = node.inputs.map { id in value(id).map { reference($0.name) } ?? "%\(id.index)" }.joined(separator: ", ")
    let list = node.op.attributes
    let attributes =
      list.isEmpty ? "" : " {" + list.map { "\($0.name): \(text($0.value, style))" }.joined(separator: ", ") + "}"
    let scope = node.scope.isEmpty ? "" : " @\(word(node.scope))"
    let device = node.device.isEmpty ? "" : " on \(word(node.device))"
    return "\(results) = \(node.op.opName)(\(operands))\(attributes)\(scope)\(device)"
  }

  package static func text(_ value: AttributeValue) -> String { text(value, nil) }

  private static func text(_ value: AttributeValue, _ style: Style?) -> String {
    switch value {
    case .bool(let value): value ? "true" : "false"
    case .int(let value): String(value)
    case .float(let value): number(value)
    case .word(let value): value
    case .string(let value): quoted(value)
    case .dims(let dims): "<" + dims.map(\.description).joined(separator: ", ") + ">"
    case .list(let values): "[" + values.map { text($0, style) }.joined(separator: ", ") + "]"
    case .graph(let graph): style.map { block(graph, $0) } ?? "graph \(quoted(graph.name)) {…}"
    }
  }

  /// A float that parses back to the same bits (of NaN, to the same sign) and never looks like an integer.
  static func number(_ value: Double) -> String {
    if value.isNaN { return value.sign == .minus ? "-nan" : "nan" }
    if value.isInfinite { return value < 0 ? "-inf" : "inf" }
    return "\(value)"
  }

  static func literal(_ tensor: Tensor) -> String {
    let items: [String] =
      switch tensor.dtype {
      case .string: tensor.strings.map(quoted)
      case let dtype where dtype.isFloat: tensor.doubles.map(number)
      default: tensor.integers.map(String.init)
      }
    return "[" + items.joined(separator: ", ") + "]"
  }

  static func reference(_ name: String) -> String { "%" + word(name) }

  /// A symbol's name in a dim: bare when it is an identifier.
  package static func name(_ name: String) -> String { word(name) }

  /// A name bare when it is a plain word, else quoted.
  static func word(_ text: String) -> String {
    !text.isEmpty && text.utf8.allSatisfy(isWordByte) && !text.utf8.first!.isDigitOrSign ? text : quoted(text)
  }

  static func isWordByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "/"):
      true
    default: false
    }
  }

  /// A quoted string; bytes that are not UTF-8 as `\xff`.
  static func quoted(_ string: ByteString) -> String {
    if let text = string.text { return quoted(text) }
    var out = "\""
    ByteString.scan(string.bytes) { scalar, byte in
      out += scalar.map(escaped) ?? "\\x" + ByteString.hex(byte)
    }
    return out + "\""
  }

  static func quoted(_ text: String) -> String { "\"" + text.unicodeScalars.reduce(into: "") { $0 += escaped($1) } + "\"" }

  private static func escaped(_ scalar: Unicode.Scalar) -> String {
    switch scalar {
    case "\"": "\\\""
    case "\\": "\\\\"
    default: scalar.value < 0x20 || scalar.value == 0x7F ? "\\u{" + String(scalar.value, radix: 16) + "}" : String(scalar)
    }
  }
}

extension UInt8 {
  var isDigitOrSign: Bool { (48...57).contains(self) || self == 45 || self == 46 || self == 47 }
}
