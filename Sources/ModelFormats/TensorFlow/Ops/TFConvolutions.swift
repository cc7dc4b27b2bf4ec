import GraphModule
import TensorModule

extension TFOpCatalog {
  /// Convolutions, and the bias after them.
  static let convolutions = Family(
    "Convolutions",
    [
      "Conv2D": { try convolution($0, rank: 2) },
      "Conv3D": { try convolution($0, rank: 3) },
      "Conv": { try generalConvolution($0) },
      "FusedPadConv2D": { call in
        let padded = try mirrored(call, try call.x(0), 1)
        return try convolution(call.with(inputs: [padded, try call.input(2)]), rank: 2)
      },
      "FusedResizeAndPadConv2D": { call in
        let coordinates: Resize.Coordinates = try call.bool("resize_align_corners") ? .alignCorners : .asymmetric
        let dims = try call.sizes(1, "a size")
        guard dims.count == 2 else { throw call.wrong("needs a height and a width, found \(dims.count) numbers") }
        let resized = try call.add(Resize(.bilinear, coordinates: coordinates, dims: dims), [try call.x(0)], "resize")
        let padded = try mirrored(call, resized, 2)
        return try convolution(call.with(inputs: [padded, try call.input(3)]), rank: 2)
      },
      "DepthwiseConv2dNative": { call in
        let kernel = try call.x(1)
        let dims = call.type(kernel).dims
        guard dims.count == 4 else { throw call.wrong("the kernel must have rank 4, found \(call.type(kernel).message)") }
        let channels = try call.length(kernel, 2)
        let weights = try call.reshape(kernel, [dims[0], dims[1], 1, dims[2] * dims[3]])
        var window = try TFWindow(call, rank: 2)
        // TensorFlow 1's kernel for processors overlooks the attribute: its layers dilate by moving pixels to the batch.
        if (1..<200).contains(call.converter.model.graph.producer) { window.dilations = [1, 1] }
        return try imagesLast(call, try call.x(0)) { x in
          try call.add(Conv(strides: window.strides, dilations: window.dilations, padding: window.padding, groups: channels), [x, weights], "conv")
        }
      },
      "Conv2DBackpropInput": { try transposedConvolution($0, rank: 2) },
      "Conv3DBackpropInputV2": { try transposedConvolution($0, rank: 3) },
      "DepthwiseConv2dNativeBackpropInput": { try transposedConvolution($0, rank: 2, depthwise: true) },
      "BiasAdd": { [try biased($0)] },
      "BiasAddV1": { [try biased($0)] },
      "Dilation2D": { [try dilation($0)] },
    ])

  /// The operand with its edges mirrored as `MirrorPad` does.
  private static func mirrored(_ call: TFCall, _ x: ValueID, _ index: Int) throws -> TFValue {
    .value(try TFPadding.mirrored(call, x, index), call.builder, name: call.name)
  }

  /// `Conv`, whose kernel says how many spatial axes there are.
  private static func generalConvolution(_ call: TFCall) throws -> [ValueID] {
    let rank = call.type(try call.x(1)).rank - 2
    guard (1...3).contains(rank), try call.int("batch_dims", 1) == 1 else { throw call.unsupported("a kernel of rank \(rank + 2), or more batch axes") }
    var attributes = call.node.attributes
    let first = try call.text("data_format", "CHANNELS_LAST") == "CHANNELS_FIRST"
    let format = rank == 3 ? (first ? "NCDHW" : "NDHWC") : (first ? "NCHW" : "NHWC")
    attributes["data_format"] = .bytes(Array(format.utf8))
    for key in ["dilations", "explicit_paddings"] where try call.ints(key, []).isEmpty { attributes[key] = nil }
    return try convolution(call.with(attributes: attributes), rank: rank)
  }

  private static func convolution(_ call: TFCall, rank: Int) throws -> [ValueID] {
    let kernel = try call.x(1)
    guard call.type(kernel).rank == rank + 2 else { throw call.wrong("the kernel must have rank \(rank + 2), found \(call.type(kernel).message)") }
    let window = try TFWindow(call, rank: rank)
    return try imagesLast(call, try call.x(0)) { x in
      let (channels, inner) = (try call.length(x, -1), try call.length(kernel, rank))
      guard inner > 0, channels % inner == 0 else { throw call.wrong("the kernel takes \(inner) channels, the input has \(channels)") }
      return try call.add(
        Conv(strides: window.strides, dilations: window.dilations, padding: window.padding, groups: channels / inner), [x, kernel], "conv")
    }
  }

  /// The gradient of a convolution with respect to its input, which is a transposed convolution.
  private static func transposedConvolution(_ call: TFCall, rank: Int, depthwise: Bool = false) throws -> [ValueID] {
    var kernel = try call.x(1)
    guard call.type(kernel).rank == rank + 2 else { throw call.wrong("the kernel must have rank \(rank + 2), found \(call.type(kernel).message)") }
    let window = try TFWindow(call, rank: rank)
    let sizes = try call.sizes(0, "an output size")
    let first = try call.text("data_format", "NHWC").hasPrefix("NC")
    guard sizes.count == rank + 2 || sizes.count == rank else { throw call.wrong("has \(sizes.count) output sizes") }
    let wanted = sizes.count == rank ? sizes : Array(first ? sizes[2...] : sizes[1...rank])
    var groups = 1
    if depthwise {
      groups = try call.length(kernel, 2)
      let dims = call.type(kernel).dims
      kernel = try call.reshape(kernel, [dims[0], dims[1], 1, dims[2] * dims[3]])
    }
    let shape = call.type(kernel).dims.prefix(rank).compactMap(\.fixed)
    guard shape.count == rank else { throw call.unsupported("a kernel of unknown size") }
    return try imagesLast(call, try call.x(2)) { x in
      let spatial = Array(call.type(x).dims[1...rank])
      func plain(_ padding: Padding) -> Bool {
        (0..<rank).allSatisfy { axis in
          let extent = (shape[axis] - 1) * window.dilations[axis] + 1
          let length = spatial[axis] * Dim(window.strides[axis])
          return wanted[axis] == (padding == .same ? length : length + Dim(max(extent - window.strides[axis], 0)))
        }
      }
      if window.padding == .same || window.padding == .valid, plain(window.padding) {
        return try call.add(
          ConvTranspose(strides: window.strides, dilations: window.dilations, padding: window.padding, groups: groups), [x, kernel], "conv_transpose")
      }
      var (amounts, extra): ([Padding.Amount], [Int]) = ([], [])
      guard (spatial + wanted).allSatisfy({ $0.fixed != nil }) else {
        // The whole result with room at its end; the part that is asked for.
        let op = ConvTranspose(strides: window.strides, dilations: window.dilations, padding: .valid, groups: groups)
        let whole = try call.add(op, [x, kernel], "conv_transpose")
        let room = window.strides.map { Dim($0) }
        var part = try TFPadding.padded(call, whole, [Dim](repeating: 0, count: rank + 2), [0] + room + [0])
        for axis in 0..<rank {
          let low: Dim
          switch window.padding {
          case .valid: low = 0
          case .explicit(let amounts): low = Dim(amounts[axis].low)
          case .same:
            // Half of what the window is longer than its stride, or than what the last stride covers.
            let extent = (shape[axis] - 1) * window.dilations[axis] + 1
            let total = (spatial[axis] - 1) * Dim(window.strides[axis]) + Dim(extent) - wanted[axis]
            guard extent >= window.strides[axis] else { throw call.unsupported("a window shorter than its stride over open sizes") }
            low = total.floorDivided(by: 2)
          }
          part = try TFDynamicSlice.part(call, part, axis + 1, low, wanted[axis])
        }
        return part
      }
      for axis in 0..<rank {
        guard let length = spatial[axis].fixed, let result = wanted[axis].fixed else { throw KilnError(.internal, "an axis of open size") }
        let extent = (shape[axis] - 1) * window.dilations[axis] + 1
        let full = (length - 1) * window.strides[axis] + extent
        let low = window.padding.amount(result, size: shape[axis], stride: window.strides[axis], dilation: window.dilations[axis], axis: axis).low
        let high = full - result - low
        guard low >= 0, high > -window.strides[axis] else { throw call.wrong("an output of \(result) does not belong to an input of \(length)") }
        amounts.append(.init(low, max(high, 0)))
        extra.append(max(-high, 0))
      }
      return try call.add(
        ConvTranspose(
          strides: window.strides, dilations: window.dilations, padding: .explicit(amounts),
          outputPadding: extra.contains { $0 > 0 } ? extra : nil, groups: groups), [x, kernel], "conv_transpose")
    }
  }

  private static func biased(_ call: TFCall) throws -> ValueID {
    let x = try call.x(0)
    var bias = try call.x(1)
    let rank = call.type(x).rank
    if try call.text("data_format", "NHWC").hasPrefix("NC"), rank > 2 {
      bias = try call.reshape(bias, call.type(bias).dims + [Dim](repeating: 1, count: rank - 2))
    }
    return try call.binary(.add, x, bias)
  }

  /// max over the window of x + kernel; places outside never win.
  private static func dilation(_ call: TFCall) throws -> ValueID {
    var x = try call.x(0)
    let kernel = try call.x(1)
    guard let shape = call.type(kernel).shape, shape.count == 3, shape[0] * shape[1] <= 256, call.type(x).rank == 4 else {
      throw call.unsupported("the kernel \(call.type(kernel).message)")
    }
    let strides = try call.ints("strides"), rates = try call.ints("rates")
    guard strides.count == 4, rates.count == 4 else { throw call.wrong("needs 4 strides and rates") }
    let same = try call.text("padding") == "SAME"
    var (low, high) = ([0, 0, 0, 0], [0, 0, 0, 0])
    var lengths: [Int] = []
    for axis in 0..<2 {
      let length = try call.length(x, axis + 1)
      let extent = (shape[axis] - 1) * rates[axis + 1] + 1
      let padding: Padding = same ? .same : .valid
      let amount = padding.amount(length, size: shape[axis], stride: strides[axis + 1], dilation: rates[axis + 1], axis: axis)
      (low[axis + 1], high[axis + 1]) = (amount.low, amount.high)
      lengths.append(max(0, (length + amount.low + amount.high - extent) / strides[axis + 1] + 1))
    }
    if (low + high).contains(where: { $0 > 0 }) {
      x = try call.add(Pad(.constant, low: low, high: high, value: -Double.infinity), [x], "pad")
    }
    var result: ValueID?
    for row in 0..<shape[0] {
      for column in 0..<shape[1] {
        func range(_ axis: Int, _ place: Int) -> Slice.Range {
          let start = place * rates[axis + 1]
          return Slice.Range(start: start, end: start + (lengths[axis] - 1) * strides[axis + 1] + 1, step: strides[axis + 1])
        }
        let part = try call.add(Slice([.all, range(0, row), range(1, column), .all]), [x], "slice")
        let weight = try call.add(
          Slice([.init(start: row, end: row + 1), .init(start: column, end: column + 1), .all]), [kernel], "weight")
        let sum = try call.binary(.add, part, weight)
        result = try result.map { try call.binary(.max, $0, sum) } ?? sum
      }
    }
    guard let result else { throw call.wrong("the kernel is empty") }
    return result
  }
}

/// Strides, dilations and padding of a window op, of the spatial axes alone.
struct TFWindow {
  var strides: [Int]
  var dilations: [Int]
  var padding: Padding

  init(_ call: TFCall, rank: Int) throws {
    let first = try call.text("data_format", "NHWC").hasPrefix("NC")
    strides = try TFWindow.spatial(call, try call.ints("strides", [Int](repeating: 1, count: rank + 2)), rank, first, "strides")
    dilations = try TFWindow.spatial(call, try call.ints("dilations", [Int](repeating: 1, count: rank + 2)), rank, first, "dilations")
    padding = try TFWindow.padding(call, rank, first)
  }

  /// The spatial numbers of a list with one for each axis; those of batch and channels must be 1.
  static func spatial(_ call: TFCall, _ numbers: [Int], _ rank: Int, _ channelsFirst: Bool, _ what: String) throws -> [Int] {
    guard numbers.count == rank + 2 else { throw call.wrong("\(what) must have \(rank + 2) numbers, found \(numbers.count)") }
    guard numbers[0] == 1, numbers[channelsFirst ? 1 : rank + 1] == 1 else { throw call.unsupported("\(what) of batch or channels") }
    let spatial = Array(channelsFirst ? numbers[2...] : numbers[1...rank])
    guard spatial.allSatisfy({ (1...1 << 20).contains($0) }) else { throw call.wrong("\(what) must be 1 or more, found \(spatial)") }
    return spatial
  }

  static func padding(_ call: TFCall, _ rank: Int, _ channelsFirst: Bool) throws -> Padding {
    switch try call.text("padding") {
    case "VALID": return .valid
    case "SAME": return .same
    case "EXPLICIT":
      let amounts = try call.ints("explicit_paddings")
      guard amounts.count == 2 * (rank + 2), amounts.allSatisfy({ (0...1 << 20).contains($0) }) else { throw call.wrong("explicit_paddings must have \(2 * (rank + 2)) numbers") }
      let start = channelsFirst ? 4 : 2
      return .explicit((0..<rank).map { .init(amounts[start + 2 * $0], amounts[start + 2 * $0 + 1]) })
    case let name: throw call.unsupported("padding \(KilnError.quoted(name))")
    }
  }
}
