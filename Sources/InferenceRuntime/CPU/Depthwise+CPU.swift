import CKernels
import GraphModule
import TensorModule

extension Conv {
  func lowerDepthwise(_ node: NodeLowering, _ window: kiln_depthwise_params) throws -> Bool {
    var params = window
    node.because("one input channel a group: a vector of channels along a row")
    let parts = kiln_depthwise_parts(&params, node.threads)
    try node.step(
      kiln_depthwise_f32, "depthwise", copying: params, [node.input(0), node.input(1)] + node.epilogueOperands(epilogue),
      parts: parts)
    return true
  }
}

extension kiln_depthwise_params {
  init(_ window: SpatialWindow, _ activation: Activation) {
    self.init()
    batch = window.batch
    (in_h, in_w) = window.input
    channels = window.channels
    multiplier = window.outputChannels / max(1, window.channels)
    (out_h, out_w) = window.output
    (kernel_h, kernel_w) = window.kernel
    (stride_h, stride_w) = window.strides
    (dilation_h, dilation_w) = window.dilations
    (pad_top, pad_left) = window.low
    self.activation = activation.kernel
  }
}
