import GraphModule
import TensorModule

/// Evaluates nodes whose operands are all constants.
enum ConstantFolder {
  /// Bytes up to which a result may be made of anything; above, it may be this many times as large as the operands.
  private static let smallResult = 64 << 10
  private static let growth = 4
  /// Multiply-adds up to which a node is worth computing here.
  private static let work = 1 << 27

  /// The results, or nil when the node stays: an operand is no constant, a result is too large, or the op refuses.
  static func fold(_ node: Node, in workspace: Workspace) -> [Tensor]? {
    guard !node.inputs.isEmpty else { return nil }
    var operands: [Tensor] = []
    for input in node.inputs {
      guard let tensor = workspace.constant(input) else { return nil }
      operands.append(tensor)
    }
    let types = node.outputs.map(workspace.type(of:))
    let shapes = types.compactMap(\.shape)
    guard shapes.count == types.count else { return nil }
    let read = operands.reduce(0) { $0 + $1.byteCount }
    var made = 0
    for type in types {
      guard let shape = type.shape, let bytes = checkedProduct(shape + [max(type.dtype.byteCount, 16)]) else { return nil }
      made += bytes
    }
    guard made <= max(smallResult, read.multipliedReportingOverflow(by: growth).partialValue),
      node.op.flops(node.inputs.map(workspace.type(of:)), types) <= work
    else { return nil }
    if let quick = try? moved(node.op, operands, shapes) { return [quick] }
    guard let results = try? node.op.evaluated(operands.map { ReferenceTensor($0) }, types),
      results.count == types.count,
      let tensors = try? results.map({ try $0.tensor() })
    else { return nil }
    return tensors
  }

  /// Ops that only move or convert, without the way through Double.
  private static func moved(_ op: any OpDefinition, _ operands: [Tensor], _ shapes: [Shape]) throws -> Tensor? {
    switch op {
    case is Reshape: return operands[0].reshaped(shapes[0])
    case let op as Transpose where operands[0].dtype != .string: return try operands[0].transposed(op.permutation)
    default: return nil
    }
  }
}
