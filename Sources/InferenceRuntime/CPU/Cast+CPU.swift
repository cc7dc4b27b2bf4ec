import CKernels
import GraphModule
import TensorModule

extension Cast: CPUBinding {
  package func lower(_ node: NodeLowering) throws -> Bool {
    if node.inputs[0].dtype == dtype {
      node.alias(of: 0)
      return true
    }
    node.allowChainInPlace()
    return try node.copyStep(to: node.outputShapes[0], label: "chain/cast")
  }
}

extension BroadcastTo: CPUBinding {
  package func lower(_ node: NodeLowering) throws -> Bool {
    if node.inputShapes[0].elementCount == node.outputShapes[0].elementCount {
      node.alias(of: 0)
      return true
    }
    return try node.copyStep(to: node.outputShapes[0], label: "chain/broadcast")
  }
}

extension NodeLowering {
  /// Operand 0 broadcast to `shape` and converted to the result's dtype.
  fileprivate func copyStep(to shape: Shape, label: String) throws -> Bool {
    let program = ChainProgram(
      shape: shape, inputs: [.init(operand: input(0), dtype: inputs[0].dtype, shape: inputShapes[0])], steps: [],
      resultType: outputs[0].dtype)
    return try program.append(to: self, output: output(), label: label)
  }
}
