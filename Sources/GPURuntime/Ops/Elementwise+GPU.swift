import GraphModule
import TensorModule

extension Elementwise: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    if function == .identity, node.alias(of: 0) { return .runs }
    let dtypes = node.inputs.map(\.dtype)
    let kernel = ElementwiseKernel(
      shape: node.outputShapes[0], inputs: node.elementwiseInputs(),
      steps: [
        .init(
          function: function, parameters: parameters, sources: node.inputs.indices.map { .input($0) },
          operand: function == .select ? dtypes[1] : dtypes[0], result: node.outputs[0].dtype)
      ], resultType: node.outputs[0].dtype)
    node.allowElementwiseInPlace()
    return kernel.append(to: node, output: node.output())
  }
}

extension ElementwiseChain: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    let types = try dtypes(node.inputs.map(\.dtype))
    let kernel = ElementwiseKernel(
      shape: node.outputShapes[0], inputs: node.elementwiseInputs(),
      steps: steps.enumerated().map { index, step in
        ElementwiseKernel.Step(
          function: step.function, parameters: step.parameters, sources: step.operands,
          operand: types.operands[index][step.function == .select ? 1 : 0], result: types.results[index])
      }, resultType: node.outputs[0].dtype)
    node.allowElementwiseInPlace()
    return kernel.append(to: node, output: node.output())
  }
}

extension Cast: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    if node.inputs[0].dtype == dtype, node.alias(of: 0) { return .runs }
    return node.copyElements()
  }
}

extension BroadcastTo: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    if node.inputShapes[0].elementCount == node.outputShapes[0].elementCount, node.alias(of: 0) { return .runs }
    return node.copyElements()
  }
}

extension GPULowering {
  /// All operands of the node, as an elementwise kernel reads them.
  func elementwiseInputs() -> [ElementwiseKernel.Input] {
    inputs.indices.map { ElementwiseKernel.Input(argument: input($0), dtype: inputs[$0].dtype, shape: inputShapes[$0]) }
  }

  /// The result may overwrite an operand of its shape and stored size: each work-item reads its elements before it writes.
  func allowElementwiseInPlace() {
    for index in inputs.indices
    where inputShapes[index] == outputShapes[0] && storedBytes(inputs[index].dtype) == storedBytes(outputs[0].dtype) {
      allowInPlace(over: index)
    }
  }

  /// Operand 0 broadcast to the result's shape and converted to its dtype.
  package func copyElements() -> GPUSupport {
    ElementwiseKernel(
      shape: outputShapes[0], inputs: [.init(argument: input(0), dtype: inputs[0].dtype, shape: inputShapes[0])], steps: [],
      resultType: outputs[0].dtype
    ).append(to: self, output: output())
  }
}
