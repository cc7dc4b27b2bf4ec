import GraphModule
import TensorModule

/// Keras `AutoContrast`: each channel of each image stretched over the whole range, when predicting too.
struct AutoContrast: KerasLayerReader {
  let range: [Double]

  init(_ config: LayerConfig) {
    range = ValueRange.read(config)
    config.ignore("data_format", "factor", "bounding_box_format")
  }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = try call.floatInput()
    let rank = call.type(x).rank
    guard rank >= 3 else { throw KilnError(.badInput, "needs images, found \(call.type(x).message)") }
    let pixels = try call.unary(.affine, ValueRange.map(range, [0, 255]), x)
    // Keras reduces over axes 1 and 2, whatever the rank.
    let low = try call.add(Reduce(.min, axes: [1, 2], keepDims: true), [pixels], "low")
    let high = try call.add(Reduce(.max, axes: [1, 2], keepDims: true), [pixels], "high")
    let scale = try call.binary(.div, try call.scalar(255, call.type(x).dtype), try call.binary(.sub, high, low))
    let offset = try call.binary(.mul, try call.unary(.neg, low), scale)
    let stretched = try call.unary(.clip, [0, 255], try call.binary(.add, try call.binary(.mul, pixels, scale), offset))
    let result = try call.unary(.affine, ValueRange.map([0, 255], range), stretched)
    // A channel of one value has no contrast.
    return [KerasTensor(try call.add(Elementwise(.select), [try call.unary(.isnan, result), x, result], "kept"))]
  }
}

/// The range of values that images have.
enum ValueRange {
  static func read(_ config: LayerConfig) -> [Double] {
    guard let value = config.json("value_range") else { return [0, 255] }
    let numbers = (value.arrayValue ?? []).compactMap(\.doubleValue)
    guard numbers.count == 2, numbers[0] != numbers[1] else {
      config.malformed("value_range must be two numbers, found \(LayerConfig.describe(value))")
      return [0, 255]
    }
    return numbers
  }

  /// Factor and offset from one range to another.
  static func map(_ from: [Double], _ to: [Double]) -> [Double] {
    let factor = (to[1] - to[0]) / (from[1] - from[0])
    return [factor, to[0] - from[0] * factor]
  }
}

/// Keras `ContrastLimitedAdaptiveHistogramEqualization`: histograms of tiles, clipped, equalized, and mixed by distance.
struct ContrastLimitedEqualization: KerasLayerReader {
  let range: [Double]
  let limit: Double
  let grid: [Int]
  let format: DataFormat

  init(_ config: LayerConfig) {
    range = ValueRange.read(config)
    limit = config.double("clip_limit", 4)
    grid = config.ints("tile_grid_size", count: 2, in: 1...1 << 12) ?? [8, 8]
    format = config.choice("data_format", .channelsLast)
    config.ignore("factor", "bounding_box_format")
  }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let given = try call.input()
    let x = try call.channelsLast(try call.cast(given, to: .float32), format)
    guard call.type(x).rank == 4 else { throw KilnError(.badInput, "needs images, found \(call.type(x).message)") }
    let dims = call.type(x).dims
    let (height, width, channels) = (try call.fixed(x, axis: 1), try call.fixed(x, axis: 2), try call.fixed(x, axis: 3))
    let tile = [(height + grid[0] - 1) / grid[0], (width + grid[1] - 1) / grid[1]]
    let (rows, columns) = (tile[0] * grid[0], tile[1] * grid[1])
    guard let count = checkedProduct([rows, columns, 256]), count <= 1 << 30, rows - height <= height, columns - width <= width else {
      throw KilnError(.unsupportedModel, "a grid of \(grid.shapeText) tiles for images of \(height)×\(width) is not supported")
    }
    let pixels = try call.unary(.affine, ValueRange.map(range, [0, 255]), x)
    let wide = try call.add(Pad(.symmetric, low: [0, 0, 0, 0], high: [0, rows - height, columns - width, 0]), [pixels], "pad")
    let levels = try call.cast(try call.unary(.clip, [0, 255], wide), to: .int32)

    // [batch, grid rows, grid columns, channels, pixels of the tile]
    let tiled = try call.reshape(levels, [dims[0], Dim(grid[0]), Dim(tile[0]), Dim(grid[1]), Dim(tile[1]), Dim(channels)])
    let moved = try call.transpose(tiled, [0, 1, 3, 5, 2, 4])
    let area = tile[0] * tile[1]
    let flat = try call.reshape(moved, [dims[0], Dim(grid[0]), Dim(grid[1]), Dim(channels), Dim(area)])
    let hot = try call.add(OneHot(depth: 256, dtype: .float32), [flat], "one_hot")
    var counts = try call.add(Reduce(.sum, axes: [4], keepDims: false), [hot], "histograms")
    if limit > 0 {
      let clipped = try call.unary(.clip, [0, limit * Double(area) / 256], counts)
      let excess = try call.add(Reduce(.sum, axes: [4], keepDims: true), [try call.binary(.sub, counts, clipped)], "excess")
      counts = try call.binary(.add, clipped, try call.unary(.affine, [1.0 / 256, 0], excess))
    }
    let sums = try call.add(Cumulative(.sum, axis: 4, exclusive: false, reverse: false), [counts], "running_sums")
    let least = try call.add(Reduce(.min, axes: [4], keepDims: true), [sums], "least")
    let whole = try call.unary(.affine, [-1, Double(area)], least)
    let one = try call.scalar(1, .float32)
    let divisor = try call.add(
      Elementwise(.select), [try call.binary(.equal, whole, try call.scalar(0, .float32)), one, whole], "divisor")
    let table = try call.unary(
      .clip, [0, 255], try call.binary(.div, try call.unary(.affine, [255, 0], try call.binary(.sub, sums, least)), divisor))
    let edged = try call.add(Pad(.edge, low: [0, 1, 1, 0, 0], high: [0, 1, 1, 0, 0]), [table], "edges")

    // Every pixel reads the tables of the four tiles around it.
    let tables = try call.reshape(edged, [dims[0], Dim((grid[0] + 2) * (grid[1] + 2) * channels * 256)])
    func near(_ length: Int, _ tile: Int, _ grid: Int) -> [(low: Int, high: Int, weight: Double)] {
      (0..<length).map { position in
        let place = Double((Float(position) - Float(tile) / 2) / Float(tile) + 1)
        let low = place.rounded(.down)
        return (min(max(Int(low), 0), grid + 1), min(max(Int(low) + 1, 0), grid + 1), place - low)
      }
    }
    let (down, across) = (near(rows, tile[0], grid[0]), near(columns, tile[1], grid[1]))
    func corner(_ y: (Int) -> Int, _ x: (Int) -> Int) throws -> ValueID {
      var offsets: [Int64] = []
      for row in 0..<rows {
        for column in 0..<columns {
          for channel in 0..<channels {
            offsets.append(Int64(((y(row) * (grid[1] + 2) + x(column)) * channels + channel) * 256))
          }
        }
      }
      let base = call.constant(try Tensor(integers: offsets, dtype: .int32, shape: [rows, columns, channels]), "tables")
      return try call.add(Gather(axis: 1, batchDims: 1), [tables, try call.binary(.add, levels, base)], "levels")
    }
    func weights(_ values: [Double], _ shape: Shape) throws -> ValueID {
      call.constant(try Tensor(converting: values, to: .float32, shape: shape), "weights")
    }
    let horizontal = try weights(across.map(\.weight), [1, 1, columns, 1])
    let vertical = try weights(down.map(\.weight), [1, rows, 1, 1])
    func mixed(_ a: ValueID, _ b: ValueID, _ weight: ValueID) throws -> ValueID {
      try call.binary(
        .add, try call.binary(.mul, a, try call.unary(.affine, [-1, 1], weight)), try call.binary(.mul, b, weight))
    }
    let top = try mixed(
      try corner({ down[$0].low }, { across[$0].low }), try corner({ down[$0].low }, { across[$0].high }), horizontal)
    let bottom = try mixed(
      try corner({ down[$0].high }, { across[$0].low }), try corner({ down[$0].high }, { across[$0].high }), horizontal)
    let all = try mixed(top, bottom, vertical)
    let cut = try call.add(
      Slice([.all, Slice.Range(end: height), Slice.Range(end: width), .all]), [all], "crop")
    let result = try call.unary(.affine, ValueRange.map([0, 255], range), cut)
    return [KerasTensor(try call.back(try call.cast(result, to: call.type(given).dtype), format))]
  }
}

/// Keras `Pipeline`: layers one after the other.
struct PipelineLayer: KerasLayerReader {
  let children: [KerasLayer]

  init(_ config: LayerConfig, _ models: KerasModelReader) {
    guard let items = config.json("layers")?.arrayValue else {
      config.malformed("layers must be a list")
      children = []
      return
    }
    children = items.enumerated().compactMap { models.innerLayer($1, of: config, role: "layer_\($0)") }
  }

  var childAttributes: [String] { children.indices.map { "_pipeline_layers/\($0)" } }
  var masking: MaskRule { .computed }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    guard let first = call.tensors.first, call.tensors.count == 1 else {
      throw KilnError(.badInput, "takes one input, found \(call.tensors.count)")
    }
    var current = first
    for layer in children {
      let inner = LayerCall(builder: call.builder, layer: layer, arguments: [.leaf(current)], keywords: [])
      guard let result = try layer.reader.call(inner).first else { throw KilnError(.internal, "a layer without result") }
      switch layer.reader.masking {
      case .passes: current = KerasTensor(result.value, mask: current.mask)
      case .drops: current = KerasTensor(result.value)
      case .computed: current = result
      }
    }
    return [current]
  }
}
