import GraphModule
import TensorModule

extension CNTKOpCatalog {
  static let windows = Family(
    "Convolutions and pools",
    [
      Row("Convolution") { try [$0.convolved()] },
      Row("ConvolutionSequenceShape") { try [$0.convolvedLengths()] },
      Row("Pooling") { try [$0.pooled()] },
      Row("Unpooling") { try [$0.unpooled()] },
      Row("ROIPooling") { try [CNTKRegions($0).build()] },
    ])
}

/// Window, strides and padding of the axes of a shape, in NumPy's order.
///
/// CNTK puts the middle of a kernel on an element: with automatic padding, n elements give ⌊(n - 1) / stride⌋ + 1 windows, and what is
/// left over is shared by both ends, the smaller half in front.
struct CNTKWindow {
  struct Axis {
    var size: Int
    var stride: Int
    var dilation: Int
    var isAutomatic: Bool
    var low: Int
    var high: Int

    var extent: Int { (size - 1) * dilation + 1 }
  }

  var axes: [Axis]
  var roundsUp: Bool

  /// - Parameters:
  ///   - sizes: of the window, in the file's order; missing ones are 1.
  ///   - rank: of the shape.
  init(_ call: CNTKCall, sizes: [Int], rank: Int) throws {
    func numbers(_ key: String, _ fallback: Int) throws -> [Int] {
      let values = try call.shape(key, [fallback])
      // One number is for all axes; fewer than all leave the others as they are.
      if values.count == 1 { return [Int](repeating: values[0], count: rank) }
      guard values.count <= rank else { throw call.wrong("'\(key)' has \(values.count) numbers for \(rank) axes") }
      return values + [Int](repeating: fallback, count: rank - values.count)
    }
    let flags = try call.flags("autoPadding", [false])
    guard flags.count <= rank || flags.count == 1 else { throw call.wrong("'autoPadding' has \(flags.count) flags for \(rank) axes") }
    let automatic = flags.count == 1 ? [Bool](repeating: flags[0], count: rank) : flags + [Bool](repeating: false, count: rank - flags.count)
    guard sizes.count <= rank else { throw call.wrong("a window of \(sizes.count) axes over \(rank)") }
    let sizes = sizes + [Int](repeating: 1, count: rank - sizes.count)
    let strides = try numbers("strides", 1), dilations = try numbers("dilation", 1), low = try numbers("lowerPad", 0), high = try numbers("upperPad", 0)
    guard (sizes + strides + dilations).allSatisfy({ (1...1 << 20).contains($0) }), (low + high).allSatisfy({ (0...1 << 20).contains($0) }) else {
      throw call.wrong("its window \(sizes), strides \(strides), dilation \(dilations) or padding \(low) \(high) are out of range")
    }
    axes = (0..<rank).reversed().map {
      Axis(size: sizes[$0], stride: strides[$0], dilation: dilations[$0], isAutomatic: automatic[$0], low: low[$0], high: high[$0])
    }
    roundsUp = try call.bool("ceilOutDim", false)
  }

  /// How much goes before and behind an axis of the given length; negative numbers cut off.
  func padding(_ index: Int, _ length: Dim, _ call: CNTKCall) throws -> (low: Int, high: Int) {
    let axis = axes[index]
    if axis.stride == 1, axis.isAutomatic { return ((axis.extent - 1) / 2, axis.extent - 1 - (axis.extent - 1) / 2) }
    if !axis.isAutomatic, !roundsUp { return (axis.low, axis.high) }
    guard let length = length.fixed else {
      throw KilnError(.unsupportedModel, "the length of axis \(index) must be known for its padding", hint: "give the inputs' shapes with --input-shape")
    }
    let span = axis.isAutomatic ? length - 1 : length + axis.low + axis.high - axis.extent
    guard span >= 0 else { throw call.wrong("a window of \(axis.extent) over an axis of \(length)") }
    let count = (roundsUp ? (span + axis.stride - 1) / axis.stride : span / axis.stride) + 1
    let cells = (count - 1) * axis.stride + 1
    let low = axis.isAutomatic ? (axis.extent - 1) / 2 - (length - cells) / 2 : axis.low
    return (low, (count - 1) * axis.stride + axis.extent - length - low)
  }
}

extension CNTKCall {
  /// A value as [samples, shape...], the dynamic axes as one.
  func flattened(_ value: CNTKValue) throws -> ValueID {
    let id = try builder.id(value.value)
    let dims = type(id).dims
    if value.axes.count == 1 { return id }
    return try reshape(id, [dims.prefix(value.axes.count).reduce(Dim(1)) { $0 * $1 }] + value.shape)
  }

  /// The dynamic axes of `value` in front of what `flattened` left of it.
  func unflattened(_ id: ValueID, _ value: CNTKValue) throws -> CNTKValue {
    let dims = type(id).dims
    return result(try reshape(id, Array(value.value.type.dims.prefix(value.axes.count)) + Array(dims.dropFirst())), value.axes)
  }

  /// The value [samples, channels, spatial...] with its channels last while `work` is done.
  func channelsLast(_ id: ValueID, _ work: (ValueID) throws -> ValueID) throws -> ValueID {
    let rank = type(id).rank
    let last = try transpose(id, [0] + Array(2..<rank) + [1])
    return try transpose(try work(last), [0, rank - 1] + Array(1..<rank - 1))
  }

  /// Cuts what negative padding says off spatial axes [samples, spatial..., channels].
  private func trimmed(_ id: ValueID, _ low: [Int]) throws -> ValueID {
    var id = id
    for (index, amount) in low.enumerated() where amount < 0 { id = try slice(id, axis: index + 1, -amount, nil) }
    return id
  }

  private func amounts(_ window: CNTKWindow, _ dims: [Dim]) throws -> [(low: Int, high: Int)] {
    try window.axes.indices.map { try window.padding($0, dims[$0], self) }
  }

  func convolved() throws -> CNTKValue {
    let (kernel, x) = (try value(0), try value(1))
    guard kernel.axes.count == 0 else { throw unsupported("a convolution with a kernel that the data give") }
    guard try flags("sharing", [true]).allSatisfy({ $0 }) else { throw unsupported("a convolution that does not share its kernel") }
    if try bool("transpose", false) { return try transposedConvolution(kernel, x) }
    guard !(try bool("sequential", false)) else { throw unsupported("a convolution along a sequence axis as one operation") }
    return try convolution(kernel, x, spatial: x.shape.count - 1)
  }

  /// A convolution over [channels, spatial...] with a kernel [out, in / groups, spatial...].
  private func convolution(_ kernel: CNTKValue, _ x: CNTKValue, spatial: Int) throws -> CNTKValue {
    // A kernel without an axis of its own for results makes one.
    let whole = kernel.shape.count == spatial + 1 ? [1] + kernel.shape : kernel.shape
    guard (1...3).contains(spatial), whole.count == spatial + 2 else {
      throw unsupported("a convolution of \(x.value.type.message) with a kernel \(kernel.value.type.message)")
    }
    let groups = try int("groups", 1)
    let sizes = try whole.map { dim -> Int in
      guard let size = dim.fixed else { throw wrong("a kernel of open size") }
      return size
    }
    guard groups >= 1, groups <= 1 << 20 else { throw wrong("has \(groups) groups") }
    if let channels = x.shape[0].fixed, sizes[1] * groups != channels { throw unsupported("a convolution that moves over \(channels) channels with a kernel of \(sizes[1])") }
    let window = try CNTKWindow(self, sizes: Array(sizes.dropFirst(2).reversed()), rank: x.shape.count)
    let spatialWindow = CNTKWindow(window, dropping: 1)
    let amounts = try amounts(spatialWindow, Array(x.shape.dropFirst()))
    let weights = try transpose(try reshape(try self.x(0), whole), Array(2..<spatial + 2) + [1, 0])
    let flat = try flattened(x)
    let y = try channelsLast(flat) { last in
      try add(
        Conv(
          strides: spatialWindow.axes.map(\.stride), dilations: spatialWindow.axes.map(\.dilation),
          padding: .explicit(amounts.map { .init(max($0.low, 0), max($0.high, 0)) }), groups: groups),
        [try trimmed(last, amounts.map(\.low)), weights], "conv")
    }
    return try unflattened(y, x)
  }

  private func transposedConvolution(_ kernel: CNTKValue, _ x: CNTKValue) throws -> CNTKValue {
    let spatial = x.shape.count - 1
    guard (1...3).contains(spatial), kernel.shape.count == spatial + 2 else {
      throw unsupported("a transposed convolution of \(x.value.type.message) with a kernel \(kernel.value.type.message)")
    }
    let groups = try int("groups", 1)
    guard groups == 1 else { throw unsupported("a transposed convolution in \(groups) groups") }
    let sizes = try kernel.shape.map { dim -> Int in
      guard let size = dim.fixed else { throw wrong("a kernel of open size") }
      return size
    }
    let window = CNTKWindow(try CNTKWindow(self, sizes: Array(sizes.dropFirst(2).reversed()), rank: x.shape.count), dropping: 1)
    let declared = Array(try shape("outputShape", [0]).reversed())
    let isDeclared = declared.count == spatial + 1 && declared.allSatisfy { $0 > 0 }
    guard isDeclared || declared.allSatisfy({ $0 <= 0 }) else { throw wrong("the shape \(declared) of its result does not fit \(spatial + 1) axes") }
    var (cut, outside, front) = ([Padding.Amount](), [Int](), [Int]())
    for (index, axis) in window.axes.enumerated() {
      guard axis.dilation == 1 else { throw unsupported("a transposed convolution with dilation") }
      var (low, high) = (axis.low, axis.high)
      if axis.isAutomatic || isDeclared {
        var extra = 0
        if isDeclared {
          guard let length = x.shape[index + 1].fixed else { throw unsupported("a declared shape of the result of an open one") }
          extra = declared[index + 1] - ((length - 1) * axis.stride + 1)
        }
        if axis.isAutomatic {
          low = (axis.size - 1) / 2 - extra / 2
          high = axis.size - 1 - (axis.size - 1) / 2 - (extra - extra / 2)
        } else {
          high = axis.size - 1 - low - extra
        }
      }
      cut.append(.init(max(low, 0), max(high, 0)))
      outside.append(max(-high, 0))
      front.append(max(-low, 0))
    }
    let weights = try transpose(try self.x(0), Array(2..<spatial + 2) + [1, 0])
    let flat = try flattened(x)
    let y = try channelsLast(flat) { last in
      let result = try add(
        ConvTranspose(strides: window.axes.map(\.stride), padding: .explicit(cut), outputPadding: outside.contains { $0 > 0 } ? outside : nil), [last, weights], "conv_transpose")
      guard front.contains(where: { $0 > 0 }) else { return result }
      return try add(Pad(low: [0] + front + [0], high: [Int](repeating: 0, count: spatial + 2)), [result], "pad")
    }
    return try unflattened(y, x)
  }

  /// How long sequences are that a convolution along them makes.
  func convolvedLengths() throws -> CNTKValue {
    let (kernel, x) = (try value(0), try value(1))
    guard let sequence = x.axes.sequence, !(try bool("transpose", false)) else { throw unsupported("lengths of something that is no sequence") }
    // The sequence's axis is the last of the file's before the channels.
    let sizes = try shape("kernelShape", kernel.shape.dropFirst().reversed().compactMap(\.fixed))
    guard sizes.count >= 1 else { throw wrong("a window without axes") }
    let window = try CNTKWindow(self, sizes: sizes, rank: sizes.count)
    // In NumPy's order it is the first one, or the second behind the channels.
    let axis = window.axes[min(1, window.axes.count - 1)]
    let dtype = x.value.type.dtype
    let lengths = try builder.id(sequence.lengths)
    let cells = axis.isAutomatic ? 1 : axis.extent - axis.low - axis.high
    var count = lengths
    if axis.stride > 1 || cells != 1 {
      let span = try binary(.sub, lengths, try scalar(Double(cells), .int32))
      count = try binary(.add, try binary(.floorDiv, span, try scalar(Double(axis.stride), .int32)), try scalar(1, .int32))
    }
    return result(try cast(count, dtype), .batch)
  }

  func pooled() throws -> CNTKValue {
    let value = try value(0)
    let kind = try int("poolingType")
    guard kind == 0 || kind == 1 else { throw wrong("the kind \(kind) of pooling is unknown") }
    let rank = value.shape.count
    var sizes = try shape("poolingWindowShape")
    // An unknown window covers everything but the channels.
    if sizes.contains(where: { $0 < 0 }) || sizes.isEmpty {
      guard rank >= 2 else { throw wrong("pools everything of \(value.value.type.message)") }
      let places = Array(value.axes.count + 1..<value.axes.count + rank)
      let id = try reduce(kind == 0 ? .max : .mean, try x(0), places, keepDims: true)
      return result(id, value.axes)
    }
    // Windows may be given with less axes than the shape, or more.
    while sizes.count > rank, sizes.last == 1 { sizes.removeLast() }
    let window = try CNTKWindow(self, sizes: sizes, rank: rank)
    return try overWindows(value, window) { last, window, amounts in
      try add(
        Pool(
          kind == 0 ? .max : .average, window: window.axes.map(\.size), strides: window.axes.map(\.stride),
          padding: .explicit(amounts.map { .init(max($0.low, 0), max($0.high, 0)) }), countsPadding: try bool("includePad", false)),
        [try trimmed(last, amounts.map(\.low))], "pool")
    }
  }

  /// Work over the axes that a window moves along, the others as channels: [samples, spatial..., channels].
  private func overWindows(
    _ value: CNTKValue, _ window: CNTKWindow, _ work: (ValueID, CNTKWindow, [(low: Int, high: Int)]) throws -> ValueID
  ) throws -> CNTKValue {
    let rank = value.shape.count
    let isChannel = window.axes.first.map { $0.size == 1 && $0.stride == 1 && $0.low == 0 && $0.high == 0 } ?? false
    let flat = try flattened(value)
    if isChannel, (2...4).contains(rank) {
      let spatial = CNTKWindow(window, dropping: 1)
      let amounts = try amounts(spatial, Array(value.shape.dropFirst()))
      return try unflattened(try channelsLast(flat) { try work($0, spatial, amounts) }, value)
    }
    guard (1...3).contains(rank) else { throw unsupported("a window over \(rank) axes") }
    let amounts = try amounts(window, value.shape)
    let wide = try expand(flat, rank + 1)
    return try unflattened(try drop(try work(wide, window, amounts), rank + 1), value)
  }

  /// Puts each value where its window of the second operand has its maximum.
  func unpooled() throws -> CNTKValue {
    let (pooled, like) = (try value(0), try value(1))
    guard try int("poolingType", 0) == 0 else { throw unsupported("unpooling of averages") }
    let rank = like.shape.count
    guard pooled.shape.count == rank, pooled.axes.count == like.axes.count, (2...4).contains(rank) else {
      throw wrong("\(pooled.value.type.message) is no pooling of \(like.value.type.message)")
    }
    let all = try CNTKWindow(self, sizes: try shape("unpoolingWindowShape"), rank: rank)
    guard all.axes[0].size == 1, all.axes[0].stride == 1 else { throw unsupported("unpooling over channels") }
    let window = CNTKWindow(all, dropping: 1)
    let lengths = try (1..<rank).map { try length(try x(1), like.axes.count + $0) }
    let counts = try (1..<rank).map { try length(try x(0), pooled.axes.count + $0) }
    let taps = window.axes.reduce(1) { $0 * $1.size }
    guard taps <= 1024 else { throw unsupported("unpooling with windows of \(taps)") }
    let amounts = try amounts(window, lengths.map { Dim($0) })
    guard amounts.allSatisfy({ $0.low >= 0 }) else { throw unsupported("unpooling with windows smaller than their strides") }
    // Every channel of every sample for itself.
    let dims = type(try x(1)).dims
    let samples = dims.prefix(like.axes.count + 1).reduce(Dim(1)) { $0 * $1 }
    let source = try reshape(try x(1), [samples] + lengths.map { Dim($0) })
    let ends = window.axes.indices.map { max(0, (counts[$0] - 1) * window.axes[$0].stride + window.axes[$0].size - lengths[$0] - amounts[$0].low) }
    let padded = try add(Pad(low: [0] + amounts.map(\.low), high: [0] + ends, value: -.infinity), [source], "pad")
    // One slice for each place in the window; the first of the greatest wins.
    var (slices, offsets) = ([ValueID](), [Double]())
    for tap in 0..<taps {
      var (rest, offset, scale) = (tap, 0, 1)
      var ranges = [Slice.Range](repeating: .all, count: rank)
      for index in window.axes.indices.reversed() {
        let place = rest % window.axes[index].size
        rest /= window.axes[index].size
        ranges[index + 1] = Slice.Range(start: place, end: place + (counts[index] - 1) * window.axes[index].stride + 1, step: window.axes[index].stride)
        offset += place * scale
        scale *= lengths[index]
      }
      slices.append(try expand(try add(Slice(ranges), [padded], "slice"), rank))
      offsets.append(Double(offset))
    }
    guard let total = checkedProduct(counts), let size = checkedProduct(lengths), size <= 1 << 28 else { throw unsupported("unpooling to \(lengths)") }
    let tap = try reshape(try add(ArgReduce(.max, axis: rank, dtype: .int32), [try concat(slices, axis: rank)], "arg_max"), [samples, Dim(total)])
    var corners = [Double](repeating: 0, count: total)
    for place in 0..<total {
      var (rest, scale) = (place, 1)
      for index in window.axes.indices.reversed() {
        corners[place] += Double((rest % counts[index] * window.axes[index].stride - amounts[index].low) * scale)
        rest /= counts[index]
        scale *= lengths[index]
      }
    }
    let within = try add(Gather(axis: 0), [try numbers(offsets, [taps], .int64, "offsets"), tap], "gather")
    let places = try binary(.add, within, try numbers(corners, [total], .int64, "corners"))
    let ones = try broadcast(try numbers([1], [1, 1], .int64, "one"), [samples, 1])
    let rows = try broadcast(try add(Cumulative(.sum, axis: 0, exclusive: true), [ones], "rows"), [samples, Dim(total)])
    let indices = try concat([try expand(rows, 2), try expand(places, 2)], axis: 2)
    let dtype = type(padded).dtype
    let empty = try broadcast(try scalar(0, dtype), [samples, Dim(size)])
    // Where windows share their maximum, the last one says what is there.
    let filled = try add(Scatter(.update, outside: .skip), [empty, indices, try reshape(try x(0), [samples, Dim(total)])], "scatter")
    return result(try reshape(filled, dims), like.axes)
  }
}

extension CNTKWindow {
  /// The window without its first axes.
  init(_ window: CNTKWindow, dropping count: Int) {
    axes = Array(window.axes.dropFirst(count))
    roundsUp = window.roundsUp
  }
}
