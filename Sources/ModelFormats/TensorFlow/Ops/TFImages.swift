import GraphModule
import TensorModule

extension TFOpCatalog {
  static let images = Family(
    "Images",
    [
      "ResizeBilinear": { call in
        let x = try call.cast(try call.x(0), .float32)
        return [try call.add(Resize(.bilinear, coordinates: try coordinates(call), dims: try sizes(call)), [x], "resize")]
      },
      "ResizeNearestNeighbor": { [try nearest($0)] },
      "ResizeArea": { call in
        let x = try call.cast(try call.x(0), .float32)
        let corners = try call.bool("align_corners"), target = try sizes(call)
        if try TFOpenResample.isOpen(call, x, target) { return [try TFOpenResample.area(call, x, target, alignCorners: corners)] }
        return [try TFResample.apply(call, x, target) { input, output in try TFResample.area(input, output, alignCorners: corners) }]
      },
      "ResizeBicubic": { call in
        let x = try call.cast(try call.x(0), .float32)
        let (corners, half) = (try call.bool("align_corners"), try call.bool("half_pixel_centers"))
        let target = try sizes(call)
        if try TFOpenResample.isOpen(call, x, target) { return [try TFOpenResample.cubic(call, x, target, alignCorners: corners, halfPixel: half)] }
        return [try TFResample.apply(call, x, target) { TFResample.cubic($0, $1, alignCorners: corners, halfPixel: half) }]
      },
      "ScaleAndTranslate": { call in
        let x = try call.cast(try call.x(0), .float32)
        let (scale, shift) = (try call.constant(2, "a scale").doubles, try call.constant(3, "a translation").doubles)
        guard scale.count == 2, shift.count == 2 else { throw call.wrong("needs 2 scales and translations") }
        let kernel = try TFResample.Kernel(call, try call.text("kernel_type", "lanczos3"))
        let smooth = try call.bool("antialias", true)
        var axis = 0
        return [try TFResample.apply(call, x, try sizes(call)) { input, output in
          defer { axis += 1 }
          return TFResample.spans(input, output, scale: scale[axis], translate: shift[axis], kernel, antialias: smooth)
        }]
      },
      "CropAndResize": { [try crops($0)] },
      "ExtractImagePatches": { [try patches($0)] },
      "RGBToHSV": { [try hsv($0)] },
      "HSVToRGB": { [try rgb($0)] },
      "AdjustContrastv2": { call in
        let x = try call.x(0), type = call.type(x)
        guard type.rank >= 3 else { throw call.wrong("needs images, found \(type.message)") }
        let mean = try call.reduce(.mean, x, [type.rank - 3, type.rank - 2], keepDims: true)
        return [try call.binary(.add, try call.binary(.mul, try call.binary(.sub, x, mean), try call.cast(try call.x(1), type.dtype)), mean)]
      },
      "AdjustSaturation": { call in
        let parts = try channels(call, try hsv(call))
        let saturation = try call.unary(.clip, try call.binary(.mul, parts[1], try call.x(1)), [0, 1])
        return [try rgb(call, [parts[0], saturation, parts[2]])]
      },
      "AdjustHue": { call in
        let parts = try channels(call, try hsv(call))
        let turned = try call.binary(.add, parts[0], try call.x(1))
        return [try rgb(call, [try call.binary(.sub, turned, try call.unary(.floor, turned)), parts[1], parts[2]])]
      },
    ])

  private static func sizes(_ call: TFCall) throws -> [Dim] {
    let dims = try call.sizes(1, "a size")
    guard dims.count == 2 else { throw call.wrong("needs a height and a width, found \(dims.count) numbers") }
    return dims
  }

  private static func coordinates(_ call: TFCall) throws -> Resize.Coordinates {
    try call.bool("align_corners") ? .alignCorners : try call.bool("half_pixel_centers") ? .halfPixel : .asymmetric
  }

  private static func nearest(_ call: TFCall) throws -> ValueID {
    let x = try call.x(0)
    let target = try sizes(call)
    let spatial = Array(call.type(x).dims.dropFirst().prefix(2))
    guard spatial.count == 2 else { throw call.wrong("needs images, found \(call.type(x).message)") }
    let corners = try call.bool("align_corners")
    if corners, try TFOpenResample.isOpen(call, x, target) { return try TFOpenResample.nearestByCorners(call, x, target) }
    guard corners, let from = TensorType(.int32, spatial).shape, let to = TensorType(.int32, target).shape else {
      return try call.add(Resize(.nearest, coordinates: try coordinates(call), rounding: .floor, dims: target), [x], "resize")
    }
    // Half-way positions are rounded up.
    var value = x
    for axis in 0..<2 where from[axis] != to[axis] {
      let scale: Float = to[axis] > 1 ? Float(from[axis] - 1) / Float(to[axis] - 1) : Float(from[axis]) / Float(max(to[axis], 1))
      let places = (0..<to[axis]).map { Double(min((Float($0) * scale).rounded(.toNearestOrAwayFromZero), Float(from[axis] - 1))) }
      value = try call.add(Gather(axis: axis + 1), [value, try call.numbers(places, [to[axis]], .int32, "rows")], "gather")
    }
    return value
  }

  /// Windows of pixels laid along the channels: row, column, channel.
  private static func patches(_ call: TFCall) throws -> ValueID {
    var x = try call.x(0)
    let window = try TFWindow.spatial(call, try call.ints("ksizes"), 2, false, "ksizes")
    let strides = try TFWindow.spatial(call, try call.ints("strides"), 2, false, "strides")
    let rates = try TFWindow.spatial(call, try call.ints("rates"), 2, false, "rates")
    guard window[0] * window[1] <= 4096, call.type(x).rank == 4 else { throw call.unsupported("so large a window") }
    let padding: Padding = try call.text("padding") == "SAME" ? .same : .valid
    var (low, high, lengths): ([Int], [Int], [Dim]) = ([0], [0], [])
    for axis in 0..<2 {
      let amount: Padding.Amount
      let extent = (window[axis] - 1) * rates[axis] + 1
      if case .same = padding, call.type(x).dims[axis + 1].fixed == nil {
        guard strides[axis] == 1 else { throw call.unsupported("SAME padding of windows \(strides[axis]) apart over open sizes") }
        amount = .init((extent - 1) / 2, extent - 1 - (extent - 1) / 2)
      } else {
        amount = padding.amount(call.type(x).dims[axis + 1].fixed ?? 0, size: window[axis], stride: strides[axis], dilation: rates[axis], axis: axis)
      }
      low.append(amount.low)
      high.append(amount.high)
      let length = call.type(x).dims[axis + 1] + Dim(amount.low + amount.high)
      lengths.append(length.fixed.map { Dim(max(0, ($0 - extent) / strides[axis] + ($0 >= extent ? 1 : 0))) } ?? (length - Dim(extent)).floorDivided(by: strides[axis]) + 1)
    }
    if (low + high).contains(where: { $0 > 0 }) { x = try call.add(Pad(.constant, low: low + [0], high: high + [0]), [x], "pad") }
    var parts: [ValueID] = []
    for row in 0..<window[0] {
      for column in 0..<window[1] {
        var part = x
        for (axis, place) in [row, column].enumerated() {
          let start = place * rates[axis]
          if let count = lengths[axis].fixed {
            part = try call.slice(part, axis: axis + 1, start, start + (count - 1) * strides[axis] + 1, step: strides[axis])
          } else {
            let rest = try call.slice(part, axis: axis + 1, start, nil, step: strides[axis])
            part = try TFDynamicSlice.part(call, rest, axis + 1, 0, lengths[axis])
          }
        }
        parts.append(part)
      }
    }
    return try call.concat(parts, axis: 3)
  }

  /// Boxes (y1, x1, y2, x2 in shares of the image) of images, each resized to one size.
  private static func crops(_ call: TFCall) throws -> ValueID {
    let x = try call.cast(try call.x(0), .float32)
    let (boxes, images) = (try call.x(1), try call.cast(try call.x(2), .int32))
    let size = try call.integers(3, "a size")
    let type = call.type(x)
    guard type.rank == 4, size.count == 2, size.allSatisfy({ (1...1 << 14).contains($0) }) else { throw call.wrong("needs images and a size") }
    let lengths = Array(type.dims[1...2])
    let count = call.type(boxes).dims[0]
    func last(_ axis: Int) throws -> ValueID { try call.scalar(size: lengths[axis] - 1, .float32) }
    /// Where the rows or columns of each crop lie: [count, size].
    func places(_ axis: Int) throws -> ValueID {
      let start = try call.slice(boxes, axis: 1, axis, axis + 1), end = try call.slice(boxes, axis: 1, axis + 2, axis + 3)
      let last = try last(axis)
      if size[axis] == 1 {
        let middle = try call.binary(.mul, try call.binary(.add, start, end), try call.scalar(0.5, .float32))
        return try call.binary(.mul, middle, last)
      }
      let steps = try call.numbers((0..<size[axis]).map { Double($0) }, [size[axis]], .float32, "steps")
      // Rounded once, however the division is done.
      let wide = try call.binary(.div, try call.cast(last, .float64), try call.scalar(Double(size[axis] - 1), .float64))
      let scale = try call.cast(wide, .float32)
      let step = try call.binary(.mul, try call.binary(.sub, end, start), scale)
      return try call.binary(.add, try call.binary(.mul, start, last), try call.binary(.mul, step, steps))
    }
    func inside(_ place: ValueID, _ axis: Int) throws -> ValueID {
      try call.binary(
        .and, try call.binary(.greaterEqual, place, try call.scalar(0, .float32)),
        try call.binary(.lessEqual, place, try last(axis)))
    }
    func index(_ place: ValueID, _ axis: Int) throws -> ValueID {
      try call.cast(try call.binary(.max, try call.binary(.min, place, try last(axis)), try call.scalar(0, .float32)), .int32)
    }
    let (rows, columns) = (try places(0), try places(1))
    let flat = try call.reshape(x, [type.dims[0] * lengths[0] * lengths[1], type.dims[3]])
    let base = try call.reshape(try call.binary(.mul, images, try call.scalar(size: lengths[0] * lengths[1], .int32)), [count, 1, 1])
    func pixels(_ y: ValueID, _ x: ValueID) throws -> ValueID {
      let line = try call.expand(try call.binary(.mul, y, try call.scalar(size: lengths[1], .int32)), 2)
      let place = try call.binary(.add, try call.binary(.add, base, line), try call.expand(x, 1))
      return try call.add(Gather(axis: 0), [flat, place], "gather")
    }
    var result: ValueID
    if try call.text("method", "bilinear") == "nearest" {
      func nearest(_ place: ValueID, _ axis: Int) throws -> ValueID {
        try index(try call.unary(.floor, try call.binary(.add, place, try call.scalar(0.5, .float32))), axis)
      }
      result = try pixels(try nearest(rows, 0), try nearest(columns, 1))
    } else {
      let (top, left) = (try call.unary(.floor, rows), try call.unary(.floor, columns))
      let (upper, lower) = (try index(top, 0), try index(try call.unary(.ceil, rows), 0))
      let (first, last) = (try index(left, 1), try index(try call.unary(.ceil, columns), 1))
      func mixed(_ a: ValueID, _ b: ValueID, _ share: ValueID) throws -> ValueID {
        try call.binary(.add, a, try call.binary(.mul, try call.binary(.sub, b, a), share))
      }
      let across = try call.reshape(try call.binary(.sub, columns, left), [count, 1, Dim(size[1]), 1])
      let down = try call.reshape(try call.binary(.sub, rows, top), [count, Dim(size[0]), 1, 1])
      let above = try mixed(try pixels(upper, first), try pixels(upper, last), across)
      result = try mixed(above, try mixed(try pixels(lower, first), try pixels(lower, last), across), down)
    }
    let both = try call.binary(
      .and, try call.reshape(try inside(rows, 0), [count, Dim(size[0]), 1, 1]), try call.reshape(try inside(columns, 1), [count, 1, Dim(size[1]), 1]))
    return try call.select(both, result, try call.scalar(try call.float("extrapolation_value", 0), .float32))
  }

  // MARK: Colours

  private static func channels(_ call: TFCall, _ x: ValueID) throws -> [ValueID] {
    let axis = call.type(x).rank - 1
    guard axis >= 0, try call.length(x, axis) == 3 else { throw call.wrong("needs 3 channels, found \(call.type(x).message)") }
    return try (0..<3).map { try call.slice(x, axis: axis, $0, $0 + 1) }
  }

  private static func hsv(_ call: TFCall) throws -> ValueID {
    let x = try call.x(0)
    let dtype = call.type(x).dtype
    let parts = try channels(call, x)
    let (red, green, blue) = (parts[0], parts[1], parts[2])
    let value = try call.binary(.max, red, try call.binary(.max, green, blue))
    let range = try call.binary(.sub, value, try call.binary(.min, red, try call.binary(.min, green, blue)))
    let zero = try call.scalar(0, dtype)
    let saturation = try call.select(try call.binary(.greater, value, zero), try call.binary(.div, range, value), zero)
    let norm = try call.binary(.div, try call.scalar(1.0 / 6, dtype), range)
    func hue(_ a: ValueID, _ b: ValueID, _ offset: Double) throws -> ValueID {
      try call.binary(.add, try call.binary(.mul, norm, try call.binary(.sub, a, b)), try call.scalar(offset, dtype))
    }
    var result = try call.select(
      try call.binary(.equal, red, value), try hue(green, blue, 0),
      try call.select(try call.binary(.equal, green, value), try hue(blue, red, 2.0 / 6), try hue(red, green, 4.0 / 6)))
    result = try call.select(try call.binary(.greater, range, zero), result, zero)
    result = try call.select(try call.binary(.less, result, zero), try call.binary(.add, result, try call.scalar(1, dtype)), result)
    return try call.concat([result, saturation, value], axis: call.type(x).rank - 1)
  }

  private static func rgb(_ call: TFCall) throws -> ValueID { try rgb(call, try channels(call, try call.x(0))) }

  private static func rgb(_ call: TFCall, _ parts: [ValueID]) throws -> ValueID {
    let dtype = call.type(parts[0]).dtype
    let six = try call.binary(.mul, parts[0], try call.scalar(6, dtype))
    let one = try call.scalar(1, dtype)
    let mixed: [ValueID] = try [(3.0, 1.0, -1.0), (2.0, -1.0, 2.0), (4.0, -1.0, 2.0)].map { center, sign, offset in
      let distance = try call.unary(.abs, try call.binary(.sub, six, try call.scalar(center, dtype)))
      let part = try call.unary(.clip, try call.unary(.affine, distance, [sign, offset]), [0, 1])
      // (1 − s + s · part) · v
      let tinted = try call.binary(.add, try call.binary(.sub, one, parts[1]), try call.binary(.mul, parts[1], part))
      return try call.binary(.mul, tinted, parts[2])
    }
    return try call.concat(mixed, axis: call.type(parts[0]).rank - 1)
  }
}
