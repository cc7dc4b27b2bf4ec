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

extension BatchNorm {
  private struct FoldParameters {
    var channels: Int
    var epsilon: Double
  }

  /// Operands: gamma or none, beta or none, mean, variance, then scale and shift.
  private static let fold: kiln_kernel = { params, operands, _, _ in
    guard let params, let operands, let mean = operands[2], let variance = operands[3], let scale = operands[4], let shift = operands[5] else { return }
    let p = params.load(as: FoldParameters.self)
    let gamma = operands[0]?.assumingMemoryBound(to: Float.self)
    let beta = operands[1]?.assumingMemoryBound(to: Float.self)
    let (means, variances) = (mean.assumingMemoryBound(to: Float.self), variance.assumingMemoryBound(to: Float.self))
    let (scales, shifts) = (scale.assumingMemoryBound(to: Float.self), shift.assumingMemoryBound(to: Float.self))
    for channel in 0..<p.channels {
      let factor = Double(gamma?[channel] ?? 1) / (Double(variances[channel]) + p.epsilon).squareRoot()
      scales[channel] = Float(factor)
      shifts[channel] = Float(Double(beta?[channel] ?? 0) - Double(means[channel]) * factor)
    }
  }

  /// Statistics or weights that are found as the graph runs, as in training.
  fileprivate func lowerComputed(_ node: NodeLowering) throws -> Bool {
    let channels = node.inputShapes[operands.mean].elementCount
    let (scale, shift) = (node.temporary(byteCount: channels * 4), node.temporary(byteCount: channels * 4))
    if channels == 0 { return false }
    try node.step(
      Self.fold, "fold", copying: FoldParameters(channels: channels, epsilon: epsilon),
      [
        node.optionalInput(operands.gamma), node.optionalInput(operands.beta), node.input(operands.mean), node.input(operands.variance), scale,
        shift,
      ])
    var params = kiln_affine_params()
    params.rows = Int64(Array(node.inputShapes[0].dropLast()).elementCount)
    params.channels = Int64(channels)
    params.activation = Activation.identity.kernel
    node.allowInPlace(over: 0)
    try node.step(
      kiln_affine, "affine", copying: params, [node.input(0), scale, shift, node.output()], parts: kiln_affine_parts(&params, node.threads))
    return true
  }
}

extension BatchNorm: CPUBinding {
  package func lower(_ node: NodeLowering) throws -> Bool {
    guard node.isAll(.float32) else { return false }
    let gamma = operands.gamma.map { node.constant($0) }
    let beta = operands.beta.map { node.constant($0) }
    guard let mean = node.constant(operands.mean), let variance = node.constant(operands.variance), gamma != .some(nil), beta != .some(nil)
    else { return try lowerComputed(node) }
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
    node.because("constant statistics: one scale and shift a channel")
    node.allowInPlace(over: 0)
    try node.step(
      kiln_affine, "affine", copying: params,
      [node.input(0), try folded("batch_norm_scale", scales), try folded("batch_norm_shift", shifts), node.output()],
      parts: kiln_affine_parts(&params, node.threads))
    return true
  }
}
