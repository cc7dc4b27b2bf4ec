import GraphModule
import TensorModule

/// Sizes and layout of an image layer, and what resizing, cropping and padding have in common.
struct ImageFrame {
  let height: Int
  let width: Int
  let format: DataFormat

  init(_ config: LayerConfig) {
    height = config.int("height", in: 1...1 << 20)
    width = config.int("width", in: 1...1 << 20)
    format = config.choice("data_format", .channelsLast)
  }

  init(height: Int, width: Int, format: DataFormat = .channelsLast) {
    self.height = height
    self.width = width
    self.format = format
  }

  /// Images [batch, height, width, channels]; without a batch axis there is no meaning in a model.
  func input(_ call: LayerCall, _ x: ValueID) throws -> ValueID {
    guard call.type(x).rank == 4 else { throw KilnError(.badInput, "needs an input of rank 4, found \(call.type(x).message)") }
    return try call.channelsLast(x, format)
  }

  func lengths(_ call: LayerCall, _ x: ValueID) throws -> (height: Int, width: Int) {
    let found = (try call.fixed(x, axis: 1), try call.fixed(x, axis: 2))
    guard found.0 > 0, found.1 > 0, found.0 <= 1 << 20, found.1 <= 1 << 20 else {
      throw KilnError(.badInput, "images of \(found.0)×\(found.1) pixels")
    }
    return found
  }

  func slice(_ call: LayerCall, _ x: ValueID, _ top: Int, _ left: Int, _ height: Int, _ width: Int) throws -> ValueID {
    let ranges = [.all, Slice.Range(start: top, end: top + height), Slice.Range(start: left, end: left + width), .all]
    return try call.add(Slice(ranges), [x], "crop")
  }

  /// The largest centred part with the proportions of the target.
  func croppedToAspect(_ call: LayerCall, _ x: ValueID) throws -> ValueID {
    let (rows, columns) = try lengths(call, x)
    let high = max(min(rows, Int(Float(columns * height) / Float(width))), 1)
    let wide = max(min(columns, Int(Float(rows * width) / Float(height))), 1)
    return try slice(call, x, Int(Float(rows - high) / 2), Int(Float(columns - wide) / 2), high, wide)
  }

  /// The image with borders, so that it has the proportions of the target.
  func paddedToAspect(_ call: LayerCall, _ x: ValueID, value: Double) throws -> ValueID {
    let (rows, columns) = try lengths(call, x)
    let high = max(rows, Int(Float(columns * height) / Float(width)))
    let wide = max(columns, Int(Float(rows * width) / Float(height)))
    let (top, left) = (Int(Float(high - rows) / 2), Int(Float(wide - columns) / 2))
    return try call.add(Pad(.constant, low: [0, top, left, 0], high: [0, top, left, 0], value: value), [x], "pad")
  }

  /// Images of the frame's size.
  func resized(_ call: LayerCall, _ x: ValueID, _ interpolation: Interpolation, antialias: Bool = false) throws -> ValueID {
    let dims = call.type(x).dims
    if interpolation == .nearest || (interpolation == .bilinear && !antialias) {
      let op = Resize(interpolation == .nearest ? .nearest : .bilinear, coordinates: .halfPixel, dims: [Dim(height), Dim(width)])
      return try call.add(op, [x], "resize")
    }
    let (rows, columns) = try lengths(call, x)
    guard let down = checkedProduct([height, rows]), let across = checkedProduct([width, columns]), max(down, across) <= 1 << 26 else {
      throw KilnError(.unsupportedModel, "interpolation '\(interpolation.rawValue)' from \(rows)×\(columns) to \(height)×\(width) is not supported")
    }
    func matrix(_ from: Int, _ to: Int, _ name: String) throws -> ValueID {
      call.constant(try Tensor(converting: interpolation.weights(from: from, to: to, antialias: antialias), to: call.type(x).dtype, shape: [to, from]), name)
    }
    // Rows, then columns, each as a product with the weights of its axis.
    var y = try call.reshape(x, [dims[0], Dim(rows), Dim(columns) * dims[3]])
    y = try call.add(MatMul(), [try matrix(rows, height, "rows"), y], "resize_rows")
    y = try call.reshape(y, [dims[0] * Dim(height), Dim(columns), dims[3]])
    y = try call.add(MatMul(), [try matrix(columns, width, "columns"), y], "resize_columns")
    return try call.reshape(y, [dims[0], Dim(height), Dim(width), dims[3]])
  }
}

/// Keras `Resizing`.
struct Resizing: KerasLayerReader {
  let frame: ImageFrame
  let interpolation: Interpolation
  let cropsToAspect: Bool
  let padsToAspect: Bool
  let antialias: Bool
  let fill: Double
  /// The layer's own dtype when it is one of integers: images become that before they are resized.
  let pixels: DType?

  init(_ config: LayerConfig) {
    frame = ImageFrame(config)
    interpolation = config.choice("interpolation", .bilinear)
    cropsToAspect = config.bool("crop_to_aspect_ratio", false)
    padsToAspect = config.bool("pad_to_aspect_ratio", false)
    fill = config.double("fill_value", 0)
    antialias = config.bool("antialias", false)
    if config.string("fill_mode", "constant") != "constant" { config.unsupported("a fill_mode other than 'constant'") }
    if cropsToAspect && padsToAspect { config.malformed("crop_to_aspect_ratio and pad_to_aspect_ratio are both true") }
    config.ignore("factor", "bounding_box_format", "value_range")
    let own = ConfigRewrite.policyName(config.json("dtype")).flatMap { DType(name: $0) }
    pixels = own.flatMap { $0.isInteger ? $0 : nil }
    // tf.keras cuts the fractions off, where one rounding more makes another pixel.
    if let pixels, pixels.integerBounds == nil || !config.dialect.isKeras3 && interpolation != .nearest {
      config.unsupported("interpolation '\(interpolation.rawValue)' with the layer's dtype \(pixels.name)")
    }
  }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    guard var given = call.tensors.first?.value else { throw KilnError(.badInput, "is called without a tensor") }
    if let pixels { given = try call.cast(given, to: pixels) }
    let dtype = call.type(given).dtype
    var x = try frame.input(call, try call.cast(given, to: call.dtype))
    if cropsToAspect { x = try frame.croppedToAspect(call, x) }
    if padsToAspect { x = try frame.paddedToAspect(call, x, value: fill) }
    x = try frame.resized(call, x, interpolation, antialias: antialias)
    // Keras 3 gives back the dtype of the images.
    if call.dialect.isKeras3 || pixels != nil, dtype.isInteger, let range = dtype.integerBounds {
      x = try call.unary(.clip, range, try call.unary(.round, x))
      x = try call.cast(x, to: dtype)
    }
    return [KerasTensor(try call.back(x, frame.format))]
  }
}

extension DType {
  /// The least and the greatest integer as numbers; nil for other dtypes.
  fileprivate var integerBounds: [Double]? {
    switch self {
    case .uint8: [0, 255]
    case .int8: [-128, 127]
    case .int16: [-32768, 32767]
    case .int32: [-2147483648, 2147483520]
    default: nil
    }
  }
}

/// Keras `CenterCrop`: the middle of the image; images that are too small are cropped to proportion and resized.
struct CenterCrop: KerasLayerReader {
  let frame: ImageFrame

  init(_ config: LayerConfig) {
    frame = ImageFrame(config)
    config.ignore("factor", "bounding_box_format", "value_range")
  }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = try frame.input(call, try call.floatInput())
    let (rows, columns) = try frame.lengths(call, x)
    let (down, across) = (rows - frame.height, columns - frame.width)
    let result =
      down >= 0 && across >= 0
      ? try frame.slice(call, x, down / 2, across / 2, frame.height, frame.width)
      : try frame.resized(call, try frame.croppedToAspect(call, x), .bilinear)
    return [KerasTensor(try call.back(result, frame.format))]
  }
}

/// Keras `RandomCrop` when predicting: before Keras 3 the centre with the target's proportions, resized; then the image itself.
struct RandomCrop: KerasLayerReader {
  let frame: ImageFrame

  init(_ config: LayerConfig) {
    frame = ImageFrame(config)
    config.ignore("factor", "bounding_box_format", "value_range")
  }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    if call.dialect.isKeras3, !call.dialect.isBefore(3, 6) { return [KerasTensor(try call.input())] }
    let x = try frame.input(call, try call.floatInput())
    if call.dialect.isBefore(2, 6) { return [KerasTensor(try call.back(try resizedThenCropped(call, x), frame.format))] }
    let result = try frame.resized(call, try frame.croppedToAspect(call, x), .bilinear)
    return [KerasTensor(try call.back(result, frame.format))]
  }

  /// The shorter side made to fit, then the centre.
  private func resizedThenCropped(_ call: LayerCall, _ x: ValueID) throws -> ValueID {
    let (rows, columns) = try frame.lengths(call, x)
    let isTall = Double(rows) / Double(columns) > Double(frame.height) / Double(frame.width)
    let high = isTall ? Int(Double(frame.width * rows) / Double(columns)) : frame.height
    let wide = isTall ? frame.width : Int(Double(frame.height * columns) / Double(rows))
    let op = Resize(.bilinear, coordinates: .halfPixel, dims: [Dim(max(high, 1)), Dim(max(wide, 1))])
    let resized = try call.add(op, [x], "resize")
    return try frame.slice(call, resized, (high - frame.height) / 2, (wide - frame.width) / 2, frame.height, frame.width)
  }
}

/// A Keras augmentation layer, which changes images only when training.
struct Augmentation: KerasLayerReader {
  init(_ config: LayerConfig) {
    config.ignore(
      "data_format", "factor", "value_range", "bounding_box_format", "mode", "fill_mode", "fill_value", "interpolation",
      "height_factor", "width_factor", "height", "width", "lower", "upper", "alpha", "num_chains", "chain_depth",
      "all_ops", "num_ops", "bins", "scale", "x_factor", "y_factor", "kernel_size", "sigma", "ratio", "num_samples",
      "brightness_factor", "contrast_factor", "saturation_factor", "hue_factor", "addition_factor", "threshold_factor",
      "augmentations_per_image", "rate", "zoom_factor", "axis", "max_number")
  }

  var isIdentity: Bool { true }

  func call(_ call: LayerCall) throws -> [KerasTensor] { [KerasTensor(try call.floatInput())] }
}
