import CKernels
import GraphModule
import TensorModule

extension SetItem: CPUBinding {
  private struct Parameters {
    var count: Int
    var rowBytes: Int
    var index: DType
  }

  /// Operands: x, index, item, result, flag. The result may be x itself.
  private static let kernel: kiln_kernel = { params, operands, _, _ in
    guard let params, let operands, let index = operands[1], let target = operands[3] else { return }
    let parameters = params.load(as: Parameters.self)
    if let x = operands[0], x != target { target.copyMemory(from: x, byteCount: parameters.count * parameters.rowBytes) }
    let row = BranchStep.integer(index, parameters.index)
    guard row >= 0, row < parameters.count, let item = operands[2] else {
      operands[4]?.storeBytes(of: 1, as: Int32.self)
      return
    }
    (target + Int(row) * parameters.rowBytes).copyMemory(from: item, byteCount: parameters.rowBytes)
  }

  package func lower(_ node: NodeLowering) throws -> Bool {
    let count = node.inputShapes[0][0]
    let rowBytes = node.inputShapes[2].elementCount * node.inputs[0].dtype.byteCount
    node.allowInPlace(over: 0)
    try node.step(
      Self.kernel, "set_item", copying: Parameters(count: count, rowBytes: rowBytes, index: node.inputs[1].dtype),
      [
        node.input(0), node.input(1), node.input(2), node.output(),
        node.errorFlag("an index is out of range for \(count) rows"),
      ])
    return true
  }
}
