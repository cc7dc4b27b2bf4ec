import GraphModule
import TensorModule

extension Reshape: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport { node.sameElements() }
}

extension Noise: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport { node.sameElements() }
}

extension GPULowering {
  /// The result has the operand's elements, under another shape of equal count.
  package func sameElements() -> GPUSupport {
    if alias(of: 0) { return .runs }
    let kernel = ElementwiseKernel(
      shape: outputShapes[0], inputs: [.init(argument: input(0), dtype: inputs[0].dtype, shape: outputShapes[0])], steps: [],
      resultType: outputs[0].dtype)
    return kernel.append(to: self, output: output())
  }
}
