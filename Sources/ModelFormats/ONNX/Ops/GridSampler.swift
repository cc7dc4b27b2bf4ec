import GraphModule
import TensorModule

/// Values of images at positions between pixels: what `GridSample`, `DeformConv` and `RoiAlign` have in common.
struct GridSampler {
  let call: ONNXCall
  /// The pixels [batch, all pixels, channels].
  let pixels: ValueID
  /// The lengths of the spatial axes.
  let shape: Shape
  /// Whether what lies outside counts as 0; else the nearest pixel inside.
  var isZeroOutside = true

  /// - Parameter x: [batch, channels, spatial...] with known lengths.
  init(_ call: ONNXCall, _ x: ValueID) throws {
    self.call = call
    let type = call.type(x)
    guard type.rank >= 3 else { throw call.wrong("takes [batch, channels, spatial...], found \(type.message)") }
    shape = try type.dims[2...].map { try call.fixed($0) }
    guard let area = checkedProduct(shape), area >= 1 else { throw call.wrong("\(type.message) has no pixels") }
    let flat = try call.reshape(x, [type.dims[0], type.dims[1], Dim(area)])
    pixels = try call.transpose(flat, [0, 2, 1])
  }

  /// The pixels at whole positions.
  ///
  /// - Parameter places: one [batch, n] of floats for each spatial axis.
  /// - Returns: [batch, n, channels].
  func taken(_ places: [ValueID]) throws -> ValueID {
    let dtype = call.type(places[0]).dtype
    var (index, inside): (ValueID?, ValueID?) = (nil, nil)
    for (axis, place) in places.enumerated() {
      let last = Double(shape[axis] - 1)
      if isZeroOutside {
        let fits = try call.binary(
          .and, try call.binary(.greaterEqual, place, try call.scalar(0, dtype)), try call.binary(.lessEqual, place, try call.scalar(last, dtype)))
        inside = try inside.map { try call.binary(.and, $0, fits) } ?? fits
      }
      let safe = try call.cast(try call.unary(.clip, place, [0, last]), .int64)
      index = try index.map { try call.binary(.add, try call.binary(.mul, $0, try call.scalar(Double(shape[axis]), .int64)), safe) } ?? safe
    }
    guard let index else { throw call.wrong("has no spatial axes") }
    let values = try call.add(Gather(axis: 1, batchDims: 1), [pixels, index], "gather")
    guard let inside else { return values }
    return try call.select(try call.expand(inside, 2), values, try call.scalar(0, call.type(values).dtype))
  }

  /// Linear interpolation at positions.
  func linear(_ positions: [ValueID]) throws -> ValueID {
    let lows = try positions.map { try call.unary(.floor, $0) }
    let rests = try zip(positions, lows).map { try call.binary(.sub, $0, $1) }
    var sum: ValueID?
    for corner in 0..<1 << positions.count {
      var weight: ValueID?
      var places: [ValueID] = []
      for axis in positions.indices {
        let isHigh = corner >> axis & 1 == 1
        places.append(isHigh ? try call.unary(.affine, lows[axis], [1, 1]) : lows[axis])
        let part = isHigh ? rests[axis] : try call.unary(.affine, rests[axis], [-1, 1])
        weight = try weight.map { try call.binary(.mul, $0, part) } ?? part
      }
      guard let weight else { continue }
      let value = try taken(places)
      let term = try call.binary(.mul, value, try call.cast(try call.expand(weight, 2), call.type(value).dtype))
      sum = try sum.map { try call.binary(.add, $0, term) } ?? term
    }
    guard let sum else { throw call.wrong("has no spatial axes") }
    return sum
  }
}

extension ONNXOpCatalog {
  static func gridSample(_ call: ONNXCall) throws -> ValueID {
    let (x, grid) = (try call.x(0), try call.x(1))
    let type = call.type(x), gridType = call.type(grid)
    let rank = type.rank - 2
    guard rank >= 1, rank <= 3, gridType.rank == rank + 2, gridType.dims[rank + 1] == Dim(rank) else { throw call.wrong("a grid \(gridType.message) does not fit \(type.message)") }
    var sampler = try GridSampler(call, x)
    let mode = try call.text("mode", call.version < 20 ? "bilinear" : "linear"), padding = try call.text("padding_mode", "zeros")
    guard ["zeros", "border", "reflection"].contains(padding) else { throw call.unsupported("the padding \(KilnError.quoted(padding))") }
    sampler.isZeroOutside = padding == "zeros"
    let align = try call.bool("align_corners")
    let dtype = gridType.dtype
    let count = gridType.dims[1...rank].reduce(1, *)
    let flat = try call.reshape(grid, [gridType.dims[0], count, Dim(rank)])
    let positions = try (0..<rank).map { axis -> ValueID in
      let length = Double(sampler.shape[axis])
      // The last coordinate is that of the innermost axis.
      let raw = try call.drop(try call.slice(flat, axis: 2, rank - 1 - axis, rank - axis), 2)
      return try call.unary(.affine, raw, align ? [(length - 1) / 2, (length - 1) / 2] : [length / 2, (length - 1) / 2])
    }
    func bounded(_ x: ValueID, _ axis: Int) throws -> ValueID {
      let last = Double(sampler.shape[axis] - 1)
      switch padding {
      case "border": return try call.unary(.clip, x, [0, last])
      case "reflection":
        let (low, high) = align ? (0.0, last) : (-0.5, last + 0.5)
        guard high > low else { return try call.binary(.mul, x, try call.scalar(0, dtype)) }
        let span = try call.scalar(high - low, dtype)
        let distance = try call.unary(.abs, try call.unary(.affine, x, [1, -low]))
        let turns = try call.unary(.floor, try call.binary(.div, distance, span))
        let rest = try call.binary(.sub, distance, try call.binary(.mul, turns, span))
        let half = try call.unary(.affine, turns, [0.5, 0])
        let isEven = try call.binary(.equal, try call.unary(.floor, half), half)
        let turned = try call.select(isEven, try call.unary(.affine, rest, [1, low]), try call.unary(.affine, rest, [-1, high]))
        return try call.unary(.clip, turned, [0, last])
      default: return x
      }
    }
    let result: ValueID
    switch mode {
    case "linear", "bilinear": result = try sampler.linear(try positions.enumerated().map { try bounded($1, $0) })
    case "nearest": result = try sampler.taken(try positions.enumerated().map { try call.unary(.round, try bounded($1, $0)) })
    case "cubic", "bicubic":
      guard rank == 2 else { throw call.unsupported("cubic interpolation over \(rank) axes") }
      let lows = try positions.map { try call.unary(.floor, $0) }
      let weights = try zip(positions, lows).map { try cubicWeights(call, try call.binary(.sub, $0, $1)) }
      var sum: ValueID?
      for row in 0..<4 {
        for column in 0..<4 {
          let places = [
            try bounded(try call.unary(.affine, lows[0], [1, Double(row - 1)]), 0), try bounded(try call.unary(.affine, lows[1], [1, Double(column - 1)]), 1),
          ]
          let value = try sampler.taken(try places.map { try call.unary(.round, $0) })
          let weight = try call.binary(.mul, weights[0][row], weights[1][column])
          let term = try call.binary(.mul, value, try call.cast(try call.expand(weight, 2), call.type(value).dtype))
          sum = try sum.map { try call.binary(.add, $0, term) } ?? term
        }
      }
      guard let sum else { throw call.wrong("has no spatial axes") }
      result = sum
    case let name: throw call.unsupported("the mode \(KilnError.quoted(name))")
    }
    let moved = try call.transpose(result, [0, 2, 1])
    return try call.reshape(moved, [type.dims[0], type.dims[1]] + gridType.dims[1...rank])
  }

  /// The four weights of a cubic convolution with a = −0.75 for a rest t.
  private static func cubicWeights(_ call: ONNXCall, _ t: ValueID) throws -> [ValueID] {
    let a = -0.75
    func near(_ x: ValueID) throws -> ValueID {
      let inner = try call.unary(.affine, x, [a + 2, -(a + 3)])
      return try call.unary(.affine, try call.binary(.mul, inner, try call.unary(.square, x)), [1, 1])
    }
    func far(_ x: ValueID) throws -> ValueID {
      let first = try call.unary(.affine, x, [a, -5 * a])
      let second = try call.unary(.affine, try call.binary(.mul, first, x), [1, 8 * a])
      return try call.unary(.affine, try call.binary(.mul, second, x), [1, -4 * a])
    }
    func shifted(_ factor: Double, _ offset: Double) throws -> ValueID { try call.unary(.affine, t, [factor, offset]) }
    return [try far(try shifted(1, 1)), try near(t), try near(try shifted(-1, 1)), try far(try shifted(-1, 2))]
  }
}

/// A convolution whose taps are moved by offsets, over two spatial axes.
struct DeformableConvolution {
  private let call: ONNXCall

  init(_ call: ONNXCall) { self.call = call }

  func build() throws -> ValueID {
    let (x, kernel, offset) = (try call.x(0), try call.x(1), try call.x(2))
    let type = call.type(x)
    let w = try call.fixedShape(call.type(kernel)), o = try call.fixedShape(call.type(offset)), shape = try call.fixedShape(type)
    guard shape.count == 4, w.count == 4, o.count == 4 else { throw call.unsupported("a deformable convolution over \(type.message)") }
    let window = try ONNXWindow(call, rank: 2, kernel: Array(w[2...]))
    let (groups, offsetGroups) = (try call.int("group", 1), try call.int("offset_group", 1))
    let taps = checkedProduct(w[2...]) ?? .max, (batch, channels, rows, columns) = (shape[0], shape[1], o[2], o[3])
    guard groups >= 1, offsetGroups >= 1, channels % groups == 0, channels % offsetGroups == 0, w[0] % groups == 0, w[1] == channels / groups,
      offsetGroups <= channels, taps <= 1024, o[1] == offsetGroups * taps * 2, (checkedProduct([batch, offsetGroups, taps, rows, columns]) ?? .max) <= 1 << 26
    else { throw call.wrong("its offsets \(o.shapeText) or kernel \(w.shapeText) do not fit \(type.message)") }
    let part = channels / offsetGroups
    // Each group of channels as an image of its own.
    let images = try call.reshape(x, [Dim(batch * offsetGroups), Dim(part), Dim(shape[2]), Dim(shape[3])])
    let sampler = try GridSampler(call, images)
    let places = batch * offsetGroups, area = rows * columns
    let moves = try call.reshape(offset, [Dim(places), Dim(taps), 2, Dim(area)])
    let dtype = call.type(offset).dtype
    var starts: [[Double]] = [[], []]
    for tap in 0..<taps {
      for position in 0..<area {
        let (row, column) = (position / columns, position % columns)
        starts[0].append(Double(row * window.strides[0] - window.pads[0].low + tap / w[3] * window.dilations[0]))
        starts[1].append(Double(column * window.strides[1] - window.pads[1].low + tap % w[3] * window.dilations[1]))
      }
    }
    let positions = try (0..<2).map { axis -> ValueID in
      let move = try call.drop(try call.slice(moves, axis: 2, axis, axis + 1), 2)
      let base = try call.numbers(starts[axis], [1, taps, area], dtype, "positions")
      return try call.reshape(try call.binary(.add, move, base), [Dim(places), Dim(taps * area)])
    }
    var values = try sampler.linear(positions)
    if call.has(4) {
      let mask = try call.reshape(try call.x(4), [Dim(places), Dim(taps * area), 1])
      values = try call.binary(.mul, values, mask)
    }
    // [batch, groups, channels of a group, taps, area] against the kernel's columns.
    let arranged = try call.transpose(try call.reshape(values, [Dim(batch), Dim(offsetGroups), Dim(taps), Dim(area), Dim(part)]), [0, 1, 4, 2, 3])
    let columnsOf = try call.reshape(arranged, [Dim(batch), Dim(groups), Dim(channels / groups * taps), Dim(area)])
    let weights = try call.reshape(kernel, [1, Dim(groups), Dim(w[0] / groups), Dim(w[1] * taps)])
    let wide = try call.broadcast(weights, [Dim(batch), Dim(groups), Dim(w[0] / groups), Dim(w[1] * taps)])
    var result = try call.reshape(try call.add(MatMul(), [wide, columnsOf], "matmul"), [Dim(batch), Dim(w[0]), Dim(rows), Dim(columns)])
    if call.has(3) { result = try call.binary(.add, result, try call.reshape(try call.x(3), [Dim(w[0]), 1, 1])) }
    return result
  }
}
