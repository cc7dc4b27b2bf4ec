import GraphModule
import TensorModule

/// Keras's L1, L2, L1L2 and OrthogonalRegularizer, as any of its generations writes them.
struct Regularizer {
  var l1 = 0.0
  var l2 = 0.0
  /// The factor of how far rows (or columns) are from being orthogonal.
  private var orthogonal = 0.0
  private var isByRows = true

  init(_ json: JSON) throws {
    let name = json["class_name"]?.stringValue ?? json["name"]?.stringValue ?? json.stringValue ?? ""
    let config = json["config"] ?? json
    switch name {
    case "L1", "l1", "L2", "l2", "L1L2", "l1_l2", "L1L2Regularizer", "WeightRegularizer", "L1Regularizer", "L2Regularizer":
      l1 = config["l1"]?.doubleValue ?? (name == "l1" ? 0.01 : 0)
      l2 = config["l2"]?.doubleValue ?? (name == "l2" ? 0.01 : 0)
    case "OrthogonalRegularizer", "orthogonal_regularizer":
      orthogonal = config["factor"]?.doubleValue ?? 0.01
      isByRows = config["mode"]?.stringValue != "columns"
    default: throw KilnError(.unsupportedModel, "the regularizer \(KilnError.quoted(name)) is not supported")
    }
  }

  /// l1 · Σ |x| + l2 · Σ x²; nil when both are 0. Orthogonal: factor · the mean of |cos| between two different rows.
  func penalty(_ x: ValueID, _ writer: GraphWriter) throws -> ValueID? {
    if orthogonal != 0 { return try pairs(x, writer) }
    var sum: ValueID?
    if l1 != 0 { sum = try writer.affine(try writer.reduce(.sum, try writer.unary(.abs, x)), l1) }
    if l2 != 0 {
      let squares = try writer.affine(try writer.reduce(.sum, try writer.unary(.square, x)), l2)
      sum = try sum.map { try writer.binary(.add, $0, squares) } ?? squares
    }
    return sum
  }

  private func pairs(_ x: ValueID, _ writer: GraphWriter) throws -> ValueID? {
    let shape = try writer.shape(x)
    guard shape.count == 2 else { throw KilnError(.unsupportedModel, "OrthogonalRegularizer takes matrices, found \(shape.shapeText)") }
    let size = isByRows ? shape[0] : shape[1]
    // One row has no pairs; Keras divides by their number.
    guard size > 1 else { throw KilnError(.unsupportedModel, "OrthogonalRegularizer of a single \(isByRows ? "row" : "column")") }
    let squares = try writer.reduce(.sum, try writer.unary(.square, x), axes: [isByRows ? 1 : 0], keepDims: true)
    let unit = try writer.binary(.mul, x, try writer.binary(.min, try writer.unary(.rsqrt, squares), 1e7))
    let product = try writer.add(MatMul(transposeA: !isByRows, transposeB: isByRows), [unit, unit])
    let identity = try writer.add(OneHot(depth: size), [writer.tape.graph.addConstant("rows", try Tensor(integers: (0..<size).map { Int64($0) }, dtype: .int32, shape: [size]))])
    let others = try writer.binary(.mul, product, try writer.affine(identity, -1, 1))
    return try writer.affine(try writer.reduce(.sum, try writer.unary(.abs, others)), orthogonal / Double(size * (size - 1)))
  }
}
