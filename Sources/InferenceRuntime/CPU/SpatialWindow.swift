import CKernels
import GraphModule
import TensorModule

/// The numbers of a window op over one or two spatial axes, as the kernels take them: one axis is a height of 1.
struct SpatialWindow {
  typealias Pair = (Int32, Int32)

  var batch: Int32
  var input: Pair
  var output: Pair
  var kernel: Pair
  var strides: Pair
  var dilations: Pair
  /// Padding before the first element.
  var low: Pair
  var channels: Int32
  var outputChannels: Int32

  /// Nil for more than two spatial axes, or sizes beyond 32 bits.
  init?(
    input: Shape, output: Shape, kernel: [Int], strides: [Int], dilations: [Int], padding: Padding
  ) {
    let rank = kernel.count
    guard (1...2).contains(rank), input.count == rank + 2, output.count == rank + 2 else { return nil }
    let amounts = (0..<rank).map {
      padding.amount(input[$0 + 1], size: kernel[$0], stride: strides[$0], dilation: dilations[$0], axis: $0).low
    }
    self.init(
      input: input, output: output, kernel: kernel, strides: strides, dilations: dilations, low: amounts)
  }

  /// The same with the padding before each spatial axis given.
  init?(input: Shape, output: Shape, kernel: [Int], strides: [Int], dilations: [Int], low: [Int]) {
    let rank = kernel.count
    guard (1...2).contains(rank), input.count == rank + 2, output.count == rank + 2,
      (input + output + kernel + strides + dilations + low).allSatisfy({ $0.magnitude <= Int32.max })
    else { return nil }
    func pair(_ values: [Int], _ one: Int32) -> Pair {
      values.count == 1 ? (one, Int32(values[0])) : (Int32(values[0]), Int32(values[1]))
    }
    batch = Int32(input[0])
    self.input = pair(Array(input[1...rank]), 1)
    self.output = pair(Array(output[1...rank]), 1)
    self.kernel = pair(kernel, 1)
    self.strides = pair(strides, 1)
    self.dilations = pair(dilations, 1)
    self.low = pair(low, 0)
    channels = Int32(input[rank + 1])
    outputChannels = Int32(output[rank + 1])
  }
}

extension kiln_conv_params {
  init(_ window: SpatialWindow, groups: Int, activation: Activation) {
    self.init()
    batch = window.batch
    (in_h, in_w) = window.input
    in_c = window.channels
    (out_h, out_w) = window.output
    out_c = window.outputChannels
    (kernel_h, kernel_w) = window.kernel
    (stride_h, stride_w) = window.strides
    (dilation_h, dilation_w) = window.dilations
    (pad_top, pad_left) = window.low
    self.groups = Int32(groups)
    self.activation = activation.kernel
  }
}
