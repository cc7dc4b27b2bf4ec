import TensorModule

/// The derivative of a convolution by its kernel.
package struct ConvKernelGradient: OpDefinition {
  package static let name = "conv_kernel_gradient"
  package static let summary =
    "the cotangent of a convolution's kernel [window..., in / groups, out]: operands its input x [batch, spatial..., in] and its result's cotangent [batch, spatial..., out]; `low` is the padding before each spatial axis"

  package var window: [Int]
  package var strides: [Int]
  package var dilations: [Int]
  /// The padding before each spatial axis.
  package var low: [Int]
  package var groups: Int

  package init(window: [Int], strides: [Int], dilations: [Int]? = nil, low: [Int]? = nil, groups: Int = 1) {
    self.window = window
    self.strides = strides
    self.dilations = dilations ?? window.map { _ in 1 }
    self.low = low ?? window.map { _ in 0 }
    self.groups = groups
  }

  package var attributes: Attributes {
    [
      ("window", .ints(window)), ("strides", .ints(strides)), ("dilations", .ints(dilations)), ("low", .ints(low)),
      ("groups", .int(groups)),
    ]
  }

  package init(from reader: inout AttributeReader) throws {
    window = try reader.ints("window")
    strides = try reader.ints("strides")
    dilations = try reader.ints("dilations")
    low = try reader.ints("low")
    groups = try reader.int("groups")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 2...2, Self.name)
    let (x, dy) = (inputs[0], inputs[1])
    try Expect.rank(x, 3...5, Self.name, "the input")
    try Expect.rank(dy, x.rank...x.rank, Self.name, "the cotangent")
    try Expect.float(x, Self.name, "the input")
    try Expect.that(
      x.dtype == dy.dtype, Self.name, "input and cotangent must have one dtype, found \(x.message) and \(dy.message)")
    let rank = x.rank - 2
    try Window.check(window, rank: rank, Self.name, "window")
    try Window.check(strides, rank: rank, Self.name, "strides")
    try Window.check(dilations, rank: rank, Self.name, "dilations")
    try Expect.that(
      low.count == rank && low.allSatisfy { (0...Window.limit).contains($0) }, Self.name, "low must be \(rank) numbers from 0")
    try Expect.equal(x.dims[0], dy.dims[0], Self.name, "the batches of \(x.message) and \(dy.message)")
    guard let channels = x.dims[rank + 1].fixed, let out = dy.dims[rank + 1].fixed, groups >= 1, channels % groups == 0,
      out % groups == 0
    else {
      throw KilnError(
        .badInput, "op '\(Self.name)': the channels of \(x.message) and \(dy.message) do not split in \(groups) groups")
    }
    return [TensorType(x.dtype, window.map { Dim($0) } + [Dim(channels / groups), Dim(out)])]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let shape = try Expect.shape(outputs[0], Self.name)
    let (input, cotangent) = (inputs[0].shape, inputs[1].shape)
    let (channels, out) = (input[input.count - 1], cotangent[cotangent.count - 1])
    let (inner, groupOut) = (channels / groups, out / groups)
    let geometry = WindowGeometry(
      input: input, output: cotangent, window: window, strides: strides, dilations: dilations, low: low)
    var values = [Double](repeating: 0, count: shape.elementCount)
    inputs[0].numbers.withUnsafeBufferPointer { x in
      inputs[1].numbers.withUnsafeBufferPointer { dy in
        values.withUnsafeMutableBufferPointer { dw in
          geometry.forEach { pixel, source, tap in
            for channel in 0..<channels {
              let factor = x[source * channels + channel]
              let first = channel / max(inner, 1) * groupOut
              let row = (tap * inner + channel % max(inner, 1)) * out + first
              for index in 0..<groupOut { dw[row + index] += factor * dy[pixel * out + first + index] }
            }
          }
        }
      }
    }
    return [ReferenceTensor(outputs[0].dtype, shape, .floats(values))]
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int {
    let taps = outputs[0].dims.dropLast().reduce(1, *)
    return (inputs[1].elementCount * taps * 2).fixed ?? 0
  }

  package static var examples: [OpExample] {
    func f(_ dims: [Dim]) -> TensorType { TensorType(.float32, dims) }
    return [
      OpExample(ConvKernelGradient(window: [3], strides: [1]), [f([2, 9, 3]), f([2, 7, 5])]),
      OpExample(ConvKernelGradient(window: [4], strides: [2], low: [1]), [f([1, 10, 4]), f([1, 5, 17])]),
      OpExample(ConvKernelGradient(window: [1, 1], strides: [1, 1]), [f([1, 1, 1, 1]), f([1, 1, 1, 1])]),
      OpExample(ConvKernelGradient(window: [3, 3], strides: [1, 1], low: [1, 1]), [f([2, 7, 9, 3]), f([2, 7, 9, 33])]),
      OpExample(ConvKernelGradient(window: [3, 3], strides: [1, 1]), [f([3, 13, 14, 16]), f([3, 11, 12, 8])]),
      OpExample(ConvKernelGradient(window: [2, 3], strides: [2, 2], low: [0, 1]), [f([1, 8, 7, 5]), f([1, 4, 4, 6])]),
      OpExample(
        ConvKernelGradient(window: [3, 3], strides: [1, 1], dilations: [2, 3], low: [2, 3]), [f([1, 9, 12, 3]), f([1, 9, 12, 4])]),
      OpExample(ConvKernelGradient(window: [3, 3], strides: [1, 1], low: [1, 1], groups: 2), [f([2, 5, 6, 6]), f([2, 5, 6, 8])]),
      OpExample(ConvKernelGradient(window: [3, 3], strides: [1, 1], low: [1, 1], groups: 6), [f([2, 5, 6, 6]), f([2, 5, 6, 6])]),
      OpExample(ConvKernelGradient(window: [3, 3], strides: [2, 2], groups: 5), [f([1, 7, 7, 5]), f([1, 3, 3, 15])]),
      OpExample(ConvKernelGradient(window: [2, 2], strides: [1, 1]), [f([0, 5, 5, 2]), f([0, 4, 4, 3])]),
      OpExample(ConvKernelGradient(window: [2, 3, 3], strides: [1, 2, 1], low: [0, 1, 1]), [f([1, 4, 5, 6, 3]), f([1, 3, 3, 6, 4])]),
    ]
  }
}
