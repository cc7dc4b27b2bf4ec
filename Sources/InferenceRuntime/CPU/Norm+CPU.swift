import CKernels
import GraphModule
import TensorModule

extension LayerNorm: CPUBinding {
  package func lower(_ node: NodeLowering) throws -> Bool {
    try node.normalise(
      axis: axis, epsilon: epsilon, rootMeanSquare: false, gamma: scale ? 1 : nil, beta: offset ? (scale ? 2 : 1) : nil)
  }
}

extension RMSNorm: CPUBinding {
  package func lower(_ node: NodeLowering) throws -> Bool {
    try node.normalise(axis: axis, epsilon: epsilon, rootMeanSquare: true, gamma: scale ? 1 : nil, beta: nil)
  }
}

extension NodeLowering {
  fileprivate func normalise(axis: Int, epsilon: Double, rootMeanSquare: Bool, gamma: Int?, beta: Int?) throws -> Bool {
    guard isAll(.float32), let axis = inputs[0].axis(axis) else { return false }
    let shape = inputShapes[0]
    var params = kiln_layer_norm_params()
    params.rows = Int64(Array(shape[..<axis]).elementCount)
    params.n = Int64(Array(shape[axis...]).elementCount)
    params.epsilon = Float(epsilon)
    params.root_mean_square = rootMeanSquare ? 1 : 0
    allowInPlace(over: 0)
    try step(
      kiln_layer_norm, rootMeanSquare ? "rms_norm" : "layer_norm", copying: params,
      [input(0), optionalInput(gamma), optionalInput(beta), output()], parts: kiln_layer_norm_parts(&params, threads))
    return true
  }
}

extension BatchNorm: CPUBinding {
  package func lower(_ node: NodeLowering) throws -> Bool {
    guard node.isAll(.float32), let mean = node.constant(operands.mean), let variance = node.constant(operands.variance)
    else { return false }
    let gamma = operands.gamma.map { node.constant($0) }
    let beta = operands.beta.map { node.constant($0) }
    if gamma == .some(nil) || beta == .some(nil) { return false }
    // y = x · s + (beta − mean · s) with s = gamma / √(variance + epsilon).
    let channels = mean.count
    let scales = zip(variance.doubles, gamma??.doubles ?? [Double](repeating: 1, count: channels))
      .map { $1 / ($0 + epsilon).squareRoot() }
    let shifts = zip(zip(mean.doubles, scales), beta??.doubles ?? [Double](repeating: 0, count: channels))
      .map { $1 - $0.0 * $0.1 }
    func folded(_ layout: String, _ values: [Double]) throws -> StepOperand {
      let bits = Int(truncatingIfNeeded: epsilon.bitPattern)
      return try node.packed(
        variance, layout: layout, key: [bits] + [gamma ?? nil, beta ?? nil, mean].map { $0.map { Int(bitPattern: $0.address) } ?? 0 },
        byteCount: channels * 4
      ) { out in
        for (index, value) in values.enumerated() { out.storeBytes(of: Float(value), toByteOffset: index * 4, as: Float.self) }
      }
    }
    var params = kiln_affine_params()
    params.rows = Int64(Array(node.inputShapes[0].dropLast()).elementCount)
    params.channels = Int64(channels)
    params.activation = Activation.identity.kernel
    node.allowInPlace(over: 0)
    try node.step(
      kiln_affine, "affine", copying: params,
      [node.input(0), try folded("batch_norm_scale", scales), try folded("batch_norm_shift", shifts), node.output()],
      parts: kiln_affine_parts(&params, node.threads))
    return true
  }
}
