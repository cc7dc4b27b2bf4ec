import CKernels
import GraphModule
import TensorModule

extension Softmax: CPUBinding {
  package func lower(_ node: NodeLowering) throws -> Bool {
    guard node.isAll(.float32), let axis = node.inputs[0].axis(axis) else { return false }
    let split = Axes.split(node.inputShapes[0], at: axis)
    var params = kiln_softmax_params()
    (params.outer, params.axis, params.inner) = (Int64(split.outer), Int64(split.length), Int64(split.inner))
    params.logarithm = log ? 1 : 0
    node.allowInPlace(over: 0)
    try node.step(
      kiln_softmax, log ? "log_softmax" : "softmax", copying: params, [node.input(0), node.output()],
      parts: kiln_softmax_parts(&params, node.threads))
    return true
  }
}
