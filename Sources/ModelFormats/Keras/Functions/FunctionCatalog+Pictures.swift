import GraphModule
import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

extension FunctionCatalog {
  /// Colours, borders and filters of images.
  static let pictures: [String: Meaning] = {
    var table: [String: Meaning] = [
      "rgb_to_grayscale": { call in
        let given = try call.tensor(0, "images")
        let x = try call.float(given)
        let axis = try channelAxis(call, x)
        let count = try call.length(x, axis)
        if count == 1, call.isKeras { return [x] }
        guard count == 3 else { throw call.wrong("needs 3 channels, found \(call.type(x).message)") }
        let weights = try row(call, [0.2989, 0.587, 0.114], axis, x)
        return [try call.cast(try call.reduce(.sum, try call.apply(.mul, x, weights), [axis], true), call.dtype(of: given))]
      },
      "grayscale_to_rgb": { call in
        let x = try call.tensor(0, "images")
        return [try call.concat([x, x, x], axis: call.rank(x) - 1)]
      },
      "rgb_to_hsv": { call in
        let x = try call.floatTensor(0, "images", "image")
        let axis = try channelAxis(call, x)
        let (r, g, b) = (try channel(call, x, axis, 0), try channel(call, x, axis, 1), try channel(call, x, axis, 2))
        let high = try call.reduce(.max, x, [axis], true)
        let range = try call.apply(.sub, high, try call.reduce(.min, x, [axis], true))
        let saturation = try call.select(try call.apply(.greater, high, 0), try call.apply(.div, range, high), 0)
        let unit = try call.affine(try call.apply(.reciprocal, range), 1.0 / 6, 0)
        func turn(_ a: ValueID, _ b: ValueID, _ offset: Double) throws -> ValueID {
          try call.affine(try call.apply(.mul, unit, try call.apply(.sub, a, b)), 1, offset)
        }
        var hue = try call.select(
          try call.apply(.equal, r, high), try turn(g, b, 0),
          try call.select(try call.apply(.equal, g, high), try turn(b, r, 2.0 / 6), try turn(r, g, 4.0 / 6)))
        hue = try call.select(try call.apply(.greater, range, 0), hue, 0)
        hue = try call.select(try call.apply(.less, hue, 0), try call.affine(hue, 1, 1), hue)
        return [try call.concat([hue, saturation, high], axis: axis)]
      },
      // v · (1 − s + s · clip(|6h − 3| − 1)), and so on.
      "hsv_to_rgb": { call in
        let x = try call.floatTensor(0, "images", "image")
        let axis = try channelAxis(call, x)
        let (h, s, v) = (try channel(call, x, axis, 0), try channel(call, x, axis, 1), try channel(call, x, axis, 2))
        let parts = try [(3.0, 1.0, -1.0), (2.0, -1.0, 2.0), (4.0, -1.0, 2.0)].map { centre, sign, offset -> ValueID in
          let distance = try call.apply(.abs, try call.affine(h, 6, -centre))
          let part = try call.layer.unary(.clip, [0, 1], try call.affine(distance, sign, offset))
          return try call.apply(.mul, v, try call.apply(.add, try call.affine(s, -1, 1), try call.apply(.mul, s, part)))
        }
        return [try call.concat(parts, axis: axis)]
      },
      "rgb_to_yuv": { try mixed($0, [0.299, -0.14714119, 0.61497538, 0.587, -0.28886916, -0.51496512, 0.114, 0.43601035, -0.10001026]) },
      "yuv_to_rgb": { try mixed($0, [1, 1, 1, 0, -0.394642334, 2.03206185, 1.13988303, -0.58062185, 0]) },
      "rgb_to_yiq": { try mixed($0, [0.299, 0.59590059, 0.2115, 0.587, -0.27455667, -0.52273617, 0.114, -0.32134392, 0.31119955]) },
      "yiq_to_rgb": { try mixed($0, [1, 1, 1, 0.95598634, -0.27201283, -1.10674021, 0.6208248, -0.64720424, 1.70423049]) },
      "pad_images": { call in
        let (x, rows, columns) = try image(call)
        let (height, width) = (try call.length(x, rows), try call.length(x, columns))
        let (top, bottom) = try ends(call, "top_padding", "bottom_padding", "target_height", height, sign: 1)
        let (left, right) = try ends(call, "left_padding", "right_padding", "target_width", width, sign: 1)
        return [try call.padded(try call.padded(x, axis: rows, top, bottom), axis: columns, left, right)]
      },
      "crop_images": { call in
        let (x, rows, columns) = try image(call)
        let (height, width) = (try call.length(x, rows), try call.length(x, columns))
        let (top, bottom) = try ends(call, "top_cropping", "bottom_cropping", "target_height", height, sign: -1)
        let (left, right) = try ends(call, "left_cropping", "right_cropping", "target_width", width, sign: -1)
        return [try call.range(try call.range(x, axis: rows, top, height - bottom), axis: columns, left, width - right)]
      },
      "crop_to_bounding_box": { call in
        let (x, rows, columns) = try image(call)
        guard let top = try call.int("offset_height"), let left = try call.int("offset_width"), let height = try call.int("target_height"),
          let width = try call.int("target_width"), min(top, left, height, width) >= 0
        else { throw call.wrong("the box is missing") }
        return [try call.range(try call.range(x, axis: rows, top, top + height), axis: columns, left, left + width)]
      },
      "pad_to_bounding_box": { call in
        let (x, rows, columns) = try image(call)
        guard let top = try call.int("offset_height"), let left = try call.int("offset_width"), let height = try call.int("target_height"),
          let width = try call.int("target_width")
        else { throw call.wrong("the box is missing") }
        let (bottom, right) = (height - top - (try call.length(x, rows)), width - left - (try call.length(x, columns)))
        guard min(top, left, bottom, right) >= 0, max(top, left, bottom, right) <= 1 << 24 else { throw call.wrong("the box does not fit") }
        return [try call.padded(try call.padded(x, axis: rows, top, bottom), axis: columns, left, right)]
      },
      "resize_with_crop_or_pad": { call in
        var (x, rows, columns) = try image(call)
        guard let height = try call.int("target_height"), let width = try call.int("target_width"), (1...1 << 24).contains(height),
          (1...1 << 24).contains(width)
        else { throw call.wrong("the size is missing") }
        for (axis, wanted) in [(rows, height), (columns, width)] {
          let length = try call.length(x, axis)
          if length > wanted {
            let start = (length - wanted) / 2
            x = try call.range(x, axis: axis, start, start + wanted)
          } else {
            let low = (wanted - length) / 2
            x = try call.padded(x, axis: axis, low, wanted - length - low)
          }
        }
        return [x]
      },
      "central_crop": { call in
        var (x, rows, columns) = try image(call)
        guard let fraction = try call.double("central_fraction"), fraction > 0, fraction <= 1 else { throw call.wrong("central_fraction must be in (0, 1]") }
        for axis in [rows, columns] {
          let length = try call.length(x, axis)
          let start = Int((Double(length) - Double(length) * fraction) / 2)
          x = try call.range(x, axis: axis, start, length - start)
        }
        return [x]
      },
      "adjust_brightness": { call in
        let x = try call.floatTensor(0, "image")
        return [try call.affine(x, 1, try call.double("delta") ?? 0)]
      },
      "adjust_contrast": { call in
        let x = try call.floatTensor(0, "images")
        guard let factor = try call.double("contrast_factor") else { throw call.wrong("contrast_factor is missing") }
        let mean = try call.reduce(.mean, x, [call.rank(x) - 3, call.rank(x) - 2], true)
        return [try call.apply(.add, try call.affine(try call.apply(.sub, x, mean), factor, 0), mean)]
      },
      "per_image_standardization": { call in
        let x = try call.floatTensor(0, "image")
        let axes = [call.rank(x) - 3, call.rank(x) - 2, call.rank(x) - 1]
        let count = try axes.reduce(1) { try $0 * call.length(x, $1) }
        let mean = try call.reduce(.mean, x, axes, true)
        let deviation = try call.apply(.sqrt, try call.reduce(.mean, try call.apply(.squaredDifference, x, mean), axes, true))
        return [try call.apply(.div, try call.apply(.sub, x, mean), try call.apply(.max, deviation, 1 / Double(count).squareRoot()))]
      },
      "convert_image_dtype": { call in
        let x = try call.tensor(0, "image")
        let dtype = try call.dtype("dtype") ?? .float32
        call.ignore("saturate")
        if dtype == call.dtype(of: x) { return [x] }
        guard dtype.isFloat else { throw call.unsupported("dtype \(dtype.name)") }
        let scale = call.dtype(of: x).integerRange.map { Double($0.upperBound) } ?? 1
        return [try call.affine(try call.cast(x, dtype), 1 / scale, 0)]
      },
      "gaussian_blur": { call in
        let (x, single, format) = try batch(call)
        var size = try call.ints("kernel_size") ?? [3, 3]
        guard [1, 2].contains(size.count), size.allSatisfy({ (1...1024).contains($0) }) else {
          throw call.wrong("kernel_size must be two lengths")
        }
        if size.count == 1 { size.append(size[0]) }
        let sigma = try call.numbers(nil, "sigma")?.values ?? [1, 1]
        guard sigma.count == 2, sigma.allSatisfy({ $0 > 0 }) else { throw call.wrong("sigma must be two numbers") }
        func wave(_ size: Int, _ sigma: Double) -> [Double] {
          let values = (0..<size).map { exp(-0.5 * ((Double($0) - Double(size - 1) / 2) / sigma) * ((Double($0) - Double(size - 1) / 2) / sigma)) }
          let sum = values.reduce(0, +)
          return values.map { $0 / sum }
        }
        // Keras lays the first length along the columns and reshapes.
        let (a, b) = (wave(size[0], sigma[0]), wave(size[1], sigma[1]))
        let kernel = b.flatMap { y in a.map { $0 * y } }
        return [try finish(call, try filtered(call, x, [kernel], size[0], size[1], .same), single, format)]
      },
      "sobel_edges": { call in
        let x = try call.floatTensor(0, "images", "image")
        guard call.rank(x) == 4 else { throw call.wrong("needs rank 4, found \(call.type(x).message)") }
        let first = try call.string("data_format") == "channels_first"
        let last = first ? try call.layer.transpose(x, [0, 2, 3, 1]) : x
        let wide = try call.padded(try call.padded(last, axis: 1, 1, 1, .reflect), axis: 2, 1, 1, .reflect)
        let kernels: [[Double]] = [[-1, -2, -1, 0, 0, 0, 1, 2, 1], [-1, 0, 1, -2, 0, 2, -1, 0, 1]]
        let edges = try filtered(call, wide, kernels, 3, 3, .valid)
        let dims = call.dims(of: last)
        let split = try call.layer.reshape(edges, dims + [2])
        return [first ? try call.layer.transpose(split, [0, 3, 1, 2, 4]) : split]
      },
      "ssim": { call in
        let values = try call.unified([try call.required(0, "image1", "img1"), try call.required(1, "image2", "img2")])
        let (x, y) = (try call.float(values[0]), try call.float(values[1]))
        guard call.rank(x) == 4, call.rank(y) == 4, try call.string("data_format") != "channels_first" else {
          throw call.unsupported("another form than [batch, height, width, channels]")
        }
        let limit = try call.double("max_val") ?? 1
        let (size, sigma) = (try call.int("filter_size") ?? 11, try call.double("filter_sigma") ?? 1.5)
        guard (1...255).contains(size), sigma > 0 else { throw call.wrong("filter_size and filter_sigma are out of range") }
        let wave = (0..<size).map { exp(-0.5 * (Double($0) - Double(size - 1) / 2) * (Double($0) - Double(size - 1) / 2) / (sigma * sigma)) }
        let sum = wave.reduce(0, +)
        let kernel = wave.flatMap { a in wave.map { a * $0 / (sum * sum) } }
        func mean(_ value: ValueID) throws -> ValueID { try filtered(call, value, [kernel], size, size, .valid) }
        let c1 = (try call.double("k1") ?? 0.01) * limit * (try call.double("k1") ?? 0.01) * limit
        let c2 = (try call.double("k2") ?? 0.03) * limit * (try call.double("k2") ?? 0.03) * limit
        let (a, b) = (try mean(x), try mean(y))
        let cross = try call.affine(try call.apply(.mul, a, b), 2, 0)
        let squares = try call.apply(.add, try call.apply(.square, a), try call.apply(.square, b))
        let light = try call.apply(.div, try call.affine(cross, 1, c1), try call.affine(squares, 1, c1))
        let product = try call.affine(try mean(try call.apply(.mul, x, y)), 2, 0)
        let powers = try mean(try call.apply(.add, try call.apply(.square, x), try call.apply(.square, y)))
        let contrast = try call.apply(
          .div, try call.affine(try call.apply(.sub, product, cross), 1, c2), try call.affine(try call.apply(.sub, powers, squares), 1, c2))
        return [try call.reduce(.mean, try call.apply(.mul, light, contrast), [1, 2, 3], false)]
      },
      "image_gradients": { call in
        let x = try call.floatTensor(0, "image")
        guard call.rank(x) == 4 else { throw call.wrong("needs rank 4, found \(call.type(x).message)") }
        return try [1, 2].map { axis in
          let difference = try call.apply(.sub, try call.range(x, axis: axis, 1, nil), try call.range(x, axis: axis, nil, -1))
          return try call.padded(difference, axis: axis, 0, 1)
        }
      },
      "total_variation": { call in
        let (x, rows, columns) = try image(call)
        let axes = Array((call.rank(x) - 3)..<call.rank(x))
        let sums = try [rows, columns].map { axis -> ValueID in
          let difference = try call.apply(.sub, try call.range(x, axis: axis, 1, nil), try call.range(x, axis: axis, nil, -1))
          return try call.reduce(.sum, try call.apply(.abs, difference), axes, false)
        }
        return [try call.apply(.add, sums[0], sums[1])]
      },
      "image_transpose": { call in
        let (x, rows, columns) = try image(call)
        var order = Array(0..<call.rank(x))
        order.swapAt(rows, columns)
        return [try call.layer.transpose(x, order)]
      },
      "resize_bilinear": { try resized($0, .bilinear) },
      "resize_nearest_neighbor": { try resized($0, .nearest) },
      "resize_images": { call in
        let names: [JSON: Resize.Mode] = [.int(0): .bilinear, .int(1): .nearest, .string("bilinear"): .bilinear, .string("nearest"): .nearest]
        let method = try call.json("method") ?? .int(0)
        guard let mode = names[method] else { throw call.unsupported("method \(LayerConfig.describe(method))") }
        return try resized(call, mode)
      },
      "elastic_transform": { throw $0.unsupported("a random result") },
    ]
    for name in ["resize_image_with_crop_or_pad"] { table[name] = table["resize_with_crop_or_pad"] }
    return table
  }()

  private static func channelAxis(_ call: FunctionCall, _ x: ValueID) throws -> Int {
    let axis = try call.string("data_format") == "channels_first" ? call.rank(x) - 3 : call.rank(x) - 1
    guard axis >= 0 else { throw call.wrong("needs images, found \(call.type(x).message)") }
    return axis
  }

  private static func channel(_ call: FunctionCall, _ x: ValueID, _ axis: Int, _ index: Int) throws -> ValueID {
    guard try call.length(x, axis) == 3 else { throw call.wrong("needs 3 channels, found \(call.type(x).message)") }
    return try call.range(x, axis: axis, index, index + 1)
  }

  private static func row(_ call: FunctionCall, _ values: [Double], _ axis: Int, _ x: ValueID) throws -> ValueID {
    var shape = [Int](repeating: 1, count: call.rank(x))
    shape[axis] = values.count
    return try call.constant(values, shape, call.dtype(of: x))
  }

  /// Channels times a matrix of 3 × 3.
  private static func mixed(_ call: FunctionCall, _ matrix: [Double]) throws -> [ValueID] {
    let x = try call.floatTensor(0, "images")
    guard try call.length(x, -1) == 3 else { throw call.wrong("needs 3 channels, found \(call.type(x).message)") }
    let flat = try call.layer.reshape(x, [Array(call.dims(of: x).dropLast()).reduce(1, *), 3])
    return [try call.layer.reshape(try call.product(flat, try call.constant(matrix, [3, 3], call.dtype(of: x))), call.dims(of: x))]
  }

  /// Images with the axes of their rows and columns.
  private static func image(_ call: FunctionCall) throws -> (ValueID, Int, Int) {
    let x = try call.tensor(0, "images", "image")
    guard [3, 4].contains(call.rank(x)) else { throw call.wrong("needs images, found \(call.type(x).message)") }
    let first = try call.string("data_format") == "channels_first"
    return (x, call.rank(x) - (first ? 2 : 3), call.rank(x) - (first ? 1 : 2))
  }

  /// Amounts at both ends of an axis, one of which the wanted length may give.
  private static func ends(
    _ call: FunctionCall, _ low: String, _ high: String, _ target: String, _ length: Int, sign: Int
  ) throws -> (Int, Int) {
    var (before, after) = (try call.int(low), try call.int(high))
    let wanted = try call.int(target)
    let total = wanted.map { sign * ($0 - length) }
    if before == nil, let total, let after { before = total - after }
    if after == nil, let total, let before { after = total - before }
    guard let before, let after, before >= 0, after >= 0, max(before, after) <= 1 << 24 else { throw call.wrong("\(low), \(high) and \(target) do not fit") }
    return (before, after)
  }

  private static func batch(_ call: FunctionCall) throws -> (ValueID, Bool, DataFormat) {
    let x = try call.floatTensor(0, "images", "image")
    let single = call.rank(x) == 3
    let images = single ? try call.layer.expand(x, axis: 0) : x
    guard call.rank(images) == 4 else { throw call.wrong("needs images, found \(call.type(x).message)") }
    let format: DataFormat = try call.string("data_format") == "channels_first" ? .channelsFirst : .channelsLast
    return (try call.layer.channelsLast(images, format), single, format)
  }

  private static func finish(_ call: FunctionCall, _ x: ValueID, _ single: Bool, _ format: DataFormat) throws -> ValueID {
    let result = try call.layer.back(x, format)
    return single ? try call.dropped(result, axis: 0) : result
  }

  /// Each channel filtered by each kernel: the channels of the result are (channel, kernel).
  private static func filtered(
    _ call: FunctionCall, _ x: ValueID, _ kernels: [[Double]], _ rows: Int, _ columns: Int, _ padding: Padding
  ) throws -> ValueID {
    let channels = try call.length(x, -1)
    try call.limited(rows * columns, channels, kernels.count)
    let values = (0..<rows * columns).flatMap { place in (0..<channels).flatMap { _ in kernels.map { $0[place] } } }
    let kernel = try call.constant(values, [rows, columns, 1, channels * kernels.count], call.dtype(of: x))
    let op = Conv(strides: [1, 1], dilations: [1, 1], padding: padding, groups: channels)
    return try call.layer.add(op, [x, kernel], "filter")
  }

  /// `tf.compat.v1.image.resize_*`: without half-pixel centres unless they are asked for.
  private static func resized(_ call: FunctionCall, _ mode: Resize.Mode) throws -> [ValueID] {
    let x = try call.tensor(0, "images")
    guard call.rank(x) == 4, let size = try call.ints("size"), size.count == 2, size.allSatisfy({ (1...1 << 20).contains($0) }) else {
      throw call.wrong("size must be two lengths")
    }
    if try call.bool("preserve_aspect_ratio") == true { throw call.unsupported("preserve_aspect_ratio") }
    let coordinates: Resize.Coordinates =
      try call.bool("align_corners") == true ? .alignCorners : try call.bool("half_pixel_centers") == true ? .halfPixel : .asymmetric
    let images = mode == .bilinear ? try call.float(x) : x
    // With corners aligned TensorFlow rounds the nearest position, halves up.
    if mode == .nearest, coordinates == .alignCorners { throw call.unsupported("align_corners of the nearest pixel") }
    return [try call.layer.add(Resize(mode, coordinates: coordinates, dims: size.map { Dim($0) }), [images], "resize")]
  }
}
