import GraphModule
import TensorModule

extension FunctionCatalog {
  /// Convolutions, poolings and patches.
  static let windows: [String: Meaning] = {
    var table: [String: Meaning] = [
      "conv": { try convolution($0) },
      "depthwise_conv": { call in
        let (x, kernel, format, rank) = try operands(call, "inputs", "kernel")
        return [try call.layer.back(try depthwise(call, x, kernel, rank), format)]
      },
      "depthwise_conv2d": { call in
        let (x, kernel, format, rank) = try operands(call, "input", "filter")
        return [try call.layer.back(try depthwise(call, x, kernel, rank), format)]
      },
      "separable_conv": { call in
        let (x, kernel, format, rank) = try operands(call, "inputs", "depthwise_kernel")
        return [try call.layer.back(try pointwise(call, try depthwise(call, x, kernel, rank), "pointwise_kernel"), format)]
      },
      "separable_conv2d": { call in
        let (x, kernel, format, rank) = try operands(call, "input", "depthwise_filter")
        return [try call.layer.back(try pointwise(call, try depthwise(call, x, kernel, rank), "pointwise_filter"), format)]
      },
      "conv_transpose": { call in
        let (x, kernel, format, rank) = try operands(call, "inputs", "kernel")
        let ones = [Int](repeating: 1, count: rank)
        var extra = try call.ints("output_padding")
        if let number = extra, number.count == 1 { extra = [Int](repeating: number[0], count: rank) }
        let op = ConvTranspose(
          strides: try spatial(call, "strides", rank) ?? ones, dilations: try spatial(call, "dilation_rate", rank) ?? ones,
          padding: try padding(call), outputPadding: extra)
        return [try call.layer.back(try call.layer.add(op, [x, kernel], "conv_transpose"), format)]
      },
      "conv2d_transpose": { call in
        let (x, kernel, format, rank) = try operands(call, "input", "filters", "filter")
        let ones = [Int](repeating: 1, count: rank)
        let strides = try spatial(call, "strides", rank) ?? ones
        let mode = try padding(call)
        if let dilations = try spatial(call, "dilations", rank), dilations != ones { throw call.unsupported("dilations") }
        guard let shape = try call.dims(nil, "output_shape"), shape.count == rank + 2 else { throw call.wrong("output_shape is missing") }
        let spatialDims = format == .channelsLast ? Array(shape[1...rank]) : Array(shape[2...])
        // What the wanted length has over the least one.
        let extra = try (0..<rank).map { axis -> Int in
          guard let wanted = spatialDims[axis].fixed else { throw call.unsupported("an output_shape that is not known") }
          let (length, k) = (try call.length(x, axis + 1), try call.length(kernel, axis))
          let least = mode == .valid ? (length - 1) * strides[axis] + k : (length - 1) * strides[axis] + k - 2 * (k / 2)
          return wanted - least
        }
        guard extra.allSatisfy({ $0 >= 0 }) else { throw call.unsupported("this output_shape") }
        let op = ConvTranspose(strides: strides, dilations: ones, padding: mode, outputPadding: extra)
        return [try call.layer.back(try call.layer.add(op, [x, kernel], "conv_transpose"), format)]
      },
      "pool": { call in
        let kind: Pool.Kind = try call.string("pooling_type") == "MAX" ? .max : .average
        let x = try call.floatTensor(0, "input")
        let rank = call.rank(x) - 2
        guard (1...3).contains(rank), try format(call) == .channelsLast, let window = try spatial(call, "window_shape", rank) else {
          throw call.wrong("the window does not fit")
        }
        let ones = [Int](repeating: 1, count: rank)
        let op = Pool(
          kind, window: window, strides: try spatial(call, "strides", rank) ?? ones,
          dilations: try spatial(call, "dilation_rate", rank) ?? spatial(call, "dilations", rank) ?? ones, padding: try padding(call))
        return [try call.layer.add(op, [x], "pool")]
      },
      "adaptive_average_pool": { try adaptive($0, .average) },
      "adaptive_max_pool": { try adaptive($0, .max) },
      // Patches of [batch, channels, height, width] as [batch, channels · window, positions].
      "unfold": { call in
        let x = try call.tensor(0, "x")
        let (kernel, dilation, padding, stride) = try window(call)
        guard call.rank(x) == 4 else { throw call.wrong("needs rank 4, found \(call.type(x).message)") }
        let wide = try call.padded(try call.padded(x, axis: 2, padding[0], padding[0]), axis: 3, padding[1], padding[1])
        let (places, counts) = try positions(call, [try call.length(wide, 2), try call.length(wide, 3)], kernel, dilation, stride)
        let count = counts.reduce(1, *)
        let dims = call.dims(of: wide)
        let flat = try call.layer.reshape(wide, [dims[0], dims[1], dims[2] * dims[3]])
        let picked = try call.gather(flat, places, axis: 2)
        return [try call.layer.reshape(picked, [dims[0], dims[1] * Dim(kernel[0] * kernel[1]), Dim(count)])]
      },
      "fold": { call in
        let x = try call.tensor(0, "x")
        let (kernel, dilation, padding, stride) = try window(call)
        guard call.rank(x) == 3, var size = try call.ints("output_size"), [1, 2].contains(size.count), size.allSatisfy({ $0 > 0 }) else {
          throw call.wrong("output_size must be two lengths")
        }
        if size.count == 1 { size.append(size[0]) }
        let wide = [size[0] + 2 * padding[0], size[1] + 2 * padding[1]]
        let (places, counts) = try positions(call, wide, kernel, dilation, stride)
        let count = counts.reduce(1, *)
        let dims = call.dims(of: x)
        let area = kernel[0] * kernel[1]
        guard let channels = dims[1].fixed.map({ $0 / area }), channels * area == dims[1].fixed, dims[2] == Dim(count) else {
          throw call.wrong("\(call.type(x).message) does not fold to \(size.shapeText)")
        }
        let rows = try call.layer.transpose(try call.layer.reshape(x, [dims[0] * Dim(channels), Dim(area * count)]), [1, 0])
        let indices = call.layer.constant(
          try Tensor(integers: places.map(Int64.init), dtype: .int64, shape: [places.count, 1]), "places")
        let empty = try call.broadcast(try call.layer.scalar(0, call.dtype(of: x)), [Dim(wide[0] * wide[1]), dims[0] * Dim(channels)])
        let sum = try call.layer.transpose(try call.layer.add(Scatter(.add), [empty, indices, rows], "fold"), [1, 0])
        let image = try call.layer.reshape(sum, [dims[0], Dim(channels), Dim(wide[0]), Dim(wide[1])])
        let cut = try call.range(image, axis: 2, padding[0], padding[0] + size[0])
        return [try call.range(cut, axis: 3, padding[1], padding[1] + size[1])]
      },
      // Patches of images as channels: (row, column, channel).
      "extract_patches": { call in
        let x = try call.tensor(0, "images")
        let first = try call.string("data_format") == "channels_first" ? DataFormat.channelsFirst : .channelsLast
        let volumes = try call.isKeras && call.json("size")?.arrayValue?.count == 3
        let single = call.rank(x) == (volumes ? 4 : 3)
        let images = try call.layer.channelsLast(single ? try call.layer.expand(x, axis: 0) : x, first)
        let rank = call.rank(images) - 2
        guard [2, 3].contains(rank), let size = try spatial(call, call.isKeras ? "size" : "sizes", rank) else { throw call.wrong("size is missing") }
        let strides = try spatial(call, "strides", rank) ?? size
        let ones = [Int](repeating: 1, count: rank)
        let dilations = try spatial(call, call.isKeras ? "dilation_rate" : "rates", rank) ?? ones
        let patches = try patches(call, images, size, strides, dilations, try padding(call))
        let result = try call.layer.back(patches, first)
        return [single ? try call.dropped(result, axis: 0) : result]
      },
      "local_response_normalization": { call in
        let x = try call.floatTensor(0, "input")
        let radius = try call.int("depth_radius") ?? 5
        guard (0...1024).contains(radius) else { throw call.wrong("depth_radius is out of range") }
        let (bias, alpha, beta) = (try call.double("bias") ?? 1, try call.double("alpha") ?? 1, try call.double("beta") ?? 0.5)
        let axis = call.rank(x) - 1
        let channels = try call.length(x, axis)
        try call.limited(channels, channels)
        let band = (0..<channels).flatMap { r in (0..<channels).map { abs(r - $0) <= radius ? 1.0 : 0 } }
        let squares = try call.layer.reshape(
          try call.apply(.square, x), [Array(call.dims(of: x).dropLast()).reduce(1, *), Dim(channels)])
        let sums = try call.product(squares, try call.constant(band, [channels, channels], call.dtype(of: x)))
        let scale = try call.apply(.pow, try call.affine(try call.layer.reshape(sums, call.dims(of: x)), alpha, bias), -beta)
        return [try call.apply(.mul, x, scale)]
      },
      "space_to_batch_nd": { try spaceToBatch($0) },
      "batch_to_space_nd": { try batchToSpace($0) },
    ]
    for name in ["conv1d", "conv2d", "conv3d", "convolution", "atrous_conv2d"] { table[name] = table["conv"] }
    for (name, target) in [
      ("space_to_batch", "space_to_batch_nd"), ("batch_to_space", "batch_to_space_nd"), ("lrn", "local_response_normalization"),
      ("extract_image_patches", "extract_patches"),
    ] { table[name] = table[target] }
    return table
  }()

  /// The input channels-last, the kernel in its dtype, the format, and the number of spatial axes.
  private static func operands(
    _ call: FunctionCall, _ inputs: String, _ kernels: String...
  ) throws -> (ValueID, ValueID, DataFormat, Int) {
    let x = try call.floatTensor(0, inputs, "input", "value")
    guard let found = call.argument(1, kernels) else { throw call.wrong("the kernel is missing") }
    let kernel = try call.materialised(try call.operand(found), call.dtype(of: x))
    let rank = call.rank(x) - 2
    guard (1...3).contains(rank), call.rank(kernel) == rank + 2 else { throw call.wrong("inputs and kernel do not fit") }
    let format = try format(call)
    return (try call.layer.channelsLast(x, format), kernel, format, rank)
  }

  private static func steps(_ call: FunctionCall, _ rank: Int) throws -> (strides: [Int], dilations: [Int]) {
    let ones = [Int](repeating: 1, count: rank)
    var strides = ones
    for name in ["strides", "stride"] { strides = try spatial(call, name, rank) ?? strides }
    var dilations = ones
    for name in ["dilation_rate", "dilations", "rate"] { dilations = try spatial(call, name, rank) ?? dilations }
    return (strides, dilations)
  }

  /// TensorFlow's padding may be given for each axis.
  private static func amounts(_ call: FunctionCall, _ rank: Int) throws -> Padding {
    guard let json = try call.json("padding"), json.stringValue == nil else { return try padding(call) }
    guard let array = NumberArray(json), array.shape == [rank + 2, 2], try format(call) == .channelsLast,
      array.values.allSatisfy({ (0...Double(1 << 24)).contains($0) })
    else { throw call.wrong("padding must be two lengths for each axis") }
    let values = array.values.map { Int($0) }
    return .explicit((1...rank).map { Padding.Amount(values[2 * $0], values[2 * $0 + 1]) })
  }

  private static func convolution(_ call: FunctionCall) throws -> [ValueID] {
    let (x, kernel, format, rank) = try operands(call, "inputs", "kernel", "filters", "filter")
    let (strides, dilations) = try steps(call, rank)
    let (channels, inner) = (try call.length(x, -1), try call.length(kernel, -2))
    guard inner > 0, channels % inner == 0 else { throw call.wrong("the kernel takes \(inner) channels, the input has \(channels)") }
    call.ignore("use_cudnn_on_gpu")
    let conv = Conv(strides: strides, dilations: dilations, padding: try amounts(call, rank), groups: channels / inner)
    return [try call.layer.back(try call.layer.add(conv, [x, kernel], "conv"), format)]
  }

  /// The kernel [..., channels, multiplier] as one of as many groups as channels.
  private static func depthwise(_ call: FunctionCall, _ x: ValueID, _ kernel: ValueID, _ rank: Int) throws -> ValueID {
    let (strides, dilations) = try steps(call, rank)
    let dims = call.dims(of: kernel)
    let grouped = try call.layer.reshape(kernel, Array(dims.prefix(rank)) + [1, dims[rank] * dims[rank + 1]])
    let op = Conv(
      strides: strides, dilations: dilations, padding: try amounts(call, rank), groups: try call.length(x, -1))
    return try call.layer.add(op, [x, grouped], "depthwise")
  }

  private static func pointwise(_ call: FunctionCall, _ x: ValueID, _ name: String) throws -> ValueID {
    let kernel = try call.materialised(try call.required(2, name), call.dtype(of: x))
    let ones = [Int](repeating: 1, count: call.rank(x) - 2)
    return try call.layer.add(Conv(strides: ones, dilations: ones, padding: .valid, groups: 1), [x, kernel], "pointwise")
  }

  private static func adaptive(_ call: FunctionCall, _ kind: Pool.Kind) throws -> [ValueID] {
    let x = try call.floatTensor(0, "inputs")
    let rank = call.rank(x) - 2
    let format = try format(call)
    guard (1...3).contains(rank), let sizes = try spatial(call, "output_size", rank) else { throw call.wrong("output_size is missing") }
    var y = try call.layer.channelsLast(x, format)
    for axis in 0..<rank {
      let length = try call.length(y, axis + 1)
      let parts = try (0..<sizes[axis]).map { index -> ValueID in
        let (start, end) = (index * length / sizes[axis], ((index + 1) * length + sizes[axis] - 1) / sizes[axis])
        return try call.reduce(kind == .max ? .max : .mean, try call.range(y, axis: axis + 1, start, end), [axis + 1], true)
      }
      y = try call.concat(parts, axis: axis + 1)
    }
    return [try call.layer.back(y, format)]
  }

  private static func window(_ call: FunctionCall) throws -> (kernel: [Int], dilation: [Int], padding: [Int], stride: [Int]) {
    func pair(_ name: String, _ fallback: Int?) throws -> [Int] {
      guard var numbers = try call.ints(name) ?? fallback.map({ [$0] }), [1, 2].contains(numbers.count) else { throw call.wrong("\(name) must be two lengths") }
      if numbers.count == 1 { numbers.append(numbers[0]) }
      guard numbers.allSatisfy({ (name == "padding" ? 0 : 1)...1 << 16 ~= $0 }) else { throw call.wrong("\(name) is out of range") }
      return numbers
    }
    return (try pair("kernel_size", nil), try pair("dilation", 1), try pair("padding", 0), try pair("stride", 1))
  }

  /// The flat places of each window element at each position: [window axes, axes of positions].
  private static func positions(
    _ call: FunctionCall, _ size: [Int], _ kernel: [Int], _ dilation: [Int], _ stride: [Int]
  ) throws -> (places: [Int], counts: [Int]) {
    let counts = size.indices.map { axis -> Int in
      let reach = dilation[axis] * (kernel[axis] - 1) + 1
      return size[axis] < reach ? 0 : (size[axis] - reach) / stride[axis] + 1
    }
    try call.limited(kernel.reduce(1, *), counts.reduce(1, *))
    let strides = size.rowMajorStrides
    func spread(_ lengths: [Int], _ steps: [Int]) -> [Int] {
      var places = [0]
      for axis in lengths.indices {
        places = places.flatMap { base in (0..<lengths[axis]).map { base + $0 * steps[axis] * strides[axis] } }
      }
      return places
    }
    let starts = spread(counts, stride)
    return (spread(kernel, dilation).flatMap { offset in starts.map { $0 + offset } }, counts)
  }

  /// Patches of [batch, height, width, channels] in the channels.
  static func patches(
    _ call: FunctionCall, _ x: ValueID, _ size: [Int], _ strides: [Int], _ dilations: [Int], _ padding: Padding
  ) throws -> ValueID {
    var images = x
    let rank = size.count
    if padding == .same {
      for axis in 0..<rank {
        let length = try call.length(x, axis + 1)
        let reach = dilations[axis] * (size[axis] - 1) + 1
        let total = max(0, ((length + strides[axis] - 1) / strides[axis] - 1) * strides[axis] + reach - length)
        images = try call.padded(images, axis: axis + 1, total / 2, total - total / 2)
      }
    }
    let dims = call.dims(of: images)
    let lengths = try (0..<rank).map { try call.length(images, $0 + 1) }
    let (places, counts) = try positions(call, lengths, size, dilations, strides)
    let (area, count, channels) = (Dim(size.reduce(1, *)), Dim(counts.reduce(1, *)), dims[rank + 1])
    let flat = try call.layer.reshape(images, [dims[0], Dim(lengths.reduce(1, *)), channels])
    let picked = try call.layer.reshape(try call.gather(flat, places, axis: 1), [dims[0], area, count, channels])
    return try call.layer.reshape(
      try call.layer.transpose(picked, [0, 2, 1, 3]), [dims[0]] + counts.map { Dim($0) } + [area * channels])
  }

  private static func blocks(_ call: FunctionCall, _ amounts: String) throws -> (block: [Int], low: [Int], high: [Int]) {
    guard let block = try call.ints("block_shape", "block_size"), let pairs = try call.numbers(nil, amounts, amounts + "s"),
      pairs.shape.count == 2, pairs.shape[1] == 2, block.allSatisfy({ $0 > 0 })
    else { throw call.wrong("block_shape and \(amounts) do not fit") }
    let numbers = pairs.values.map { Int($0) }
    let shape = block.count == 1 ? [Int](repeating: block[0], count: pairs.shape[0]) : block
    guard shape.count == pairs.shape[0], numbers.allSatisfy({ (0...1 << 24).contains($0) }) else { throw call.wrong("block_shape does not fit") }
    return (shape, shape.indices.map { numbers[2 * $0] }, shape.indices.map { numbers[2 * $0 + 1] })
  }

  private static func spaceToBatch(_ call: FunctionCall) throws -> [ValueID] {
    var x = try call.tensor(0, "input")
    let (block, low, high) = try blocks(call, "padding")
    let count = block.count
    guard call.rank(x) > count, call.rank(x) + count <= maximumRank else { throw call.wrong("the block does not fit") }
    for axis in 0..<count { x = try call.padded(x, axis: axis + 1, low[axis], high[axis]) }
    let dims = call.dims(of: x)
    let lengths = try (0..<count).map { axis -> Int in
      let length = try call.length(x, axis + 1)
      guard length % block[axis] == 0 else { throw call.wrong("\(length) does not split in blocks of \(block[axis])") }
      return length / block[axis]
    }
    let rest = Array(dims[(count + 1)...])
    let split = try call.layer.reshape(x, [dims[0]] + (0..<count).flatMap { [Dim(lengths[$0]), Dim(block[$0])] } + rest)
    let order = (0..<count).map { 2 * $0 + 2 } + [0] + (0..<count).map { 2 * $0 + 1 } + rest.indices.map { 2 * count + 1 + $0 }
    let moved = try call.layer.transpose(split, order)
    return [try call.layer.reshape(moved, [dims[0] * Dim(block.reduce(1, *))] + lengths.map { Dim($0) } + rest)]
  }

  private static func batchToSpace(_ call: FunctionCall) throws -> [ValueID] {
    let x = try call.tensor(0, "input")
    let (block, low, high) = try blocks(call, "crop")
    let count = block.count
    guard call.rank(x) > count, call.rank(x) + count <= maximumRank else { throw call.wrong("the block does not fit") }
    let dims = call.dims(of: x)
    guard let batch = dims[0].exactlyDivided(by: Dim(block.reduce(1, *))) else { throw call.wrong("the batch does not split in blocks") }
    let rest = Array(dims[(count + 1)...])
    let split = try call.layer.reshape(x, block.map { Dim($0) } + [batch] + dims[1...])
    let order = [count] + (0..<count).flatMap { [count + 1 + $0, $0] } + rest.indices.map { 2 * count + 1 + $0 }
    let joined = (0..<count).map { dims[$0 + 1] * Dim(block[$0]) }
    var result = try call.layer.reshape(try call.layer.transpose(split, order), [batch] + joined + rest)
    for axis in 0..<count { result = try call.range(result, axis: axis + 1, low[axis], high[axis] == 0 ? nil : -high[axis]) }
    return [result]
  }
}
