import GraphModule
import TensorModule

/// How a Keras layer pads its spatial axes.
enum KerasPadding: String, CaseIterable { case valid, same, causal }

/// What the convolutions have in common: window, bias, activation, layout.
struct ConvOptions {
  let rank: Int
  let kernel: [Int]
  let strides: [Int]
  let dilations: [Int]
  let padding: KerasPadding
  let format: DataFormat
  let usesBias: Bool
  let activation: ActivationFunction

  init(_ config: LayerConfig, _ models: KerasModelReader, rank: Int) {
    self.rank = rank
    kernel = config.ints("kernel_size", count: rank) ?? [Int](repeating: 1, count: rank)
    if config.json("kernel_size") == nil { config.malformed("kernel_size is missing") }
    strides = config.ints("strides", count: rank) ?? [Int](repeating: 1, count: rank)
    dilations = config.ints("dilation_rate", count: rank) ?? [Int](repeating: 1, count: rank)
    padding = config.choice("padding", .valid)
    format = config.choice("data_format", .channelsLast)
    usesBias = config.bool("use_bias", true)
    activation = .read(config, models)
    if padding == .causal && rank != 1 { config.unsupported("padding 'causal' on images", nearest: "same") }
  }

  /// The padding of the op. Causal pads the start only, so that no result sees a later step.
  var opPadding: Padding {
    switch padding {
    case .valid: .valid
    case .same: .same
    case .causal: .explicit(zip(kernel, dilations).map { Padding.Amount(Dim.clamp(($0 - 1) * $1), 0) })
    }
  }

  /// Bias and activation are put on, and the result is brought back to the layer's layout.
  func finish(_ call: LayerCall, _ value: ValueID) throws -> [KerasTensor] {
    // A function of single elements can be applied in any layout; the others see the layer's own.
    if case .scalar = activation { return [KerasTensor(try call.back(try activation.apply(call, value), format))] }
    return [KerasTensor(try activation.apply(call, try call.back(value, format)))]
  }

  func input(_ call: LayerCall) throws -> ValueID {
    let x = try call.floatInput()
    guard call.type(x).rank == rank + 2 else {
      throw KilnError(.badInput, "needs an input of rank \(rank + 2), found \(call.type(x).message)")
    }
    return try call.channelsLast(x, format)
  }
}

/// Keras `Conv1D`, `Conv2D`, `Conv3D`: kernel [spatial…, in / groups, filters].
struct ConvLayer: KerasLayerReader {
  let options: ConvOptions
  let filters: Int
  let groups: Int

  init(_ config: LayerConfig, _ models: KerasModelReader, rank: Int) {
    options = ConvOptions(config, models, rank: rank)
    filters = config.int("filters")
    groups = config.int("groups", 1)
    if filters % groups != 0 { config.malformed("\(filters) filters do not split in \(groups) groups") }
  }

  var weights: [WeightSlot] { [WeightSlot("kernel")] + (options.usesBias ? [WeightSlot("bias")] : []) }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = try options.input(call)
    let channels = try call.fixed(x, axis: -1)
    guard channels % groups == 0 else {
      throw KilnError(.badInput, "\(channels) input channels do not split in \(groups) groups")
    }
    let kernel = try call.weight("kernel", options.kernel + [channels / groups, filters])
    let bias = options.usesBias ? [try call.weight("bias", [filters])] : []
    let op = Conv(
      strides: options.strides, dilations: options.dilations, padding: options.opPadding, groups: groups,
      epilogue: Epilogue(bias: options.usesBias))
    return try options.finish(call, try call.add(op, [x, kernel] + bias, "conv"))
  }
}

/// Keras `Conv1DTranspose`, `Conv2DTranspose`, `Conv3DTranspose`: kernel [spatial…, filters, in].
struct ConvTransposeLayer: KerasLayerReader {
  let options: ConvOptions
  let filters: Int
  let outputPadding: [Int]?

  init(_ config: LayerConfig, _ models: KerasModelReader, rank: Int) {
    options = ConvOptions(config, models, rank: rank)
    filters = config.int("filters")
    outputPadding = config.ints("output_padding", count: rank, in: 0...Int(Int32.max))
    config.ignore("groups")
    if options.padding == .causal { config.unsupported("padding 'causal' of a transposed convolution", nearest: "same") }
    for (extra, stride) in zip(outputPadding ?? [], options.strides) where extra >= stride {
      config.malformed("output_padding \(extra) must be less than the stride \(stride)")
    }
  }

  var weights: [WeightSlot] { [WeightSlot("kernel")] + (options.usesBias ? [WeightSlot("bias")] : []) }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = try options.input(call)
    let kernel = try call.weight("kernel", options.kernel + [filters, try call.fixed(x, axis: -1)])
    let bias = options.usesBias ? [try call.weight("bias", [filters])] : []
    let op = ConvTranspose(
      strides: options.strides, dilations: options.dilations, padding: options.opPadding, outputPadding: outputPadding,
      epilogue: Epilogue(bias: options.usesBias))
    return try options.finish(call, try call.add(op, [x, kernel] + bias, "conv_transpose"))
  }
}

/// Keras `DepthwiseConv1D`, `DepthwiseConv2D`: kernel [spatial…, in, multiplier].
struct DepthwiseConvLayer: KerasLayerReader {
  let options: ConvOptions
  let multiplier: Int

  init(_ config: LayerConfig, _ models: KerasModelReader, rank: Int) {
    options = ConvOptions(config, models, rank: rank)
    multiplier = config.int("depth_multiplier", 1)
    config.ignore("filters", "groups")
  }

  var weights: [WeightSlot] { [WeightSlot("depthwise_kernel")] + (options.usesBias ? [WeightSlot("bias")] : []) }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = try options.input(call)
    let channels = try call.fixed(x, axis: -1)
    let kernel = try DepthwiseConvLayer.kernel(call, options, channels: channels, multiplier: multiplier)
    let bias = options.usesBias ? [try call.weight("bias", [channels * multiplier])] : []
    let op = Conv(
      strides: options.strides, dilations: options.dilations, padding: options.opPadding, groups: channels,
      epilogue: Epilogue(bias: options.usesBias))
    return try options.finish(call, try call.add(op, [x, kernel] + bias, "depthwise_conv"))
  }

  /// The kernel [spatial…, in, multiplier] as one of `in` groups: [spatial…, 1, in · multiplier]; the same elements.
  static func kernel(_ call: LayerCall, _ options: ConvOptions, channels: Int, multiplier: Int) throws -> ValueID {
    guard let width = checkedProduct([channels, multiplier]), channels > 0 else {
      throw KilnError(.badInput, "\(channels) channels times a depth_multiplier of \(multiplier)")
    }
    return try call.weight("depthwise_kernel", options.kernel + [channels, multiplier]) {
      $0.reshaped(options.kernel + [1, width])
    }
  }
}

/// Keras `SeparableConv1D`, `SeparableConv2D`: a depthwise convolution, then a pointwise one.
struct SeparableConvLayer: KerasLayerReader {
  let options: ConvOptions
  let filters: Int
  let multiplier: Int

  init(_ config: LayerConfig, _ models: KerasModelReader, rank: Int) {
    options = ConvOptions(config, models, rank: rank)
    filters = config.int("filters")
    multiplier = config.int("depth_multiplier", 1)
    config.ignore("groups")
  }

  var weights: [WeightSlot] {
    [WeightSlot("depthwise_kernel"), WeightSlot("pointwise_kernel")] + (options.usesBias ? [WeightSlot("bias")] : [])
  }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = try options.input(call)
    let channels = try call.fixed(x, axis: -1)
    let depthwise = try DepthwiseConvLayer.kernel(call, options, channels: channels, multiplier: multiplier)
    let ones = [Int](repeating: 1, count: options.rank)
    let pointwise = try call.weight("pointwise_kernel", ones + [channels * multiplier, filters])
    let bias = options.usesBias ? [try call.weight("bias", [filters])] : []
    let spread = try call.add(
      Conv(strides: options.strides, dilations: options.dilations, padding: options.opPadding, groups: channels),
      [x, depthwise], "depthwise_conv")
    let mixed = try call.add(Conv(strides: ones, epilogue: Epilogue(bias: options.usesBias)), [spread, pointwise] + bias, "pointwise_conv")
    return try options.finish(call, mixed)
  }
}
