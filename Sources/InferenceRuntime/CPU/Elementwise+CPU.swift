import CKernels
import GraphModule
import TensorModule

extension Elementwise: CPUBinding {
  package func lower(_ node: NodeLowering) throws -> Bool {
    if function == .identity {
      node.alias(of: 0)
      return true
    }
    let program = ChainProgram(
      shape: node.outputShapes[0],
      inputs: node.inputs.indices.map {
        ChainProgram.Input(operand: node.input($0), dtype: node.inputs[$0].dtype, shape: node.inputShapes[$0])
      },
      steps: [
        ChainProgram.Step(function: function, parameters: parameters, sources: node.inputs.indices.map { .input($0) })
      ],
      resultType: node.outputs[0].dtype)
    node.allowChainInPlace()
    return try program.append(to: node, output: node.output(), label: "chain/\(function.rawValue)")
  }
}

extension NodeLowering {
  /// The chain kernel's rule: the result may overwrite an operand of its shape and element size.
  func allowChainInPlace() {
    for index in inputs.indices
    where inputShapes[index] == outputShapes[0] && inputs[index].dtype.byteCount == outputs[0].dtype.byteCount {
      allowInPlace(over: index)
    }
  }
}
