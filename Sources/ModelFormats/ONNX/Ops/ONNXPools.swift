import GraphModule
import TensorModule

extension ONNXOpCatalog {
  static let pools = Family(
    "Pooling",
    [
      Row(like: 0, "MaxPool") { call in
        let x = try call.x(0)
        let result = try pooled(call, x, .max)
        return call.node.outputs.count > 1 ? [result, try PoolIndices(call).build(x)] : [result]
      },
      Row("AveragePool", since: 7) { [try pooled($0, try $0.x(0), .average)] },
      Row("LpPool", since: 2) { call in
        let p = try call.int("p", 2)
        guard p >= 1 else { throw call.wrong("p is \(p)") }
        // The average that counts its padding times the size of the window is the sum of the powers.
        let x = try call.unary(.abs, try call.x(0)), dtype = call.type(x).dtype
        let power = p == 1 ? x : try call.binary(.pow, x, try call.scalar(Double(p), dtype))
        let size = try call.ints("kernel_shape").reduce(1.0) { $0 * Double($1) }
        let sum = try call.unary(.affine, try pooled(call, power, .average, counts: true), [size, 0])
        return [p == 1 ? sum : try call.binary(.pow, sum, try call.scalar(1 / Double(p), dtype))]
      },
      Row(like: 0, "GlobalMaxPool") { [try global($0, try $0.x(0), .max)] },
      Row("GlobalAveragePool") { [try global($0, try $0.x(0), .mean)] },
      Row("GlobalLpPool", since: 2) { call in
        let p = try call.int("p", 2)
        let x = try call.unary(.abs, try call.x(0)), dtype = call.type(x).dtype
        let sum = try global(call, try call.binary(.pow, x, try call.scalar(Double(p), dtype)), .sum)
        return [try call.binary(.pow, sum, try call.scalar(1 / Double(p), dtype))]
      },
      Row(like: 0, "MaxUnpool", since: 9) { [try unpooled($0)] },
    ])

  private static func global(_ call: ONNXCall, _ x: ValueID, _ kind: Reduce.Kind) throws -> ValueID {
    let rank = call.type(x).rank
    guard rank >= 3 else { throw call.wrong("takes [batch, channels, spatial...], found \(call.type(x).message)") }
    // Over channels-last images, so that the transposes around them cancel.
    let last = try call.transpose(x, [0] + Array(2..<rank) + [1])
    return try call.transpose(try call.reduce(kind, last, Array(1..<rank - 1), keepDims: true), [0, rank - 1] + Array(1..<rank - 1))
  }

  private static func pooled(_ call: ONNXCall, _ x: ValueID, _ kind: Pool.Kind, counts: Bool? = nil) throws -> ValueID {
    let rank = call.type(x).rank - 2
    guard rank >= 1 else { throw call.wrong("takes [batch, channels, spatial...], found \(call.type(x).message)") }
    let window = try ONNXWindow(call, rank: rank, kernel: [])
    let countsPadding = try counts ?? call.bool("count_include_pad")
    let isCeil = try call.bool("ceil_mode") && ["NOTSET", ""].contains(window.mode)
    return try call.channelsLast(x) { x in
      var x = x
      var padding = try window.padding(call, call.type(x))
      if isCeil {
        var amounts = window.pads
        for axis in 0..<rank {
          let length = try call.length(x, axis + 1) + amounts[axis].low + amounts[axis].high
          let extent = (window.kernel[axis] - 1) * window.dilations[axis] + 1
          var last = (length - extent + window.strides[axis] - 1) / window.strides[axis]
          // The last window must not begin behind the input and its padding before it.
          if last * window.strides[axis] >= length - amounts[axis].high { last -= 1 }
          amounts[axis].high += max(0, last * window.strides[axis] + extent - length)
        }
        if kind == .average, countsPadding, zip(amounts, window.pads).contains(where: { $0.high > $1.high }) {
          // Only what the file asks for counts, not what makes the last window whole.
          x = try call.add(Pad(low: [0] + window.pads.map(\.low) + [0], high: [0] + window.pads.map(\.high) + [0]), [x], "pad")
          amounts = zip(amounts, window.pads).map { .init(0, $0.high - $1.high) }
          padding = .explicit(amounts)
          return try call.add(Pool(.average, window: window.kernel, strides: window.strides, dilations: window.dilations, padding: padding), [x], "pool")
        }
        padding = .explicit(amounts)
      }
      return try call.add(
        Pool(kind, window: window.kernel, strides: window.strides, dilations: window.dilations, padding: padding, countsPadding: countsPadding && kind == .average),
        [x], "pool")
    }
  }

  private static func unpooled(_ call: ONNXCall) throws -> ValueID {
    let (x, indices) = (try call.x(0), try call.x(1))
    let type = call.type(x), rank = type.rank - 2
    let shape = try call.fixedShape(type)
    guard rank >= 1, let count = checkedProduct(shape) else { throw call.wrong("takes [batch, channels, spatial...], found \(type.message)") }
    let window = try ONNXWindow(call, rank: rank, kernel: [])
    let plain: [Int] = (0..<rank).map { axis in
      let full = (shape[axis + 2] - 1) * window.strides[axis] + window.kernel[axis]
      return full - window.pads[axis].low - window.pads[axis].high
    }
    let own = Array(shape.prefix(2)) + plain
    let wanted = call.has(2) ? try call.integers(2, "an output shape") : own
    guard wanted.count == rank + 2, let size = checkedProduct(wanted), size <= 1 << 26, (checkedProduct(own) ?? 0) <= size else { throw call.wrong("its output \(wanted) is impossible") }
    let zeros = try call.broadcast(try call.scalar(0, type.dtype), [Dim(checkedProduct(own) ?? 0)])
    let placed = try call.add(
      Scatter(.update), [zeros, try call.reshape(indices, [Dim(count), 1]), try call.reshape(x, [Dim(count)])], "scatter")
    let image = try call.reshape(placed, own.map { Dim($0) })
    if wanted == own { return image }
    guard zip(wanted, own).allSatisfy({ $0 >= $1 }) else { throw call.wrong("its output \(wanted) is smaller than \(own)") }
    return try call.add(Pad(low: own.map { _ in 0 }, high: zip(wanted, own).map { $0 - $1 }), [image], "pad")
  }
}

/// The places that a maximum pooling takes its results from, counted over the whole input.
struct PoolIndices {
  private let call: ONNXCall

  init(_ call: ONNXCall) { self.call = call }

  func build(_ x: ValueID) throws -> ValueID {
    let type = call.type(x), rank = type.rank - 2
    let shape = try call.fixedShape(type)
    let window = try ONNXWindow(call, rank: rank, kernel: [])
    guard rank >= 1, type.dtype.isFloat, let taps = checkedProduct(window.kernel), taps <= 1024 else { throw call.unsupported("the places of maxima of \(type.message)") }
    let padding = try window.padding(call, TensorType(type.dtype, [type.dims[0]] + type.dims[2...] + [type.dims[1]]))
    let isCeil = try call.bool("ceil_mode")
    var (low, high, counts): ([Int], [Int], [Int]) = ([0, 0], [0, 0], [])
    for axis in 0..<rank {
      let length = shape[axis + 2]
      let amount = padding.amount(length, size: window.kernel[axis], stride: window.strides[axis], dilation: window.dilations[axis], axis: axis)
      let extent = (window.kernel[axis] - 1) * window.dilations[axis] + 1
      let whole = length + amount.low + amount.high
      var last = isCeil ? (whole - extent + window.strides[axis] - 1) / window.strides[axis] : (whole - extent) / window.strides[axis]
      if isCeil, last * window.strides[axis] >= length + amount.low { last -= 1 }
      guard last >= 0 else { throw call.wrong("the window does not fit in \(type.message)") }
      counts.append(last + 1)
      low.append(amount.low)
      high.append(amount.high + max(0, last * window.strides[axis] + extent - whole))
    }
    guard let size = checkedProduct(shape), size <= 1 << 22 else { throw call.wrong("\(type.message) is too large") }
    let isColumns = try call.bool("storage_order")
    // Every element's own place.
    var places: [Double] = []
    places.reserveCapacity(size)
    let spatial = Array(shape[2...]), area = spatial.reduce(1, *)
    let strides = isColumns ? spatial.indices.map { spatial[..<$0].reduce(1, *) } : spatial.rowMajorStrides
    for outer in 0..<shape[0] * shape[1] {
      for inner in 0..<area {
        var (rest, place) = (inner, 0)
        for axis in spatial.indices.reversed() {
          place += rest % spatial[axis] * strides[axis]
          rest /= spatial[axis]
        }
        places.append(Double(outer * area + place))
      }
    }
    let own = try call.numbers(places, shape, .int64, "places")
    let values = try call.add(Pad(low: low, high: high, value: -.infinity), [x], "pad")
    let numbers = try call.add(Pad(low: low, high: high, value: -1), [own], "pad")
    var best: (value: ValueID, place: ValueID)?
    for tap in 0..<taps {
      var rest = tap
      var ranges: [Slice.Range] = []
      for axis in (0..<rank).reversed() {
        let start = rest % window.kernel[axis] * window.dilations[axis]
        rest /= window.kernel[axis]
        ranges.insert(.init(start: start, end: start + (counts[axis] - 1) * window.strides[axis] + 1, step: window.strides[axis]), at: 0)
      }
      let value = try call.add(Slice([.all, .all] + ranges), [values], "slice")
      let place = try call.add(Slice([.all, .all] + ranges), [numbers], "slice")
      guard let found = best else {
        best = (value, place)
        continue
      }
      let isLarger = try call.binary(.greater, value, found.value)
      best = (try call.select(isLarger, value, found.value), try call.select(isLarger, place, found.place))
    }
    guard let best else { throw call.wrong("the window is empty") }
    return best.place
  }
}
