import CKernels
import GraphModule
import TensorModule

extension ArgReduce: CPUBinding {
  package func lower(_ node: NodeLowering) throws -> Bool {
    guard let axis = node.inputs[0].axis(axis) else { return false }
    let split = Axes.split(node.inputShapes[0], at: axis)
    var params = kiln_arg_params()
    (params.outer, params.axis, params.inner) = (Int64(split.outer), Int64(split.length), Int64(split.inner))
    params.smallest = kind == .min ? 1 : 0
    params.dtype = Int32(node.inputs[0].dtype.rawValue)
    params.index_dtype = Int32(node.outputs[0].dtype.rawValue)
    try node.step(
      kiln_arg, "arg_\(kind.rawValue)", copying: params, [node.input(0), node.output()],
      parts: kiln_arg_parts(&params, node.threads))
    return true
  }
}

extension Cumulative: CPUBinding {
  package func lower(_ node: NodeLowering) throws -> Bool {
    let dtype = node.inputs[0].dtype
    guard kind != .logSumExp, [.float32, .float64, .int32, .int64].contains(dtype), let axis = node.inputs[0].axis(axis) else {
      return false
    }
    let split = Axes.split(node.inputShapes[0], at: axis)
    var params = kiln_cumulative_params()
    (params.outer, params.axis, params.inner) = (Int64(split.outer), Int64(split.length), Int64(split.inner))
    params.product = kind == .prod ? 1 : 0
    params.exclusive = exclusive ? 1 : 0
    params.reverse = reverse ? 1 : 0
    params.dtype = Int32(dtype.rawValue)
    node.allowInPlace(over: 0)
    try node.step(
      kiln_cumulative, "cumulative", copying: params, [node.input(0), node.output()],
      parts: kiln_cumulative_parts(&params, node.threads))
    return true
  }
}

extension TopK: CPUBinding {
  package func lower(_ node: NodeLowering) throws -> Bool {
    let dtype = node.inputs[0].dtype
    guard [.float32, .float64, .int32, .int64].contains(dtype), let length = node.inputShapes[0].last else { return false }
    var params = kiln_top_k_params()
    params.rows = Int64(Array(node.inputShapes[0].dropLast()).elementCount)
    params.n = Int64(length)
    params.k = Int64(k)
    params.dtype = Int32(dtype.rawValue)
    params.index_dtype = Int32(node.outputs[1].dtype.rawValue)
    try node.step(
      kiln_top_k, "top_k", copying: params, [node.input(0), node.output(0), node.output(1)],
      parts: kiln_top_k_parts(&params, node.threads))
    return true
  }
}
