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
  /// Keras on Theano without an op for volumes: (k − 1) / 2 before.
  let padsVolumes: Bool

  init(_ config: LayerConfig, _ models: KerasModelReader, rank: Int) {
    self.rank = rank
    kernel = config.ints("kernel_size", count: rank) ?? [Int](repeating: 1, count: rank)
    if config.json("kernel_size") == nil { config.malformed("kernel_size is missing") }
    strides = config.ints("strides", count: rank) ?? [Int](repeating: 1, count: rank)
    var dilations = config.ints("dilation_rate", count: rank) ?? [Int](repeating: 1, count: rank)
    if config.className == "SeparableConv2D", config.dialect.generation == .keras2, config.dialect.isBefore(2, 0, 9), dilations != [1, 1] {
      config.diagnostics.warn(config.path, "Keras before 2.0.9 leaves this layer's dilation_rate out; so does this graph")
      dilations = [1, 1]
    }
    self.dilations = dilations
    padding = config.choice("padding", .valid)
    format = config.choice("data_format", .channelsLast)
    usesBias = config.bool("use_bias", true)
    activation = .read(config, models)
    backend = config.dialect.backend
    padsVolumes = rank == 3 && backend == .theano && config.dialect.generation == .keras1 && config.dialect.isBefore(1, 1, 1)
    if padding == .full && (config.dialect.generation != .keras1 || backend != .theano) {
      config.unsupported("padding 'full'", nearest: "same")
    }
    if backend == .cntk, dilations.contains(where: { $0 > 1 }) {
      checkDilations(config)
    }
    if padding == .causal && rank != 1 { config.unsupported("padding 'causal' on images", nearest: "same") }
  }

  /// Before 2.2.3 Keras on CNTK took the dilation of plain convolutions for their strides, or left it out; since then only
  /// CNTK on a GPU takes one.
  private func checkDilations(_ config: LayerConfig) {
    switch ConfigRewrite.currentClassName(config.className) {
    case "DepthwiseConv2D":
      config.diagnostics.warn(config.path, "Keras on CNTK takes dilation_rate for the strides here; so does this graph")
      if Set(dilations).count > 1 || strides != [1, 1] { config.unsupported("dilation_rate with strides on cntk", nearest: "1") }
    case "Conv1D", "Conv2D", "Conv3D":
      if config.dialect.isBefore(2, 2, 3) || padding == .same { config.unsupported("dilation_rate on cntk", nearest: "1") }
    default: config.unsupported("dilation_rate on cntk", nearest: "1")
    }
  }

  /// The padding of the op. Causal pads the start only, so that no result sees a later step.
  var opPadding: Padding {
    switch padding {
    case .valid: .valid
    case .same:
      // Keras before 1.1.1 pads volumes itself.
      padsVolumes
        ? .explicit(kernel.map { Padding.Amount(($0 - 1) / 2, $0 / 2) })
        : backend.samePadding(kernel: kernel, dilations: dilations)
    case .full:
      .explicit(zip(kernel, dilations).map { Padding.Amount(Dim.clamp(($0 - 1) * $1), Dim.clamp(($0 - 1) * $1)) })
    case .causal: .explicit(zip(kernel, dilations).map { Padding.Amount(Dim.clamp(($0 - 1) * $1), 0) })
    }
  }

  /// The input and the padding that is left to the op: CNTK's depends on lengths, and it can leave cells out.
  func padded(_ call: LayerCall, _ x: ValueID, _ padding: Padding) throws -> (input: ValueID, padding: Padding) {
    padding == .same ? try backend.centred(call, x, window: kernel, strides: strides) : (x, padding)
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
    let (input, padding) = try options.padded(call, x, options.opPadding)
    return try options.finish(call, [input, kernel], channels: filters, "conv") {
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
    if outputShape != nil || options.padding == .same && [.theano, .cntk].contains(options.backend) {
      return try cut(call, x, kernel)
    }
    return try options.finish(call, [x, kernel], channels: filters, "conv_transpose") {
      ConvTranspose(
        strides: options.strides, dilations: options.dilations, padding: options.opPadding, outputPadding: outputPadding,
        epilogue: $0)
    }
  }

  /// The full result, cut or with zeros beside it as the backend does.
  private func cut(_ call: LayerCall, _ x: ValueID, _ kernel: ValueID) throws -> [KerasTensor] {
    var (low, high): ([Int], [Int]) = ([], [])
    for axis in options.kernel.indices {
      let extent = Dim.clamp((options.kernel[axis] - 1) * options.dilations[axis]) + 1
      let stride = options.strides[axis]
      if options.backend == .theano, outputShape == nil {
        // Cut by the kernel alone, whatever the length.
        low.append(extent / 2)
        high.append(outputPadding.map { extent / 2 - $0[axis] } ?? extent - stride - extent / 2)
        continue
      }
      let input = try call.fixed(x, axis: axis + 1)
      let full = Dim.clamp((input - 1) * stride) + extent
      let output = outputShape?[axis] ?? outputPadding.map { full - 2 * (extent / 2) + $0[axis] } ?? Dim.clamp(input * stride)
      let isSame = options.padding == .same
      low.append(
        options.backend.transposedCut(input: input, output: output, extent: extent, stride: stride, isSame: isSame))
      high.append(full - low[axis] - output)
      // The convolution that this one turns round must make the input's length of the result's.
      let expected = isSame ? low[axis] : 0
      let fits =
        isSame && options.backend != .theano
        ? output / stride + (output % stride == 0 ? 0 : 1) == input : (0..<stride).contains(expected - high[axis])
      guard fits else {
        throw KilnError(
          .badInput, "a result of length \(output) along axis \(axis + 1) does not come from an input of \(call.type(x).message)")
      }
    }
    func op(_ epilogue: Epilogue) -> ConvTranspose {
      ConvTranspose(
        strides: options.strides, dilations: options.dilations,
        padding: .explicit(zip(low, high).map { Padding.Amount(max($0, 0), max($1, 0)) }),
        outputPadding: high.map { max(-$0, 0) }, epilogue: epilogue)
    }
    guard low.contains(where: { $0 < 0 }) else {
      return try options.finish(call, [x, kernel], channels: filters, "conv_transpose", op)
    }
    // Zeros before the first cell take the bias too.
    let cells = try call.add(op(.none), [x, kernel], "conv_transpose")
    let pad = Pad(low: [0] + low.map { max(-$0, 0) } + [0], high: [Int](repeating: 0, count: low.count + 2))
    var value = try call.add(pad, [cells], "pad")
    if options.usesBias { value = try call.binary(.add, value, try call.weight("bias", [filters])) }
    return [KerasTensor(try options.activation.apply(call, try call.back(value, options.format)))]
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
    let (input, op) = try DepthwiseConvLayer.op(call, options, x, channels: channels, padding: options.opPadding)
    return try options.finish(call, [input, kernel], channels: channels * multiplier, "depthwise_conv", isDepthwise: true) {
      Conv(strides: op.strides, dilations: op.dilations, padding: op.padding, groups: op.groups, epilogue: $0)
    }
  }

  /// The convolution of each channel by itself, and its input.
  static func op(
    _ call: LayerCall, _ options: ConvOptions, _ x: ValueID, channels: Int, padding: Padding
  ) throws -> (input: ValueID, op: Conv) {
    guard options.backend == .cntk else {
      return (x, Conv(strides: options.strides, dilations: options.dilations, padding: padding, groups: channels))
    }
    let isDilated = options.dilations.contains { $0 > 1 }
    let strides = isDilated ? options.dilations : options.strides
    guard padding == .same else { return (x, Conv(strides: strides, padding: padding, groups: channels)) }
    let readsOne = try options.backend.readsFirstChannelOnly(call, x, window: options.kernel, strides: strides)
    var (input, padding) = try options.backend.centred(call, x, window: options.kernel, strides: strides)
    guard readsOne, channels > 1 else { return (input, Conv(strides: strides, padding: padding, groups: channels)) }
    call.builder.diagnostics.warn(
      call.layer.path, "CNTK reads the first channel for every group here (more padding after than before); so does this graph")
    var ranges = [Slice.Range](repeating: .all, count: options.rank + 1)
    ranges.append(Slice.Range(start: 0, end: 1))
    input = try call.add(Slice(ranges), [input], "first_channel")
    return (input, Conv(strides: strides, padding: padding, groups: 1))
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
    let (input, op) = try DepthwiseConvLayer.op(call, options, x, channels: channels, padding: options.separablePadding)
    let spread = try call.add(op, [input, depthwise], "depthwise_conv")
    return try options.finish(call, [spread, pointwise], channels: filters, "pointwise_conv", isDepthwise: true) {
      Conv(strides: ones, epilogue: $0)
    }
  }
}
