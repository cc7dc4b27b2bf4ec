import GraphModule
import TensorModule

/// How a Keras layer pads its spatial axes.
enum KerasPadding: String, CaseIterable { case valid, same, causal, full }

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
  let backend: KerasBackend

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
    backend = config.dialect.backend
    if padding == .full && (config.dialect.generation != .keras1 || backend != .theano) {
      config.unsupported("padding 'full'", nearest: "same")
    }
    let isPlain = ["Conv1D", "Conv2D", "Conv3D"].contains(ConfigRewrite.currentClassName(config.className))
    if backend == .cntk, padding == .same, !isPlain, strides.contains(where: { $0 > 1 }) || kernel.contains(where: { $0 % 2 == 0 }) {
      config.unsupported("padding 'same' with strides or even kernels on cntk", nearest: "valid")
    }
    if backend == .cntk, !isPlain, dilations.contains(where: { $0 > 1 }) {
      config.unsupported("dilation_rate on cntk", nearest: "1")
    }
    if padding == .causal && rank != 1 { config.unsupported("padding 'causal' on images", nearest: "same") }
  }

  /// The padding of the op. Causal pads the start only, so that no result sees a later step.
  var opPadding: Padding {
    switch padding {
    case .valid: .valid
    case .same: backend.samePadding(kernel: kernel, dilations: dilations)
    case .full:
      .explicit(zip(kernel, dilations).map { Padding.Amount(Dim.clamp(($0 - 1) * $1), Dim.clamp(($0 - 1) * $1)) })
    case .causal: .explicit(zip(kernel, dilations).map { Padding.Amount(Dim.clamp(($0 - 1) * $1), 0) })
    }
  }

  /// As `opPadding`; Keras 2 on Theano does not cut what even kernels make too long here.
  var separablePadding: Padding {
    guard backend == .theano, padding == .same else { return opPadding }
    return .explicit(
      zip(kernel, dilations).map { kernel, dilation in
        let half = (Dim.clamp((kernel - 1) * dilation) + 1) / 2
        return Padding.Amount(half, half)
      })
  }

  /// Adds the convolution with its bias, the activation, and what brings the result back to the layer's layout.
  ///
  /// - Parameter make: the op with a given epilogue.
  func finish(
    _ call: LayerCall, _ operands: [ValueID], channels: Int, _ suffix: String, isDepthwise: Bool = false,
    _ make: (Epilogue) -> any OpDefinition
  ) throws -> [KerasTensor] {
    let bias = usesBias ? [try call.weight("bias", [channels])] : []
    let value = try call.add(make(Epilogue(bias: usesBias)), operands + bias, suffix)
    // Of the channels-first convolutions only the depthwise ones run on a CPU in TensorFlow.
    if let bias = bias.first, isDepthwise, format == .channelsFirst {
      let plain = call.type(value).dims
      let own = [plain[0], Dim(channels)] + plain.dropFirst().dropLast()
      let ones = [Dim](repeating: 1, count: own.count - 2)
      if call.biasAxis(of: own, adding: [1, Dim(channels)] + ones) != nil {
        let product = try call.back(try call.add(make(.none), operands, suffix), format)
        let sum = try call.kerasAdd(product, try call.reshape(bias, [1, Dim(channels)] + ones))
        return [KerasTensor(try activation.apply(call, sum))]
      }
    }
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
    var padding = options.opPadding
    if padding == .same {
      padding = try options.backend.centredPadding(call, x, kernel: options.kernel, strides: options.strides)
    }
    return try options.finish(call, [x, kernel], channels: filters, "conv") {
      Conv(
        strides: options.strides, dilations: options.dilations, padding: padding, groups: groups, epilogue: $0
      )
    }
  }
}

/// Keras `Conv1DTranspose`, `Conv2DTranspose`, `Conv3DTranspose`: kernel [spatial…, filters, in].
struct ConvTransposeLayer: KerasLayerReader {
  let options: ConvOptions
  let filters: Int
  let outputPadding: [Int]?
  /// Keras 1 writes the whole shape of the result.
  let outputShape: [Int]?

  init(_ config: LayerConfig, _ models: KerasModelReader, rank: Int) {
    options = ConvOptions(config, models, rank: rank)
    filters = config.int("filters")
    outputPadding = config.ints("output_padding", count: rank, in: 0...Int(Int32.max))
    config.ignore("groups")
    let isFirst = options.format == .channelsFirst
    let declared = config.dialect.generation == .keras1 ? config.json("output_shape")?.arrayValue : nil
    outputShape = declared.flatMap { dims in
      let lengths = (isFirst ? dims.dropFirst(2) : dims.dropFirst().dropLast()).map { $0.intValue ?? 0 }
      return lengths.count == rank && lengths.allSatisfy { $0 > 0 } ? lengths : nil
    }
    if config.dialect.generation == .keras1, outputShape == nil { config.malformed("output_shape is no shape") }
    if options.padding == .causal {
      config.unsupported("padding 'causal' of a transposed convolution", nearest: "same")
    }
    for (extra, stride) in zip(outputPadding ?? [], options.strides) where extra >= stride {
      config.malformed("output_padding \(extra) must be less than the stride \(stride)")
    }
  }

  var weights: [WeightSlot] { [WeightSlot("kernel")] + (options.usesBias ? [WeightSlot("bias")] : []) }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = try options.input(call)
    let kernel = try call.weight("kernel", options.kernel + [filters, try call.fixed(x, axis: -1)])
    let extra = try extraPadding(call, x)
    let padding =
      options.padding == .same
      ? options.backend.sameTransposePadding(
        kernel: options.kernel, strides: options.strides, dilations: options.dilations, outputPadding: extra)
      : options.opPadding
    guard let padding else {
      throw KilnError(.unsupportedModel, "padding 'same' with strides longer than half the kernel, on Theano")
    }
    var isExplicit = false
    if case .explicit = padding { isExplicit = true }
    return try options.finish(call, [x, kernel], channels: filters, "conv_transpose") {
      ConvTranspose(
        strides: options.strides, dilations: options.dilations, padding: padding,
        outputPadding: isExplicit ? nil : extra, epilogue: $0)
    }
  }

  /// What the result is longer than the shortest that this window can come from; nil: as Keras takes by itself.
  private func extraPadding(_ call: LayerCall, _ x: ValueID) throws -> [Int]? {
    guard let outputShape else { return outputPadding }
    return try outputShape.enumerated().map { axis, length in
      let input = try call.fixed(x, axis: axis + 1)
      let kernel = options.kernel[axis]
      let cut = options.padding == .same ? 2 * (kernel / 2) : 0
      let extra = length - (Dim.clamp((input - 1) * options.strides[axis]) + kernel - cut)
      guard (0..<options.strides[axis]).contains(extra) || (cut > 0 && extra == -1) else {
        throw KilnError(.badInput, "output_shape \(outputShape) does not fit an input of \(call.type(x).message)")
      }
      return extra
    }
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
    return try options.finish(call, [x, kernel], channels: channels * multiplier, "depthwise_conv", isDepthwise: true) {
      Conv(
        strides: options.strides, dilations: options.dilations, padding: options.opPadding, groups: channels,
        epilogue: $0)
    }
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
    let spread = try call.add(
      Conv(strides: options.strides, dilations: options.dilations, padding: options.separablePadding, groups: channels),
      [x, depthwise], "depthwise_conv")
    return try options.finish(call, [spread, pointwise], channels: filters, "pointwise_conv", isDepthwise: true) {
      Conv(strides: ones, epilogue: $0)
    }
  }
}
