import GraphModule
import TensorModule

/// Keras's L1, L2 and L1L2, as any of its generations writes them.
struct Regularizer {
  var l1 = 0.0
  var l2 = 0.0

  init(_ json: JSON) throws {
    let name = json["class_name"]?.stringValue ?? json["name"]?.stringValue ?? json.stringValue ?? ""
    let config = json["config"] ?? json
    switch name {
    case "L1", "l1", "L2", "l2", "L1L2", "l1_l2", "L1L2Regularizer", "WeightRegularizer", "L1Regularizer", "L2Regularizer":
      l1 = config["l1"]?.doubleValue ?? (name == "l1" ? 0.01 : 0)
      l2 = config["l2"]?.doubleValue ?? (name == "l2" ? 0.01 : 0)
    default: throw KilnError(.unsupportedModel, "the regularizer \(KilnError.quoted(name)) is not supported")
    }
  }

  /// l1 · Σ |x| + l2 · Σ x²; nil when both are 0.
  func penalty(_ x: ValueID, _ writer: GraphWriter) throws -> ValueID? {
    var sum: ValueID?
    if l1 != 0 { sum = try writer.affine(try writer.reduce(.sum, try writer.unary(.abs, x)), l1) }
    if l2 != 0 {
      let squares = try writer.affine(try writer.reduce(.sum, try writer.unary(.square, x)), l2)
      sum = try sum.map { try writer.binary(.add, $0, squares) } ?? squares
    }
    return sum
  }
}
