import GraphModule
import TensorModule

extension TFOpCatalog {
  static let pools = Family(
    "Pooling",
    [
      "MaxPool": { try pool($0, .max, 2) }, "MaxPoolV2": { try pool($0, .max, 2, operands: true) },
      "AvgPool": { try pool($0, .average, 2) },
      "MaxPool3D": { try pool($0, .max, 3) }, "AvgPool3D": { try pool($0, .average, 3) },
      "MaxPoolWithArgmax": { [try pool($0, .max, 2)[0], try argmax($0)] },
    ])

  private static func pool(_ call: TFCall, _ kind: Pool.Kind, _ rank: Int, operands: Bool = false) throws -> [ValueID] {
    let first = try call.text("data_format", "NHWC").hasPrefix("NC")
    let sizes = operands ? try call.integers(1, "a window") : try call.ints("ksize")
    let steps = operands ? try call.integers(2, "strides") : try call.ints("strides")
    let channel = first ? 1 : rank + 1
    if sizes.count == rank + 2, sizes[channel] > 1 {
      return try acrossChannels(call, kind, sizes, steps, channel)
    }
    let window = try TFWindow.spatial(call, sizes, rank, first, "ksize")
    let strides = try TFWindow.spatial(call, steps, rank, first, "strides")
    let padding = try TFWindow.padding(call, rank, first)
    return try imagesLast(call, try call.x(0)) { x in
      try call.add(Pool(kind, window: window, strides: strides, padding: padding), [x], "pool")
    }
  }

  /// Windows over channels alone, which do not overlap.
  private static func acrossChannels(_ call: TFCall, _ kind: Pool.Kind, _ sizes: [Int], _ steps: [Int], _ channel: Int) throws -> [ValueID] {
    let size = sizes[channel]
    let x = try call.x(0)
    let dims = call.type(x).dims
    guard sizes.indices.allSatisfy({ $0 == channel || sizes[$0] == 1 && steps[$0] == 1 }), steps[channel] == size, channel == dims.count - 1,
      let length = dims[channel].fixed, length % size == 0
    else { throw call.unsupported("a window over channels and pixels") }
    let parts = try call.reshape(x, Array(dims.dropLast()) + [Dim(length / size), Dim(size)])
    return [try call.reduce(kind == .max ? .max : .mean, parts, [dims.count])]
  }

  /// Where the maximum of each window lies: (y · width + x) · channels + channel, and the image before when asked for.
  private static func argmax(_ call: TFCall) throws -> ValueID {
    var x = try call.x(0)
    guard let shape = call.type(x).shape.map({ Array($0.dropFirst()) }) ?? fixedTail(call.type(x)), shape.count == 3 else {
      throw call.unsupported("pooling of \(call.type(x).message)")
    }
    let window = try TFWindow.spatial(call, try call.ints("ksize"), 2, false, "ksize")
    let strides = try TFWindow.spatial(call, try call.ints("strides"), 2, false, "strides")
    let padding = try TFWindow.padding(call, 2, false)
    guard window[0] * window[1] <= 256 else { throw call.unsupported("so large a window") }
    var (low, high, lengths): ([Int], [Int], [Int]) = ([0], [0], [])
    for axis in 0..<2 {
      let amount = padding.amount(shape[axis], size: window[axis], stride: strides[axis], dilation: 1, axis: axis)
      low.append(amount.low)
      high.append(amount.high)
      lengths.append(max(0, (shape[axis] + amount.low + amount.high - window[axis]) / strides[axis] + 1))
    }
    x = try call.add(Pad(.constant, low: low + [0], high: high + [0], value: -Double.infinity), [x], "pad")
    var parts: [ValueID] = []
    for row in 0..<window[0] {
      for column in 0..<window[1] {
        let ranges = [(row, 0), (column, 1)].map { place, axis in
          Slice.Range(start: place, end: place + (lengths[axis] - 1) * strides[axis] + 1, step: strides[axis])
        }
        parts.append(try call.expand(try call.add(Slice([.all] + ranges + [.all]), [x], "slice"), 4))
      }
    }
    let best = try call.add(ArgReduce(.max, axis: 4, dtype: .int64), [try call.concat(parts, axis: 4)], "argmax")
    let (width, channels) = (shape[1], shape[2])
    let places = (0..<lengths[0] * lengths[1] * channels).map { index -> Double in
      let (pixel, channel) = (index / channels, index % channels)
      let (y, z) = (pixel / lengths[1] * strides[0] - low[1], pixel % lengths[1] * strides[1] - low[2])
      return Double((y * width + z) * channels + channel)
    }
    let columns = try call.scalar(Double(window[1]), .int64)
    let row = try call.binary(.floorDiv, best, columns)
    let column = try call.binary(.sub, best, try call.binary(.mul, row, columns))
    let step = try call.binary(
      .add, try call.binary(.mul, row, try call.scalar(Double(width * channels), .int64)),
      try call.binary(.mul, column, try call.scalar(Double(channels), .int64)))
    var result = try call.binary(.add, step, try call.numbers(places, [lengths[0], lengths[1], channels], .int64, "places"))
    if try call.bool("include_batch_in_index") {
      let batch = try counted(call, call.type(x).dims[0], .int64)
      let offset = try call.binary(.mul, batch, try call.scalar(Double(shape.reduce(1, *)), .int64))
      result = try call.binary(.add, result, try call.reshape(offset, [call.type(x).dims[0], 1, 1, 1]))
    }
    return try call.cast(result, try call.dtype("Targmax", .int64))
  }

  private static func fixedTail(_ type: TensorType) -> Shape? {
    let tail = type.dims.dropFirst().compactMap(\.fixed)
    return tail.count == type.rank - 1 ? tail : nil
  }

  static let normalizations = Family(
    "Normalization and activation over axes",
    [
      "FusedBatchNorm": { try batchNorm($0) }, "FusedBatchNormV2": { try batchNorm($0) }, "FusedBatchNormV3": { try batchNorm($0) },
      "BatchNormWithGlobalNormalization": { call in
        let (x, mean, variance, beta, gamma) = (try call.x(0), try call.x(1), try call.x(2), try call.x(3), try call.x(4))
        let scale = try call.bool("scale_after_normalization")
        let op = BatchNorm(epsilon: try call.float("variance_epsilon"), scale: scale, offset: true)
        return [try call.add(op, scale ? [x, gamma, beta, mean, variance] : [x, beta, mean, variance], "batch_norm")]
      },
      "LRN": { call in
        let x = try call.x(0)
        let radius = try call.int("depth_radius", 5)
        guard (0...1 << 16).contains(radius), call.type(x).rank == 4 else { throw call.wrong("its radius or operand is out of range") }
        let dims = call.type(x).dims
        // The channels as a spatial axis: an average that counts its padding is the sum over the window / its size.
        let row = try call.reshape(try call.unary(.square, x), [dims[0] * dims[1] * dims[2], dims[3], 1])
        let window = 2 * radius + 1
        let mean = try call.add(
          Pool(.average, window: [window], strides: [1], padding: .explicit([.init(radius, radius)]), countsPadding: true), [row], "pool")
        let scale = try call.float("alpha", 1) * Double(window)
        let base = try call.unary(.affine, try call.reshape(mean, dims), [scale, try call.float("bias", 1)])
        let power = try call.binary(.pow, base, try call.scalar(-(try call.float("beta", 0.5)), call.type(x).dtype))
        return [try call.binary(.mul, x, power)]
      },
      "Softmax": { call in [try call.add(Softmax(axis: -1), [try call.x(0)], "softmax")] },
      "LogSoftmax": { call in [try call.add(Softmax(axis: -1, log: true), [try call.x(0)], "log_softmax")] },
      "L2Loss": { call in
        let x = try call.x(0)
        let half = try call.scalar(0.5, call.type(x).dtype)
        let sum = try call.reduce(.sum, try call.unary(.square, x), Array(0..<call.type(x).rank))
        return [try call.binary(.mul, sum, half)]
      },
    ])

  private static func batchNorm(_ call: TFCall) throws -> [ValueID] {
    let x = try call.x(0), wide = call.type(x).dtype
    let (gamma, beta) = (try call.x(1), try call.x(2))
    var (mean, variance) = (try call.x(3), try call.x(4))
    let epsilon = try call.float("epsilon", 0.0001)
    let dtype = call.type(gamma).dtype
    var statistics: [ValueID] = []
    let results = try imagesLast(call, try call.cast(x, dtype)) { x in
      if try call.bool("is_training", true) {
        let type = call.type(x)
        let axes = Array(0..<type.rank - 1)
        mean = try call.reduce(.mean, x, axes)
        variance = try call.reduce(.mean, try call.binary(.squaredDifference, x, mean), axes)
        let count = type.dims.dropLast().reduce(1, *)
        if let fixed = count.fixed, fixed > 1 {
          let unbiased = try call.binary(.mul, variance, try call.scalar(Double(fixed) / Double(fixed - 1), dtype))
          statistics = [mean, unbiased]
        }
      }
      return try call.add(BatchNorm(epsilon: epsilon, scale: true, offset: true), [x, gamma, beta, mean, variance], "batch_norm")
    }
    let (first, second) = (statistics.first ?? mean, statistics.last ?? variance)
    return [try call.cast(results[0], wide), first, second, mean, variance, variance]
  }
}
