import GraphModule
import TensorModule

extension ONNXOpCatalog {
  static let images = Family(
    "Images and boxes",
    [
      Row(like: 0, "Resize", since: 10) { [try resized($0)] },
      Row(like: 0, "Upsample", since: 7) { [try resized($0)] },
      Row("GridSample", since: 16) { [try gridSample($0)] },
      Row("AffineGrid", since: 20) { [try affineGrid($0)] },
      Row("RoiAlign", since: 10) { [try roiAlign($0)] },
      Row("NonMaxSuppression", since: 10) { [try suppressed($0)] },
    ])

  private static func affineGrid(_ call: ONNXCall) throws -> ValueID {
    let theta = try call.x(0), dtype = call.type(theta).dtype
    let size = try call.integers(1, "a size")
    let rank = size.count - 2
    guard rank == 2 || rank == 3, size.allSatisfy({ $0 >= 0 }), let area = checkedProduct(size[2...]), area <= 1 << 22,
      call.type(theta).dims == [Dim(size[0]), Dim(rank), Dim(rank + 1)]
    else { throw call.wrong("\(call.type(theta).message) does not fit the size \(size)") }
    let align = try call.bool("align_corners")
    func line(_ length: Int) -> [Double] {
      (0..<length).map { index -> Double in
        let place = 2 * Double(index)
        if align { return length > 1 ? place / Double(length - 1) - 1 : 0 }
        return (place + 1) / Double(length) - 1
      }
    }
    let lines = size[2...].map(line)
    // Rows (x, y, z, 1): the innermost axis first.
    var points: [Double] = []
    for position in 0..<area {
      var rest = position
      for axis in (0..<rank).reversed() {
        points.append(lines[axis][rest % size[axis + 2]])
        rest /= size[axis + 2]
      }
      points.append(1)
    }
    let grid = try call.broadcast(try call.numbers(points, [1, area, rank + 1], dtype, "points"), [Dim(size[0]), Dim(area), Dim(rank + 1)])
    let moved = try call.add(MatMul(transposeB: true), [grid, theta], "matmul")
    return try call.reshape(moved, [Dim(size[0])] + size[2...].map { Dim($0) } + [Dim(rank)])
  }

  private static func roiAlign(_ call: ONNXCall) throws -> ValueID {
    let (x, rois, batch) = (try call.x(0), try call.x(1), try call.x(2))
    let type = call.type(x), dtype = call.type(rois).dtype
    let (rows, columns) = (try call.int("output_height", 1), try call.int("output_width", 1))
    let ratio = try call.int("sampling_ratio", 0), scale = try call.float("spatial_scale", 1)
    guard type.rank == 4, (1...1024).contains(rows), (1...1024).contains(columns) else { throw call.wrong("its output \(rows), \(columns) or \(type.message) is out of range") }
    guard (1...64).contains(ratio) else { throw call.unsupported("a number of samples that depends on the regions (sampling_ratio = 0)") }
    let isHalf = try call.text("coordinate_transformation_mode", call.version >= 16 ? "half_pixel" : "output_half_pixel") == "half_pixel"
    let count = call.type(rois).dims[0]
    func corner(_ index: Int) throws -> ValueID {
      try call.unary(.affine, try call.slice(rois, axis: 1, index, index + 1), [scale, isHalf ? -0.5 : 0])
    }
    let picked = try call.add(Gather(axis: 0), [x, batch], "gather")
    var sampler = try GridSampler(call, picked)
    sampler.isZeroOutside = false
    let shape = sampler.shape
    // Positions [rois, cells · samples] along an axis.
    func positions(_ low: ValueID, _ high: ValueID, _ cells: Int) throws -> ValueID {
      var length = try call.binary(.sub, high, low)
      if !isHalf { length = try call.binary(.max, length, try call.scalar(1, dtype)) }
      let steps = (0..<cells * ratio).map { (Double($0 / ratio) + (Double($0 % ratio) + 0.5) / Double(ratio)) / Double(cells) }
      let line = try call.numbers(steps, [1, cells * ratio], dtype, "steps")
      return try call.binary(.add, low, try call.binary(.mul, length, line))
    }
    let ys = try positions(try corner(1), try corner(3), rows), xs = try positions(try corner(0), try corner(2), columns)
    let (h, w) = (rows * ratio, columns * ratio)
    let total = Dim(h * w)
    func spread(_ value: ValueID, _ axis: Int) throws -> ValueID {
      try call.reshape(try call.broadcast(try call.expand(value, axis == 0 ? 2 : 1), [count, Dim(h), Dim(w)]), [count, total])
    }
    let y = try spread(ys, 0), column = try spread(xs, 1)
    func inside(_ value: ValueID, _ length: Int) throws -> ValueID {
      try call.binary(
        .and, try call.binary(.greaterEqual, value, try call.scalar(-1, dtype)), try call.binary(.lessEqual, value, try call.scalar(Double(length), dtype)))
    }
    let valid = try call.binary(.and, try inside(y, shape[0]), try inside(column, shape[1]))
    let safe = [try call.unary(.clip, y, [0, Double(shape[0] - 1)]), try call.unary(.clip, column, [0, Double(shape[1] - 1)])]
    let isMax = try call.text("mode", "avg") == "max"
    var values: ValueID
    if isMax {
      // The largest of the weighted corners of all samples.
      let lows = try safe.map { try call.unary(.floor, $0) }
      var best: ValueID?
      for corner in 0..<4 {
        var weight: ValueID?
        var places: [ValueID] = []
        for axis in 0..<2 {
          let rest = try call.binary(.sub, safe[axis], lows[axis])
          let isHigh = corner >> axis & 1 == 1
          places.append(isHigh ? try call.unary(.affine, lows[axis], [1, 1]) : lows[axis])
          let part = isHigh ? rest : try call.unary(.affine, rest, [-1, 1])
          weight = try weight.map { try call.binary(.mul, $0, part) } ?? part
        }
        guard let weight else { continue }
        let term = try call.binary(.mul, try sampler.taken(places), try call.expand(weight, 2))
        best = try best.map { try call.binary(.max, $0, term) } ?? term
      }
      guard let best else { throw call.wrong("has no samples") }
      values = best
    } else {
      values = try sampler.linear(safe)
    }
    values = try call.select(try call.expand(valid, 2), values, try call.scalar(0, call.type(values).dtype))
    let parts = try call.reshape(values, [count, Dim(rows), Dim(ratio), Dim(columns), Dim(ratio), type.dims[1]])
    let pooled = try call.reduce(isMax ? .max : .mean, parts, [2, 4])
    return try call.transpose(pooled, [0, 3, 1, 2])
  }

  /// The boxes that remain of each class: rows of (batch, class, box).
  private static func suppressed(_ call: ONNXCall) throws -> ValueID {
    var boxes = try call.x(0)
    let scores = try call.x(1)
    let shape = try call.fixedShape(TensorType(.float32, Array(call.type(scores).dims.prefix(2))))
    guard shape.count == 2, call.type(boxes).rank == 3, call.type(scores).rank == 3, shape[0] * shape[1] <= 4096 else {
      throw call.unsupported("boxes \(call.type(boxes).message) with scores \(call.type(scores).message)")
    }
    if try call.bool("center_point_box") {
      func column(_ index: Int) throws -> ValueID { try call.slice(boxes, axis: 2, index, index + 1) }
      let (x, y, w, h) = (try column(0), try column(1), try call.unary(.affine, try column(2), [0.5, 0]), try call.unary(.affine, try column(3), [0.5, 0]))
      boxes = try call.concat(
        [try call.binary(.sub, y, h), try call.binary(.sub, x, w), try call.binary(.add, y, h), try call.binary(.add, x, w)], axis: 2)
    }
    func threshold(_ index: Int, _ fallback: Double) throws -> ValueID {
      call.has(index) ? try call.reshape(try call.cast(try call.x(index), .float32), []) : try call.scalar(fallback, .float32)
    }
    let most = call.has(2) ? try call.reshape(try call.x(2), []) : try call.scalar(0, .int64)
    let (overlap, least) = (try threshold(3, 0), try threshold(4, -3.4e38))
    var rows: [ValueID] = []
    for batch in 0..<shape[0] {
      let own = try call.drop(try call.slice(boxes, axis: 0, batch, batch + 1), 0)
      for label in 0..<shape[1] {
        let one = try call.drop(try call.drop(try call.slice(try call.slice(scores, axis: 0, batch, batch + 1), axis: 1, label, label + 1), 0), 0)
        let count = call.dataSize()
        let results = try call.addAll(NonMaxSuppression(count), [own, one, most, overlap, least, try call.scalar(0, .float32)], "suppress")
        guard let picks = results.first else { throw KilnError(.internal, "non_max_suppression has no result") }
        let places = try call.reshape(try call.cast(picks, .int64), [count, 1])
        func line(_ number: Int) throws -> ValueID { try call.broadcast(try call.scalar(Double(number), .int64), [count, 1]) }
        rows.append(try call.concat([try line(batch), try line(label), places], axis: 1))
      }
    }
    guard !rows.isEmpty else { throw call.wrong("has no classes") }
    return try call.concat(rows, axis: 0)
  }
}
