import GraphModule
import TensorModule

/// `Resize` and `Upsample`: each axis has its own weights from old to new positions.
struct ONNXResize {
  /// How one axis is resized.
  struct Axis {
    var length: Int
    var size: Int
    var scale: Double
    /// The part of the axis that is taken, as fractions.
    var start = 0.0
    var end = 1.0
  }

  private let mode: String
  private let coordinates: String
  private let nearest: String
  private let cubicA: Double
  private let excludesOutside: Bool
  private let antialias: Bool

  init(_ call: ONNXCall) throws {
    let isOld = call.op == "Upsample" || call.version < 11
    mode = try call.text("mode", "nearest")
    guard ["nearest", "linear", "cubic", "bilinear"].contains(mode) else { throw call.unsupported("the mode \(KilnError.quoted(mode))") }
    coordinates = try call.text("coordinate_transformation_mode", isOld ? "asymmetric" : "half_pixel")
    guard
      ["half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_crop_and_resize", "tf_half_pixel_for_nn"]
        .contains(coordinates)
    else { throw call.unsupported("the coordinates \(KilnError.quoted(coordinates))") }
    nearest = try call.text("nearest_mode", isOld ? "floor" : "round_prefer_floor")
    cubicA = try call.float("cubic_coeff_a", -0.75)
    excludesOutside = try call.bool("exclude_outside")
    antialias = try call.bool("antialias")
  }

  private var isLinear: Bool { mode == "linear" || mode == "bilinear" }

  // MARK: The op of the graph

  /// The op that means the same for images [batch, spatial..., channels], or nil.
  func plain(exactly isExact: Bool) -> (Resize.Mode, Resize.Coordinates, Resize.Rounding)? {
    guard !antialias, isExact else { return nil }
    let place: Resize.Coordinates
    switch coordinates {
    case "half_pixel": place = .halfPixel
    case "align_corners": place = .alignCorners
    case "asymmetric": place = .asymmetric
    default: return nil
    }
    if isLinear { return excludesOutside ? nil : (.bilinear, place, .floor) }
    guard mode == "nearest" else { return nil }
    switch nearest {
    case "round_prefer_floor": return (.nearest, place, .preferFloor)
    case "ceil": return (.nearest, place, .ceil)
    case "floor" where place != .halfPixel: return (.nearest, place, .floor)
    default: return nil
    }
  }

  // MARK: Weights

  /// Where position `index` of the result lies.
  private func position(_ index: Int, _ axis: Axis) -> Double {
    let i = Double(index)
    switch coordinates {
    case "half_pixel": return (i + 0.5) / axis.scale - 0.5
    case "half_pixel_symmetric":
      let adjustment = Double(axis.size) / (axis.scale * Double(axis.length))
      let centre = Double(axis.length) / 2
      return centre * (1 - adjustment) + (i + 0.5) / axis.scale - 0.5
    case "pytorch_half_pixel": return axis.size > 1 ? (i + 0.5) / axis.scale - 0.5 : 0
    case "align_corners": return axis.size > 1 ? i * Double(axis.length - 1) / Double(axis.size - 1) : 0
    case "asymmetric": return i / axis.scale
    case "tf_half_pixel_for_nn": return (i + 0.5) / axis.scale
    default:
      let last = Double(axis.length - 1)
      if axis.size > 1 { return axis.start * last + i * (axis.end - axis.start) * last / Double(axis.size - 1) }
      return 0.5 * (axis.start + axis.end) * last
    }
  }

  /// Positions outside the axis, which get another value by `tf_crop_and_resize`.
  func outside(_ axis: Axis) -> [Bool] {
    (0..<axis.size).map { index in
      let x = position(index, axis)
      return coordinates == "tf_crop_and_resize" && (x < 0 || x > Double(axis.length - 1))
    }
  }

  /// The pixels that `nearest` takes.
  func sources(_ axis: Axis) -> [Int]? {
    guard mode == "nearest" else { return nil }
    return (0..<axis.size).map { index in
      let x = position(index, axis)
      let place: Double =
        switch nearest {
        case "floor": x.rounded(.down)
        case "ceil": x.rounded(.up)
        case "round_prefer_ceil": (x + 0.5).rounded(.down)
        default: (x - 0.5).rounded(.up)
        }
      return Int(min(max(place, 0), Double(axis.length - 1)))
    }
  }

  /// The weights [size, length].
  func weights(_ axis: Axis) -> [Double] {
    var result = [Double](repeating: 0, count: axis.size * axis.length)
    for index in 0..<axis.size {
      let x = position(index, axis)
      // A whole position is the right one of its two neighbours.
      let base = x == x.rounded(.down) ? x - 1 : x.rounded(.down)
      let ratio = x - base
      let stretch = antialias && axis.scale < 1 ? axis.scale : 1
      var taps: [(offset: Int, weight: Double)]
      if isLinear {
        let first = Int((-1 / stretch).rounded(.down)) + 1
        taps = (first..<(2 - first)).map { ($0, min(max(1 - ((Double($0) - ratio) * stretch).magnitude, 0), 1)) }
      } else {
        let first = Int((-2 / stretch).rounded(.down)) + 1
        taps = (first..<(2 - first)).map { ($0, cubic((Double($0) - ratio) * stretch)) }
      }
      func place(_ offset: Int) -> Int { Int(base) + offset }
      if excludesOutside { taps = taps.map { (0..<axis.length).contains(place($0.offset)) ? $0 : ($0.offset, 0) } }
      if excludesOutside || antialias {
        let sum = taps.reduce(0) { $0 + $1.weight }
        if sum != 0 { taps = taps.map { ($0.offset, $0.weight / sum) } }
      }
      for tap in taps { result[index * axis.length + min(max(place(tap.offset), 0), axis.length - 1)] += tap.weight }
    }
    return result
  }

  private func cubic(_ distance: Double) -> Double {
    let x = distance.magnitude, a = cubicA
    if x <= 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0
  }
}

extension ONNXOpCatalog {
  static func resized(_ call: ONNXCall) throws -> ValueID {
    let resize = try ONNXResize(call)
    var x = try call.x(0)
    let type = call.type(x)
    let isOld = call.op == "Upsample" || call.version < 11
    let axes = call.has("axes") ? try call.ints("axes").map { try call.axis($0, type.rank) } : Array(0..<type.rank)
    let scalesAt = isOld ? 1 : 2
    var scales = [Double?](repeating: 1, count: type.rank)
    var dims = type.dims
    func isEmpty(_ index: Int) throws -> Bool { try !call.has(index) || call.input(index).type.elementCount == 0 }
    let hasScales = try call.has("scales") || !isEmpty(scalesAt)
    if hasScales {
      let given = call.has("scales") ? try call.floats("scales") : try call.constant(scalesAt, "scales").doubles
      guard given.count == axes.count, given.allSatisfy({ $0 > 0x1p-20 && $0 < 0x1p20 }) else { throw call.wrong("scales \(given) do not fit \(type.message)") }
      let roi = try part(call, axes.count)
      for (index, axis) in axes.enumerated() {
        scales[axis] = given[index]
        if let length = type.dims[axis].fixed {
          let part = roi.map { $0[index + axes.count] - $0[index] } ?? 1
          dims[axis] = Dim(try whole(call, Double(length) * part * given[index]))
        } else if given[index] == given[index].rounded() {
          dims[axis] = type.dims[axis] * Dim(Int(given[index]))
        } else if let part = Int(exactly: (1 / given[index]).rounded()), given[index] == 1 / Double(part) {
          dims[axis] = type.dims[axis].floorDivided(by: part)
        } else {
          throw KilnError(.unsupportedModel, "axis \(axis) of \(type.message) must be known", hint: "give the inputs' shapes with --input-shape")
        }
      }
    } else if !isOld, try !isEmpty(3) {
      guard let sizes = try call.dims(3), sizes.count == axes.count else { throw call.unsupported("sizes that depend on the model's data") }
      var ratios: [Double?] = []
      for (index, axis) in axes.enumerated() {
        if let size = sizes[index].fixed, let length = type.dims[axis].fixed {
          guard size >= 0, length > 0 || size == 0 else { throw call.wrong("sizes \(sizes) do not fit \(type.message)") }
          ratios.append(length == 0 ? 1 : Double(size) / Double(length))
        } else {
          ratios.append(sizes[index] == type.dims[axis] ? 1 : nil)
        }
      }
      switch try call.text("keep_aspect_ratio_policy", "stretch") {
      case "stretch":
        for (index, axis) in axes.enumerated() { (dims[axis], scales[axis]) = (sizes[index], ratios[index]) }
      case let policy:
        guard policy == "not_larger" || policy == "not_smaller" else { throw call.wrong("the policy \(KilnError.quoted(policy)) is unknown") }
        let known = ratios.compactMap { $0 }
        guard known.count == ratios.count, let ratio = policy == "not_larger" ? known.min() : known.max() else { throw call.unsupported("a policy for unknown sizes") }
        for axis in axes {
          scales[axis] = ratio
          dims[axis] = Dim(try whole(call, Double(try call.fixed(type.dims[axis])) * ratio + 0.5))
        }
      }
    } else {
      throw call.wrong("has neither scales nor sizes")
    }
    // Images with their channels last, when the op of the graph means the same.
    let isExact = (0..<type.rank).allSatisfy { axis in
      guard let scale = scales[axis] else { return true }
      guard let length = type.dims[axis].fixed, let size = dims[axis].fixed else { return scale == scale.rounded() || (1 / scale) == (1 / scale).rounded() }
      return Double(length) * scale == Double(size)
    }
    if !isExact, hasScales, try call.text("coordinate_transformation_mode", "half_pixel") == "align_corners" {
      // ONNX's definition takes the length before rounding, ONNX Runtime that after it.
      throw call.unsupported("aligned corners with scales that give no whole lengths")
    }
    if (3...5).contains(type.rank), dims[0] == type.dims[0], dims[1] == type.dims[1], let (mode, coordinates, rounding) = resize.plain(exactly: isExact),
      mode == .nearest || type.dtype.isFloat
    {
      return try call.channelsLast(x) { x in
        try call.add(Resize(mode, coordinates: coordinates, rounding: rounding, dims: Array(dims[2...])), [x], "resize")
      }
    }
    let roi = try part(call, axes.count)
    var mask: ValueID?
    for axis in 0..<type.rank where dims[axis] != type.dims[axis] || scales[axis] != 1 || roi != nil {
      var own = ONNXResize.Axis(length: try call.fixed(type.dims[axis]), size: try call.fixed(dims[axis]), scale: 1)
      guard own.length >= 1, own.size * own.length <= 1 << 22 else { throw call.unsupported("an axis from \(own.length) to \(own.size)") }
      own.scale = scales[axis] ?? Double(own.size) / Double(own.length)
      guard own.size == 0 || (0x1p-20...0x1p31).contains(own.scale) else { throw call.unsupported("a scale of \(own.scale)") }
      if let roi, let index = axes.firstIndex(of: axis) { (own.start, own.end) = (roi[index], roi[index + axes.count]) }
      if let sources = resize.sources(own) {
        x = try call.add(Gather(axis: axis), [x, try call.numbers(sources.map(Double.init), [own.size], .int32, "sources")], "gather")
      } else {
        let wide = type.dtype == .float64 ? DType.float64 : .float32
        let matrix = try call.numbers(resize.weights(own), [own.size, own.length], wide, "weights")
        let order = (0..<type.rank).filter { $0 != axis } + [axis]
        var back = [Int](repeating: 0, count: type.rank)
        for (place, axis) in order.enumerated() { back[axis] = place }
        let rows = try call.cast(try call.transpose(x, order), wide)
        let flat = try call.reshape(rows, [call.type(rows).dims.dropLast().reduce(1, *), Dim(own.length)])
        let product = try call.add(MatMul(transposeB: true), [flat, matrix], "matmul")
        x = try call.transpose(try call.reshape(product, Array(call.type(rows).dims.dropLast()) + [Dim(own.size)]), back)
      }
      let outside = resize.outside(own)
      if outside.contains(true) {
        let line = call.constant(try Tensor(outside, shape: [Int](repeating: 1, count: axis) + [own.size] + [Int](repeating: 1, count: type.rank - axis - 1)), "outside")
        mask = try mask.map { try call.binary(.or, $0, line) } ?? line
      }
    }
    x = try call.cast(x, type.dtype)
    if let mask { x = try call.select(mask, try call.scalar(try call.float("extrapolation_value", 0), type.dtype), x) }
    return x
  }

  /// A length, rounded down.
  private static func whole(_ call: ONNXCall, _ length: Double) throws -> Int {
    guard length >= 0, length < 0x1p31 else { throw call.wrong("a length of \(length)") }
    return Int(length)
  }

  /// The part of the image that `tf_crop_and_resize` takes.
  private static func part(_ call: ONNXCall, _ count: Int) throws -> [Double]? {
    guard try call.text("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize" else { return nil }
    let numbers = try call.constant(1, "a region").doubles
    guard numbers.count == 2 * count else { throw call.wrong("its region has \(numbers.count) numbers for \(count) axes") }
    guard numbers.allSatisfy({ $0.magnitude < 0x1p20 }) else { throw call.wrong("its region is out of range") }
    return numbers
  }
}
