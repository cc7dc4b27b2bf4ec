import TensorModule

/// Transposed convolution over channels-last tensors: the gradient of `Conv`, aligned as TensorFlow's `conv2d_transpose`.
package struct ConvTranspose: OpDefinition {
  package static let name = "conv_transpose"
  package static let summary =
    "activation(transposed convolution of x with w + bias + residual): x [batch, spatial..., in], w [spatial..., out / groups, in], bias [out], residual and result [batch, spatial..., out]"

  package var strides: [Int]
  package var dilations: [Int]
  /// `explicit`: the amounts cut off each end of the full result.
  package var padding: Padding
  /// Keras's `output_padding`: with it, or with explicit padding, lengths count from the full result.
  package var outputPadding: [Int]?
  /// Input channel i belongs to group i / (in / groups).
  package var groups: Int
  package var epilogue: Epilogue

  package init(
    strides: [Int], dilations: [Int]? = nil, padding: Padding = .valid, outputPadding: [Int]? = nil, groups: Int = 1,
    epilogue: Epilogue = .none
  ) {
    self.strides = strides
    self.dilations = dilations ?? strides.map { _ in 1 }
    self.padding = padding
    self.outputPadding = outputPadding
    self.groups = groups
    self.epilogue = epilogue
  }

  package var attributes: Attributes {
    [("strides", .ints(strides)), ("dilations", .ints(dilations)), ("padding", padding.attribute)]
      + (outputPadding.map { [("output_padding", .ints($0))] } ?? []) + [("groups", .int(groups))] + epilogue.attributes
  }

  package init(from reader: inout AttributeReader) throws {
    strides = try reader.ints("strides")
    dilations = try reader.ints("dilations")
    padding = try Padding(attribute: reader.value("padding"), op: Self.name)
    outputPadding = try reader.optional("output_padding").map {
      guard case .list(let items) = $0 else {
        throw KilnError(.badInput, "op 'conv_transpose': output_padding must be a list")
      }
      return try items.map {
        guard case .int(let value) = $0 else {
          throw KilnError(.badInput, "op 'conv_transpose': output_padding must be a list of integers")
        }
        return value
      }
    }
    groups = try reader.int("groups")
    epilogue = try Epilogue(from: &reader, op: Self.name)
  }

  /// The result's length along a spatial axis, as Keras's `deconv_output_length`.
  package func outputLength(_ length: Dim, size: Int, axis: Int) -> Dim {
    let stride = strides[axis]
    let extent = (size - 1) * dilations[axis] + 1
    let full = (length - 1) * Dim(stride) + Dim(extent) + Dim(outputPadding?[axis] ?? 0)
    switch padding {
    case .explicit(let amounts): return full - Dim(amounts[axis].low) - Dim(amounts[axis].high)
    case .valid: return outputPadding != nil ? full : length * Dim(stride) + Dim(max(extent - stride, 0))
    case .same: return outputPadding != nil ? full - Dim(2 * (extent / 2)) : length * Dim(stride)
    }
  }

  /// How many positions are cut off the front of the full result along a spatial axis.
  package func cut(_ length: Int, output: Int, size: Int, axis: Int) -> Int {
    switch padding {
    case .valid: return 0
    case .explicit(let amounts): return amounts[axis].low
    case .same: return max((length - 1) * strides[axis] + (size - 1) * dilations[axis] + 1 - output, 0) / 2
    }
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
    if let outputPadding {
      try Expect.that(
        outputPadding.count == rank && outputPadding.allSatisfy { (0...Window.limit).contains($0) }, Self.name,
        "output_padding must be \(rank) numbers from 0, found \(outputPadding.shapeText)")
    }
    guard let kernel = w.shape, kernel.allSatisfy({ (1...Window.limit).contains($0) }) else {
      throw KilnError(
        .badInput, "op 'conv_transpose': the kernel must have fixed dims of 1 or more, found \(w.message)")
    }
    let inner = kernel[rank + 1]
    try Expect.that(
      groups >= 1 && inner % max(groups, 1) == 0, Self.name, "\(inner) input channels do not split in \(groups) groups")
    try Expect.equal(
      x.dims[rank + 1], Dim(inner), Self.name, "the channels of \(x.message) and those of the kernel \(w.message)")
    let spatial = (0..<rank).map { outputLength(x.dims[$0 + 1], size: kernel[$0], axis: $0) }
    try Window.checkOutput(spatial, Self.name, x)
    let result = TensorType(x.dtype, [x.dims[0]] + spatial + [Dim(kernel[rank]) * Dim(groups)])
    try epilogue.check(inputs, result, Self.name)
    return [result]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let shape = try Expect.shape(outputs[0], Self.name)
    let (from, kernel) = (inputs[0].shape, inputs[1].shape)
    let rank = shape.count - 2
    let (channels, out) = (from[rank + 1], shape[rank + 1])
    let (groupIn, groupOut) = (channels / groups, out / groups)
    let window = Array(kernel.prefix(rank))
    let low = (0..<rank).map { cut(from[$0 + 1], output: shape[$0 + 1], size: window[$0], axis: $0) }
    // The forward convolution takes the result to x: windows lie over the result.
    let geometry = WindowGeometry(
      input: shape, output: from, window: window, strides: strides, dilations: dilations, low: low)
    var values = [Double](repeating: 0, count: shape.elementCount)
    inputs[0].numbers.withUnsafeBufferPointer { x in
      inputs[1].numbers.withUnsafeBufferPointer { w in
        values.withUnsafeMutableBufferPointer { y in
          geometry.forEach { source, target, tap in
            for channel in 0..<out {
              let first = channel / groupOut * groupIn
              let weights = (tap * groupOut + channel % groupOut) * channels + first
              var sum = 0.0
              for index in 0..<groupIn { sum += x[source * channels + first + index] * w[weights + index] }
              y[target * out + channel] += sum
            }
          }
        }
      }
    }
    return [ReferenceTensor(outputs[0].dtype, shape, .floats(epilogue.apply(values, channels: out, inputs)))]
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int {
    let taps = inputs[1].dims.dropLast().reduce(1, *)
    return (inputs[0].elementCount * taps * 2).fixed ?? 0
  }

  package static var examples: [OpExample] {
    func f(_ dims: [Dim]) -> TensorType { TensorType(.float32, dims) }
    let fused = Epilogue(bias: true, residual: true, activation: Activation(.relu))
    return [
      OpExample(ConvTranspose(strides: [2]), [f([2, 5, 3]), f([3, 4, 3])]),
      OpExample(
        ConvTranspose(strides: [2, 1], padding: .explicit([.init(1, 1), .init(0, 2)]), outputPadding: [1, 0], groups: 2, epilogue: Epilogue(bias: true)),
        [[1, 3, 4, 4], [3, 3, 3, 4], [6]].map { TensorType(.float64, shape: $0) }),
      OpExample(ConvTranspose(strides: [3], padding: .same), [f([1, 4, 2]), f([2, 17, 2])]),
      OpExample(ConvTranspose(strides: [2], padding: .same, outputPadding: [1]), [f([1, 5, 3]), f([3, 4, 3])]),
      OpExample(ConvTranspose(strides: [1], dilations: [2], padding: .valid), [f([1, 5, 3]), f([3, 2, 3])]),
      OpExample(ConvTranspose(strides: [1, 1]), [f([1, 1, 1, 1]), f([1, 1, 1, 1])]),
      OpExample(ConvTranspose(strides: [2, 2], padding: .same), [f([2, 4, 5, 3]), f([3, 3, 7, 3])]),
      OpExample(ConvTranspose(strides: [2, 3], padding: .valid), [f([1, 4, 3, 8]), f([2, 5, 33, 8])]),
      OpExample(
        ConvTranspose(strides: [2, 2], padding: .valid, outputPadding: [1, 0]), [f([1, 3, 4, 2]), f([3, 2, 5, 2])]),
      OpExample(
        ConvTranspose(strides: [2, 1], padding: .explicit([.init(1, 0), .init(1, 1)])),
        [f([1, 4, 5, 3]), f([3, 3, 4, 3])]),
      OpExample(
        ConvTranspose(
          strides: [2, 2], padding: .explicit([.init(1, 1), .init(0, 2)]), outputPadding: [1, 1], groups: 2),
        [f([1, 3, 4, 4]), f([3, 3, 3, 4])]),
      OpExample(ConvTranspose(strides: [3, 3], padding: .valid), [f([1, 3, 2, 2]), f([2, 1, 3, 2])]),
      OpExample(ConvTranspose(strides: [2, 2], padding: .same), [f([0, 4, 5, 3]), f([3, 3, 2, 3])]),
      OpExample(
        ConvTranspose(strides: [2, 2], padding: .same, epilogue: fused),
        [f([1, 3, 4, 5]), f([2, 2, 9, 5]), f([9]), f([1, 6, 8, 9])]),
      OpExample(ConvTranspose(strides: [1, 2, 1], padding: .same), [f([1, 3, 2, 4, 2]), f([2, 3, 3, 3, 2])]),
    ]
  }
}
