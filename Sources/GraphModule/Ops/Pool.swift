import TensorModule

/// The largest element or the mean of each window, channel by channel.
package struct Pool: OpDefinition {
  package static let name = "pool"
  package static let summary =
    "the maximum or average of each window of x [batch, spatial..., channels]; padding never wins a maximum and is left out of averages unless counts_padding"

  package enum Kind: String, Sendable, CaseIterable {
    case max, average
  }

  package var kind: Kind
  package var window: [Int]
  package var strides: [Int]
  package var dilations: [Int]
  package var padding: Padding
  /// Whether averages are over the whole window, padding (zeros) included.
  package var countsPadding: Bool

  package init(
    _ kind: Kind, window: [Int], strides: [Int], dilations: [Int]? = nil, padding: Padding = .valid,
    countsPadding: Bool = false
  ) {
    self.kind = kind
    self.window = window
    self.strides = strides
    self.dilations = dilations ?? window.map { _ in 1 }
    self.padding = padding
    self.countsPadding = countsPadding
  }

  package var attributes: Attributes {
    [
      ("kind", .word(kind.rawValue)), ("window", .ints(window)), ("strides", .ints(strides)),
      ("dilations", .ints(dilations)),
      ("padding", padding.attribute), ("counts_padding", .bool(countsPadding)),
    ]
  }

  package init(from reader: inout AttributeReader) throws {
    kind = try reader.choice("kind")
    window = try reader.ints("window")
    strides = try reader.ints("strides")
    dilations = try reader.ints("dilations")
    padding = try Padding(attribute: reader.value("padding"), op: Self.name)
    countsPadding = try reader.bool("counts_padding")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    let x = inputs[0]
    try Expect.rank(x, 3...5, Self.name, "the input")
    let rank = x.rank - 2
    switch kind {
    case .max: try Expect.number(x, Self.name, "the input")
    case .average: try Expect.float(x, Self.name, "the input")
    }
    try Window.check(window, rank: rank, Self.name, "window")
    try Window.check(strides, rank: rank, Self.name, "strides")
    try Window.check(dilations, rank: rank, Self.name, "dilations")
    try padding.check(rank: rank, Self.name)
    if case .explicit(let amounts) = padding {
      for (axis, amount) in amounts.enumerated() {
        let extent = (window[axis] - 1) * dilations[axis] + 1
        try Expect.that(
          amount.low < extent && amount.high < extent, Self.name, "padding must be smaller than the window (\(extent))")
      }
    }
    let spatial = (0..<rank).map {
      padding.outputLength(x.dims[$0 + 1], size: window[$0], stride: strides[$0], dilation: dilations[$0], axis: $0)
    }
    try Window.checkOutput(spatial, Self.name, x)
    return [TensorType(x.dtype, [x.dims[0]] + spatial + [x.dims[rank + 1]])]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let shape = try Expect.shape(outputs[0], Self.name)
    let x = inputs[0]
    let channels = shape[shape.count - 1]
    let low = window.indices.map {
      padding.amount(x.shape[$0 + 1], size: window[$0], stride: strides[$0], dilation: dilations[$0], axis: $0).low
    }
    let geometry = WindowGeometry(
      input: x.shape, output: shape, window: window, strides: strides, dilations: dilations, low: low)
    func maximum<Number: Comparable>(_ values: [Number], _ lowest: Number) -> [Number] {
      var results = [Number](repeating: lowest, count: shape.elementCount)
      geometry.forEach { pixel, source, _ in
        for channel in 0..<channels {
          let candidate = values[source * channels + channel]
          // Only NaN is unequal to itself.
          if candidate != candidate || candidate > results[pixel * channels + channel] {
            results[pixel * channels + channel] = candidate
          }
        }
      }
      return results
    }
    switch (kind, x.storage) {
    case (.max, .integers(let values)):
      return [ReferenceTensor(x.dtype, shape, .integers(maximum(values, x.dtype.integerRange?.lowerBound ?? 0)))]
    case (.max, _): return [ReferenceTensor(x.dtype, shape, .floats(maximum(x.numbers, -.infinity)))]
    case (.average, _):
      let values = x.numbers
      var results = [Double](repeating: 0, count: shape.elementCount)
      var counts = [Int](repeating: 0, count: shape.dropLast().reduce(1, *))
      geometry.forEach { pixel, source, _ in
        counts[pixel] += 1
        for channel in 0..<channels { results[pixel * channels + channel] += values[source * channels + channel] }
      }
      for index in results.indices {
        results[index] /= Double(countsPadding ? window.elementCount : Swift.max(counts[index / channels], 1))
      }
      return [ReferenceTensor(x.dtype, shape, .floats(results))]
    }
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int {
    (window.reduce(outputs[0].elementCount) { $0 * Dim($1) }).fixed ?? 0
  }

  package static var examples: [OpExample] {
    func f(_ dims: [Dim]) -> TensorType { TensorType(.float32, dims) }
    var list = Kind.allCases.flatMap { kind in
      [
        OpExample(Pool(kind, window: [2], strides: [2]), [f([2, 9, 3])]),
        OpExample(Pool(kind, window: [3], strides: [1], padding: .same), [f([1, 1, 5])]),
        OpExample(Pool(kind, window: [2, 2], strides: [2, 2]), [f([2, 7, 8, 17])]),
        OpExample(Pool(kind, window: [3, 2], strides: [2, 3], padding: .same), [f([1, 8, 7, 33])]),
        OpExample(
          Pool(kind, window: [3, 3], strides: [1, 1], dilations: [2, 1], padding: .same), [f([1, 6, 5, 2])]),
        OpExample(
          Pool(kind, window: [3, 3], strides: [2, 2], padding: .explicit([.init(1, 0), .init(2, 2)])),
          [f([2, 7, 9, 4])]),
        OpExample(Pool(kind, window: [2, 3, 2], strides: [1, 2, 2], padding: .same), [f([1, 3, 4, 5, 3])]),
        OpExample(Pool(kind, window: [5, 5], strides: [5, 5]), [f([1, 5, 5, 8])]),
        OpExample(Pool(kind, window: [2, 2], strides: [1, 1]), [f([0, 4, 4, 2])]),
        OpExample(Pool(kind, window: [2, 2], strides: [1, 1]), [f([2, 4, 4, 0])]),
      ]
    }
    list += [
      OpExample(
        Pool(.average, window: [3, 3], strides: [2, 1], padding: .same, countsPadding: true), [f([1, 6, 5, 4])]),
      OpExample(
        Pool(.average, window: [2], strides: [2], padding: .explicit([.init(1, 1)]), countsPadding: true),
        [f([2, 5, 3])]),
      OpExample(
        Pool(.max, window: [2, 2], strides: [2, 2], padding: .same), [TensorType(.int32, [1, 5, 5, 3])], range: -50...50
      ),
      OpExample(
        Pool(.max, window: [3], strides: [1], padding: .same), [TensorType(.uint8, [1, 5, 3])], range: 0...255),
      OpExample(Pool(.max, window: [2], strides: [1]), [f([1, 4, 1])], fixed: [0: [1, .nan, -.infinity, 2]]),
    ]
    return list
  }
}
