import GraphModule
import TensorModule

extension FunctionCatalog {
  /// Images read at other places.
  static let transformations: [String: Meaning] = [
    "affine_transform": { call in
      guard let given = try call.numbers(1, "transform"), given.shape.last == 8, given.shape.count <= 2 else {
        throw call.unsupported("a transform that is no constant of 8 numbers each")
      }
      return [try projected(call, given.values, given.values.count / 8, mode: try call.string("fill_mode") ?? "constant")]
    },
    "perspective_transform": { call in
      guard let start = try call.numbers(1, "start_points"), let end = try call.numbers(2, "end_points"),
        start.values.count == end.values.count, start.values.count % 8 == 0, !start.values.isEmpty
      else { throw call.unsupported("points that are no constants of 4 × 2 numbers each") }
      let count = start.values.count / 8
      let transforms = try (0..<count).flatMap { index -> [Double] in
        let range = index * 8..<(index + 1) * 8
        return try homography(call, Array(start.values[range]), Array(end.values[range]))
      }
      return [try projected(call, transforms, count, mode: "constant")]
    },
    "map_coordinates": { call in
      let x = try call.floatTensor(0, "inputs")
      let places = try call.floatTensor(1, "coordinates")
      guard call.dtype(of: x) == call.dtype(of: places), let axes = call.dims(of: places)[0].fixed, axes == call.rank(x), axes > 0 else {
        throw call.wrong("coordinates must have one row for each axis of the input")
      }
      guard let order = try call.json(at: 2, "order")?.intValue, (0...1).contains(order) else { throw call.unsupported("an order over 1") }
      let mode = try call.string("fill_mode") ?? "constant"
      let fill = try call.json(at: 4, "fill_value")?.doubleValue ?? 0
      let lengths = try (0..<axes).map { try call.length(x, $0) }
      let strides = lengths.rowMajorStrides
      let flat = try call.layer.reshape(x, [call.type(x).elementCount])
      // For each axis the places that take part, with their weights.
      var corners: [(index: ValueID, inside: ValueID?, weight: ValueID?)] = []
      for axis in 0..<axes {
        let place = try call.dropped(try call.range(places, axis: 0, axis, axis + 1), axis: 0)
        let length = lengths[axis]
        var nodes: [(ValueID, ValueID?)] = [(try call.apply(.round, place), nil)]
        if order == 1 {
          let low = try call.apply(.floor, place)
          let upper = try call.apply(.sub, place, low)
          nodes = [(low, try call.affine(upper, -1, 1)), (try call.affine(low, 1, 1), upper)]
        }
        var next: [(index: ValueID, inside: ValueID?, weight: ValueID?)] = []
        for (position, weight) in nodes {
          let (safe, inside) = try folded(call, position, length, mode)
          let offset = try call.affine(try call.cast(safe, .int64), Double(strides[axis]), 0)
          if axis == 0 { next.append((offset, inside, weight)) }
          for corner in corners {
            let both = try inside.flatMap { own in try corner.inside.map { try call.apply(.and, $0, own) } } ?? inside
            let product = try weight.flatMap { own in try corner.weight.map { try call.apply(.mul, $0, own) } } ?? weight
            next.append((try call.apply(.add, corner.index, offset), both, product))
          }
        }
        corners = next
      }
      var sum: ValueID?
      for corner in corners {
        var value = try call.layer.add(Gather(axis: 0), [flat, corner.index], "pixels")
        if let inside = corner.inside { value = try call.select(try everywhere(inside, call), value, fill) }
        if let weight = corner.weight { value = try call.apply(.mul, value, weight) }
        sum = try sum.map { try call.apply(.add, $0, value) } ?? value
      }
      guard let sum else { throw call.wrong("no coordinates") }
      return [sum]
    },
    "scale_and_translate": { call in
      let x = try call.floatTensor(0, "images")
      guard let json = try call.json(at: 1, "output_shape"), let scales = try call.numbers(2, "scale"), let moves = try call.numbers(3, "translation"),
        let axes = try call.ints("spatial_dims"), scales.values.count == axes.count, moves.values.count == axes.count
      else { throw call.unsupported("a scale or translation that is no constant") }
      let size = try call.integers(json, "output_shape")
      let methods: [String: Interpolation] = [
        "linear": .bilinear, "bilinear": .bilinear, "trilinear": .bilinear, "triangle": .bilinear, "cubic": .bicubic, "bicubic": .bicubic,
        "tricubic": .bicubic, "lanczos3": .lanczos3, "lanczos5": .lanczos5,
      ]
      guard let method = methods[try call.string("method") ?? ""], size.count == call.rank(x) else { throw call.wrong("method or output_shape do not fit") }
      let antialias = try call.bool("antialias") ?? true
      var result = x
      for (index, given) in axes.enumerated() {
        let axis = try call.axis(given, of: x)
        let (from, to) = (try call.length(result, axis), size[axis])
        try call.limited(from, to)
        let weights = method.weights(
          from: from, to: to, scale: scales.values[index], translation: moves.values[index], antialias: antialias)
        let moved = try call.axisLast(result, axis)
        let flat = try call.layer.reshape(moved, [Array(call.dims(of: moved).dropLast()).reduce(1, *), Dim(from)])
        let mixed = try call.product(flat, try call.constant(weights, [to, from], call.dtype(of: x)), transposeB: true)
        result = try call.lastTo(try call.layer.reshape(mixed, Array(call.dims(of: moved).dropLast()) + [Dim(to)]), axis)
      }
      return [result]
    },
  ]

  /// Keras 3.9 and 3.10 fill all results as soon as one place is outside.
  private static func everywhere(_ inside: ValueID, _ call: FunctionCall) throws -> ValueID {
    let dialect = call.layer.dialect
    guard dialect.isKeras3, !dialect.isBefore(3, 9), dialect.isBefore(3, 11) else { return inside }
    return try call.layer.add(Reduce(.all, axes: Array(0..<call.rank(inside)), keepDims: true), [inside], "inside")
  }

  /// A position brought into 0 ..< length, and whether it was there.
  private static func folded(
    _ call: FunctionCall, _ position: ValueID, _ length: Int, _ mode: String
  ) throws -> (ValueID, ValueID?) {
    let last = Double(length - 1)
    switch mode {
    case "constant":
      let inside = try call.apply(.and, try call.apply(.greaterEqual, position, 0), try call.apply(.less, position, Double(length)))
      return (try call.layer.unary(.clip, [0, last], position), inside)
    case "nearest": return (try call.layer.unary(.clip, [0, last], position), nil)
    case "wrap": return (try call.apply(.mod, position, Double(length)), nil)
    case "mirror", "reflect":
      let rest = try call.apply(.mod, try call.apply(.abs, position), Double(2 * length))
      let back = try call.affine(rest, -1, Double(2 * length) - (mode == "reflect" ? 1 : 0))
      let under = try call.apply(.less, rest, Double(length))
      // One past the end is outside in TensorFlow's own formula, whose gather then gives 0.
      if mode == "mirror" { throw call.unsupported("fill_mode 'mirror'") }
      return (try call.select(under, rest, back), nil)
    default: throw call.unsupported("fill_mode \(KilnError.quoted(mode))")
    }
  }

  /// The transform of 8 numbers that takes the end points to the start points.
  private static func homography(_ call: FunctionCall, _ start: [Double], _ end: [Double]) throws -> [Double] {
    var rows: [[Double]] = []
    for corner in 0..<4 {
      let (x, y, u, v) = (end[2 * corner], end[2 * corner + 1], start[2 * corner], start[2 * corner + 1])
      rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y, u])
      rows.append([0, 0, 0, x, y, 1, -v * x, -v * y, v])
    }
    for column in 0..<8 {
      guard let pivot = (column..<8).max(by: { abs(rows[$0][column]) < abs(rows[$1][column]) }), rows[pivot][column] != 0 else {
        throw call.wrong("the points lie on a line")
      }
      rows.swapAt(pivot, column)
      for row in 0..<8 where row != column {
        let factor = rows[row][column] / rows[column][column]
        for k in column..<9 { rows[row][k] -= factor * rows[column][k] }
      }
    }
    return (0..<8).map { rows[$0][8] / rows[$0][$0] }
  }

  /// Images at projected places: the transforms take a pixel of the result to its place in the image.
  private static func projected(_ call: FunctionCall, _ transforms: [Double], _ count: Int, mode: String) throws -> ValueID {
    var x = try call.floatTensor(0, "images")
    let first = try call.string("data_format") == "channels_first"
    let single = call.rank(x) == 3
    if single { x = try call.layer.expand(x, axis: 0) }
    guard call.rank(x) == 4 else { throw call.wrong("needs images, found \(call.type(x).message)") }
    if first { x = try call.layer.transpose(x, [0, 2, 3, 1]) }
    let (rows, columns) = (try call.length(x, 1), try call.length(x, 2))
    try call.limited(rows, columns, count)
    guard count == 1 || call.dims(of: x)[0].fixed.map({ $0 == count }) ?? true else { throw call.wrong("\(count) transforms for other images") }
    let bilinear = (try call.string("interpolation") ?? "bilinear") == "bilinear"
    let fill = try call.double("fill_value") ?? 0
    // The weights of up to four pixels for each pixel of the result are known now.
    var picks = [[Int64]](repeating: [], count: bilinear ? 4 : 1)
    var weights = [[Double]](repeating: [], count: picks.count)
    var rest: [Double] = []
    for image in 0..<count {
      let t = transforms[image * 8..<(image + 1) * 8].map { Float($0) }
      for row in 0..<rows {
        for column in 0..<columns {
          let (u, v) = (Float(column), Float(row))
          let projection = t[6] * u + t[7] * v + 1
          var outside = 1.0
          let across = ImageEdge.moved((t[0] * u + t[1] * v + t[2]) / projection, columns, mode)
          let down = ImageEdge.moved((t[3] * u + t[4] * v + t[5]) / projection, rows, mode)
          guard let across, let down else { throw call.unsupported("fill_mode \(KilnError.quoted(mode))") }
          var corners: [(Int, Int, Double)] = []
          if projection == 0 || !across.isFinite || !down.isFinite || abs(across) > 1e9 || abs(down) > 1e9 {
            corners = picks.map { _ in (-1, -1, 0) }
          } else if bilinear {
            let (x0, y0) = (across.rounded(.down), down.rounded(.down))
            let (a, b) = (Double(across - x0), Double(down - y0))
            corners = [
              (Int(y0), Int(x0), (1 - b) * (1 - a)), (Int(y0), Int(x0) + 1, (1 - b) * a), (Int(y0) + 1, Int(x0), b * (1 - a)),
              (Int(y0) + 1, Int(x0) + 1, b * a),
            ]
          } else {
            corners = [(Int(down.rounded(.toNearestOrAwayFromZero)), Int(across.rounded(.toNearestOrAwayFromZero)), 1)]
          }
          for (index, corner) in corners.enumerated() {
            let inside = (0..<rows).contains(corner.0) && (0..<columns).contains(corner.1)
            picks[index].append(inside ? Int64(corner.0 * columns + corner.1) : 0)
            weights[index].append(inside ? corner.2 : 0)
            if inside { outside -= corner.2 }
          }
          rest.append(outside * fill)
        }
      }
    }
    let dims = call.dims(of: x)
    let flat = try call.layer.reshape(x, [dims[0], dims[1] * dims[2], dims[3]])
    let pixels = rows * columns
    var sum = try call.constant(rest, [count, pixels, 1], call.dtype(of: x))
    for (indices, amounts) in zip(picks, weights) {
      let table = call.layer.constant(
        try Tensor(integers: indices, dtype: .int64, shape: count == 1 ? [pixels] : [count, pixels]), "pixels")
      let picked = try call.layer.add(count == 1 ? Gather(axis: 1) : Gather(axis: 1, batchDims: 1), [flat, table], "pixels")
      sum = try call.apply(.add, sum, try call.apply(.mul, picked, try call.constant(amounts, [count, pixels, 1], call.dtype(of: x))))
    }
    var result = try call.layer.reshape(sum, dims)
    if first { result = try call.layer.transpose(result, [0, 3, 1, 2]) }
    return single ? try call.dropped(result, axis: 0) : result
  }
}

/// Where TensorFlow reads a position outside an image.
private enum ImageEdge {
  /// Nil for an unknown mode.
  static func moved(_ place: Float, _ length: Int, _ mode: String) -> Float? {
    let last = Float(length - 1)
    func clamped(_ x: Float) -> Float { min(max(x, 0), last) }
    guard place.isFinite, abs(place) < 1e9 else { return mode == "constant" ? place : 0 }
    switch mode {
    case "constant": return place
    case "nearest": return clamped(place)
    case "reflect":
      if length <= 1 { return 0 }
      let double = Float(2 * length)
      var x = place
      if x < 0 {
        if x < double { x = double * Float(Int(-x / double)) + x }
        x = x < -Float(length) ? x + double : -x - 1
      } else if x > last {
        x -= double * Float(Int(x / double))
        if x >= Float(length) { x = double - x - 1 }
      }
      return clamped(x)
    case "wrap":
      if length <= 1 { return 0 }
      var x = place
      if x < 0 { x += Float(length) * Float(Int(-x / last) + 1) } else if x > last { x -= Float(length) * Float(Int(x / last)) }
      return clamped(x)
    default: return nil
    }
  }
}
