import TensorModule

/// N-dimensional convolution (cross-correlation, as in Keras) over channels-last tensors.
package struct Conv: OpDefinition {
  package static let name = "conv"
  package static let summary =
    "activation(x * w + bias + residual): x [batch, spatial..., in], w [spatial..., in / groups, out], bias [out], residual and result [batch, spatial..., out]"

  package var strides: [Int]
  package var dilations: [Int]
  package var padding: Padding
  /// Output channel o belongs to group o / (out / groups). Depthwise: groups = in.
  package var groups: Int
  package var epilogue: Epilogue

  package init(
    strides: [Int], dilations: [Int]? = nil, padding: Padding = .valid, groups: Int = 1, epilogue: Epilogue = .none
  ) {
    self.strides = strides
    self.dilations = dilations ?? strides.map { _ in 1 }
    self.padding = padding
    self.groups = groups
    self.epilogue = epilogue
  }

  package var attributes: Attributes {
    [
      ("strides", .ints(strides)), ("dilations", .ints(dilations)), ("padding", padding.attribute),
      ("groups", .int(groups)),
    ] + epilogue.attributes
  }

  package init(from reader: inout AttributeReader) throws {
    strides = try reader.ints("strides")
    dilations = try reader.ints("dilations")
    padding = try Padding(attribute: reader.value("padding"), op: Self.name)
    groups = try reader.int("groups")
    epilogue = try Epilogue(from: &reader, op: Self.name)
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 2...4, Self.name)
    let (x, w) = (inputs[0], inputs[1])
    try Expect.rank(x, 3...5, Self.name, "the input")
    let rank = x.rank - 2
    try Expect.rank(w, x.rank...x.rank, Self.name, "the kernel")
    try Expect.float(x, Self.name, "the input")
    try Expect.that(
      x.dtype == w.dtype, Self.name, "input and kernel must have one dtype, found \(x.message) and \(w.message)")
    try Window.check(strides, rank: rank, Self.name, "strides")
    try Window.check(dilations, rank: rank, Self.name, "dilations")
    try padding.check(rank: rank, Self.name)
    guard let kernel = w.shape, let channels = x.dims.last, kernel.allSatisfy({ (1...Window.limit).contains($0) })
    else {
      throw KilnError(.badInput, "op 'conv': the kernel must have fixed dims of 1 or more, found \(w.message)")
    }
    let (inner, out) = (kernel[rank], kernel[rank + 1])
    try Expect.that(
      groups >= 1 && out % max(groups, 1) == 0, Self.name, "\(out) output channels do not split in \(groups) groups")
    try Expect.equal(
      channels, Dim(inner) * Dim(groups), Self.name,
      "the channels of \(x.message) and those of the kernel \(w.message) in \(groups) groups")
    let spatial = (0..<rank).map {
      padding.outputLength(x.dims[$0 + 1], size: kernel[$0], stride: strides[$0], dilation: dilations[$0], axis: $0)
    }
    try Window.checkOutput(spatial, Self.name, x)
    let result = TensorType(x.dtype, [x.dims[0]] + spatial + [Dim(out)])
    try epilogue.check(inputs, result, Self.name)
    return [result]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    guard let shape = outputs[0].shape else { throw KilnError(.internal, "conv without a shape") }
    let (inputShape, kernelShape) = (inputs[0].shape, inputs[1].shape)
    let rank = shape.count - 2
    let (inner, out) = (kernelShape[rank], kernelShape[rank + 1])
    let (channels, groupOut) = (inner * groups, out / groups)
    let window = Array(kernelShape.prefix(rank))
    let low = (0..<rank).map {
      padding.amount(inputShape[$0 + 1], size: window[$0], stride: strides[$0], dilation: dilations[$0], axis: $0).low
    }
    let geometry = WindowGeometry(
      input: inputShape, output: shape, window: window, strides: strides, dilations: dilations, low: low)
    var values = [Double](repeating: 0, count: shape.elementCount)
    inputs[0].numbers.withUnsafeBufferPointer { x in
      inputs[1].numbers.withUnsafeBufferPointer { w in
        values.withUnsafeMutableBufferPointer { y in
          geometry.forEach { pixel, source, tap in
            for channel in 0..<channels {
              let factor = x[source * channels + channel]
              let first = channel / inner * groupOut
              let weights = (tap * inner + channel % inner) * out + first
              for index in 0..<groupOut { y[pixel * out + first + index] += factor * w[weights + index] }
            }
          }
        }
      }
    }
    return [ReferenceTensor(outputs[0].dtype, shape, .floats(epilogue.apply(values, channels: out, inputs)))]
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int {
    let taps = inputs[1].dims.dropLast().reduce(1, *)
    return (outputs[0].elementCount * taps * 2).fixed ?? 0
  }

  package static var examples: [OpExample] {
    func f(_ dims: [Dim]) -> TensorType { TensorType(.float32, dims) }
    let fused = Epilogue(bias: true, residual: true, activation: Activation(.relu))
    return [
      OpExample(Conv(strides: [1]), [f([2, 9, 3]), f([3, 3, 5])]),
      OpExample(
        Conv(strides: [2, 1], dilations: [1, 2], padding: .same, groups: 2, epilogue: fused),
        [[2, 5, 6, 4], [3, 3, 2, 6], [6], [2, 3, 6, 6]].map { TensorType(.float64, shape: $0) }),
      OpExample(Conv(strides: [1], padding: .same), [TensorType(.float16, [1, 5, 2]), TensorType(.float16, [3, 2, 3])]),
      OpExample(Conv(strides: [2], padding: .same), [f([1, 10, 4]), f([4, 4, 17])]),
      OpExample(
        Conv(strides: [1], dilations: [3], padding: .explicit([.init(6, 0)])), [f([2, 11, 2]), f([3, 2, 8])]),
      OpExample(Conv(strides: [1, 1]), [f([1, 1, 1, 1]), f([1, 1, 1, 1])]),
      OpExample(Conv(strides: [1, 1], padding: .same), [f([2, 7, 9, 3]), f([3, 3, 3, 49])]),
      OpExample(Conv(strides: [1, 1], padding: .same), [f([1, 13, 14, 16]), f([3, 3, 16, 33])]),
      OpExample(Conv(strides: [2, 2], padding: .same), [f([1, 8, 7, 5]), f([2, 3, 5, 6])]),
      OpExample(
        Conv(strides: [3, 1], padding: .explicit([.init(0, 2), .init(1, 1)])), [f([1, 8, 7, 5]), f([5, 3, 5, 6])]),
      OpExample(Conv(strides: [1, 1], dilations: [2, 3], padding: .same), [f([1, 9, 12, 3]), f([3, 3, 3, 4])]),
      OpExample(Conv(strides: [1, 1], padding: .same, groups: 2), [f([2, 5, 6, 6]), f([3, 3, 3, 8])]),
      OpExample(Conv(strides: [1, 1], padding: .same, groups: 6), [f([2, 5, 6, 6]), f([3, 3, 1, 6])]),
      OpExample(Conv(strides: [2, 2], padding: .same, groups: 5), [f([1, 7, 7, 5]), f([5, 5, 1, 15])]),
      OpExample(Conv(strides: [1, 1]), [f([0, 5, 5, 2]), f([2, 2, 2, 3])]),
      OpExample(
        Conv(strides: [1, 1], epilogue: fused), [f([2, 6, 5, 7]), f([1, 1, 7, 50]), f([50]), f([2, 6, 5, 50])]),
      OpExample(
        Conv(strides: [1, 1], padding: .same, epilogue: Epilogue(bias: true, activation: Activation(.silu))),
        [f([1, 6, 5, 4]), f([3, 3, 4, 9]), f([9])]),
      OpExample(Conv(strides: [1, 2, 1], padding: .same), [f([1, 4, 5, 6, 3]), f([2, 3, 3, 3, 4])]),
    ]
  }
}
