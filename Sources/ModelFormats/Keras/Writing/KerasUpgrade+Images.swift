import GraphModule
import TensorModule

/// Convolutions and pooling: what Theano and CNTK do at the edges is written as layers of its own.
extension KerasUpgrade {
  /// Lengths of the image axes of a layer's input, where they are known.
  private func lengths(_ layer: KerasLayer, rank: Int) -> [Int?] {
    guard let dims = layer.inputTypes.first?.dims, dims.count == rank + 2 else { return [Int?](repeating: nil, count: rank) }
    return (KerasUpgrade.isChannelsFirst(layer) ? dims.dropFirst(2) : dims.dropFirst().dropLast()).map(\.fixed)
  }

  private func format(_ layer: KerasLayer) -> JSON { .string((KerasUpgrade.isChannelsFirst(layer) ? DataFormat.channelsFirst : .channelsLast).rawValue) }

  /// A ZeroPadding or Cropping layer; nil when it would do nothing.
  private func border(_ layer: KerasLayer, _ className: String, _ suffix: String, _ amounts: [(low: Int, high: Int)]) -> WrittenLayer? {
    guard amounts.contains(where: { $0.low > 0 || $0.high > 0 }) else { return nil }
    let pairs = amounts.map { JSON.array([.int(max($0.low, 0)), .int(max($0.high, 0))]) }
    let key = className == "ZeroPadding" ? "padding" : "cropping"
    var options: [(String, JSON)] = [(key, amounts.count == 1 ? pairs[0] : .array(pairs))]
    if amounts.count > 1 || className == "ZeroPadding" { options.append(("data_format", format(layer))) }
    let made = extra("\(className)\(amounts.count)D", layer, suffix, options)
    if amounts.count == 1, KerasUpgrade.isChannelsFirst(layer), className == "Cropping" { problem(layer, "crops channels-first sequences") }
    return made
  }

  /// What a window takes before and after the input, as the backend of the file does; nil where Keras 3 does the same with the
  /// layer's own `padding`.
  private func amounts(_ layer: KerasLayer, _ options: ConvOptions, separable: Bool) -> [(low: Int, high: Int)]? {
    let padding = separable ? options.separablePadding : options.opPadding
    let lengths = lengths(layer, rank: options.rank)
    switch padding {
    case .valid: return nil
    case .explicit(let list):
      // Keras 3 has no causal separable convolution.
      if options.padding == .causal { return separable ? list.map { (low: $0.low, high: $0.high) } : nil }
      let amounts = list.map { (low: $0.low, high: $0.high) }
      let agrees = amounts.indices.allSatisfy { axis in
        let extent = (options.kernel[axis] - 1) * options.dilations[axis] + 1
        return KerasUpgrade.isTensorFlowSame(amounts[axis], lengths[axis], extent: extent, stride: options.strides[axis])
      }
      return options.padding == .same && agrees ? nil : amounts
    default:
      guard options.backend == .cntk, options.strides.contains(where: { $0 > 1 }) else { return nil }
      return centred(layer, lengths, options.kernel, options.strides)
    }
  }

  /// Whether TensorFlow's `same` puts these amounts around an input.
  private static func isTensorFlowSame(_ amount: (low: Int, high: Int), _ length: Int?, extent: Int, stride: Int) -> Bool {
    if stride == 1 { return amount.low == (extent - 1) / 2 && amount.high == extent - 1 - (extent - 1) / 2 }
    guard let length else { return false }
    let total = max((max((length + stride - 1) / stride, 1) - 1) * stride + extent - length, 0)
    // What goes after the last window does not show.
    return amount.low == total / 2
  }

  /// CNTK's windows stand in the middle of the input.
  private func centred(_ layer: KerasLayer, _ lengths: [Int?], _ window: [Int], _ strides: [Int]) -> [(low: Int, high: Int)]? {
    var out: [(low: Int, high: Int)] = []
    for axis in window.indices {
      guard let length = lengths[axis] else {
        problem(layer, "padding 'same' with strides on CNTK depends on the size of the image, which is not known")
        return nil
      }
      let low = KerasBackend.cntkLow(length: length, window: window[axis], stride: strides[axis])
      let last = (length - 1) / strides[axis] * strides[axis]
      out.append((low, max(last + window[axis] - length - low, 0)))
    }
    let agrees = out.indices.allSatisfy { KerasUpgrade.isTensorFlowSame(out[$0], lengths[$0], extent: window[$0], stride: strides[$0]) }
    return agrees ? nil : out
  }

  /// Puts borders before a layer that then pads nothing itself.
  private func pad(_ parts: inout UpgradedLayer, _ layer: KerasLayer, _ amounts: [(low: Int, high: Int)]) {
    parts.main.config["padding"] = .string("valid")
    if let crop = border(layer, "Cropping", "_crop", amounts.map { (low: max(-$0.low, 0), high: 0) }) { parts.before.append(crop) }
    if let pad = border(layer, "ZeroPadding", "_pad", amounts) { parts.before.append(pad) }
    note(layer, "its padding is written as layers before it")
  }

  // MARK: Layers

  func convolution(_ layer: KerasLayer) -> UpgradedLayer {
    let options = (layer.reader as? ConvLayer)?.options ?? (layer.reader as? DepthwiseConvLayer)?.options ?? (layer.reader as? SeparableConvLayer)?.options
    guard let options else { return UpgradedLayer(plain(layer)) }
    let isSeparable = layer.reader is SeparableConvLayer
    let isDepthwise = layer.reader is DepthwiseConvLayer
    let main = plain(layer) { config in
      config["strides"] = .array(options.strides.map { .int($0) })
      config["dilation_rate"] = .array(options.dilations.map { .int($0) })
      config["kernel_size"] = .array(options.kernel.map { .int($0) })
      if options.backend == .cntk, isDepthwise, options.dilations.contains(where: { $0 > 1 }) {
        // Keras on CNTK takes the dilation for the strides.
        (config["strides"], config["dilation_rate"]) = (config["dilation_rate"], .array(options.dilations.map { _ in .int(1) }))
      }
    }
    var parts = withActivation(layer, main)
    if options.backend == .cntk, isDepthwise || isSeparable, options.padding == .same, readsFirstChannelOnly(layer, options) {
      problem(layer, "CNTK reads the first channel for all here, which no layer of Keras 3 does")
    }
    if let amounts = amounts(layer, options, separable: isSeparable) { pad(&parts, layer, amounts) }
    return turned(parts, layer, rank: options.rank)
  }

  private func readsFirstChannelOnly(_ layer: KerasLayer, _ options: ConvOptions) -> Bool {
    let channels = KerasUpgrade.isChannelsFirst(layer) ? layer.inputTypes.first?.dims.dropFirst().first?.fixed : layer.inputTypes.first?.dims.last?.fixed
    guard channels != 1 else { return false }
    let strides = options.dilations.contains { $0 > 1 } ? options.dilations : options.strides
    return zip(lengths(layer, rank: options.rank), zip(options.kernel, strides)).contains { length, window in
      let (size, stride) = window
      if stride == 1 { return size % 2 == 0 }
      guard let length else { return true }
      let low = KerasBackend.cntkLow(length: length, window: size, stride: stride)
      return (length - 1) / stride * stride + size - length - low > low
    }
  }

  func transposedConvolution(_ layer: KerasLayer) -> UpgradedLayer {
    guard let reader = layer.reader as? ConvTransposeLayer else { return UpgradedLayer(plain(layer)) }
    let options = reader.options
    let main = plain(layer) { config in
      config["strides"] = .array(options.strides.map { .int($0) })
      config["kernel_size"] = .array(options.kernel.map { .int($0) })
    }
    var parts = withActivation(layer, main)
    let isOther = reader.outputShape != nil || options.padding == .same && [.theano, .cntk].contains(options.backend)
    if isOther {
      let lengths = lengths(layer, rank: options.rank)
      main.config["padding"] = .string("valid")
      main.config["output_padding"] = .null
      var cuts: [(low: Int, high: Int)] = []
      for axis in options.kernel.indices {
        let extent = (options.kernel[axis] - 1) * options.dilations[axis] + 1
        let stride = options.strides[axis]
        guard let input = lengths[axis] else {
          problem(layer, "its result depends on the size of the image, which is not known")
          return parts
        }
        let full = (input - 1) * stride + extent
        let output = reader.outputShape?[axis]
          ?? (options.backend == .theano
            ? full - extent / 2 - (reader.outputPadding.map { extent / 2 - $0[axis] } ?? extent - stride - extent / 2)
            : reader.outputPadding.map { full - 2 * (extent / 2) + $0[axis] } ?? input * stride)
        let low = options.backend.transposedCut(input: input, output: output, extent: extent, stride: stride, isSame: options.padding == .same)
        // Without padding Keras 3 gives at least a whole stride for each element.
        let made = input * stride + max(extent - stride, 0)
        let high = made - low - output
        guard low >= 0, high >= 0 else {
          problem(layer, "zeros that \(dialect.backend.rawValue) puts beside its result have no layer in Keras 3")
          return parts
        }
        cuts.append((low, high))
      }
      if let crop = border(layer, "Cropping", "_crop", cuts) { parts.after.insert(crop, at: 0) }
      note(layer, "its result is cut by a layer of its own")
    }
    return turned(parts, layer, rank: options.rank)
  }

  func pooling(_ layer: KerasLayer) -> UpgradedLayer {
    guard let reader = layer.reader as? PoolLayer else { return UpgradedLayer(plain(layer)) }
    let main = plain(layer) { config in
      config["pool_size"] = .array(reader.window.map { .int($0) })
      config["strides"] = .array(reader.strides.map { .int($0) })
    }
    var parts = UpgradedLayer(main)
    if reader.padding != .valid, dialect.backend == .theano || dialect.backend == .cntk {
      let lengths = lengths(layer, rank: reader.rank)
      let agrees = reader.window.indices.allSatisfy { axis in
        KerasBackend.agreeOnPooling([.tensorflow, dialect.backend], window: reader.window[axis], stride: reader.strides[axis], length: lengths[axis])
      }
      if !agrees || reader.countsPadding { pad(&parts, layer, reader, lengths) }
    }
    return turned(parts, layer, rank: reader.rank)
  }

  /// Pads a pooling as its backend does. The largest of a window takes no zeros; a mean is of the cells of the
  /// image alone where the backend leaves padding out.
  private func pad(_ parts: inout UpgradedLayer, _ layer: KerasLayer, _ reader: PoolLayer, _ lengths: [Int?]) {
    var amounts: [(low: Int, high: Int)]?
    if case .explicit(let list) = reader.padding { amounts = list.map { ($0.low, $0.high) } } else { amounts = centred(layer, lengths, reader.window, reader.strides) }
    guard let amounts else { return }
    guard amounts.allSatisfy({ $0.low >= 0 }) else {
      problem(layer, "padding 'same' of \(dialect.backend.rawValue) leaves cells out here, which no padding of Keras 3 does")
      return
    }
    parts.main.config["padding"] = .string("valid")
    let isFirst = KerasUpgrade.isChannelsFirst(layer)
    let pairs = amounts.map { JSON.array([.int($0.low), .int($0.high)]) }
    let none = JSON.array([.int(0), .int(0)])
    let padding = WrittenLayer(
      "Pad", layer.name + "_pad",
      JSONObject([
        ("name", .string(layer.name + "_pad")), ("pad_width", .array(isFirst && !turnsImages ? [none, none] + pairs : [none] + pairs + [none])),
        ("mode", .string("constant")),
      ]), module: "keras.src.ops.numpy")
    padding.registeredName = "Pad"
    note(layer, "'same' padding of \(dialect.backend.rawValue) is written as a keras.ops.pad before it")
    guard reader.kind == .average else {
      padding.constants = [("constant_values", .double(-3.4028234663852886e38))]
      parts.before.append(padding)
      return
    }
    if reader.countsPadding {
      padding.constants = [("constant_values", .double(0))]
      parts.before.append(padding)
      return
    }
    guard lengths.allSatisfy({ $0 != nil }) else {
      problem(layer, "padding 'same' of its mean depends on the size of the image, which is not known")
      return
    }
    padding.constants = [("constant_values", .double(0))]
    parts.before.append(padding)
    // The layer divides by the whole window: what it gives is multiplied by window / cells of the image.
    let factors = reader.window.indices.map { axis -> [Double] in
      let (length, window, stride, low) = (lengths[axis] ?? 0, reader.window[axis], reader.strides[axis], amounts[axis].low)
      let count = (length + amounts[axis].low + amounts[axis].high - window) / stride + 1
      return (0..<max(count, 0)).map { index in
        let cells = min(index * stride - low + window, length) - max(index * stride - low, 0)
        return Double(window) / Double(max(cells, 1))
      }
    }
    var values: [JSON] = [.double(1)]
    func nest(_ axis: Int, _ factor: Double) -> JSON {
      if axis == factors.count { return isFirst && !turnsImages ? .double(Double(Float(factor))) : .array([.double(Double(Float(factor)))]) }
      return .array(factors[axis].map { nest(axis + 1, factor * $0) })
    }
    values = [nest(0, 1)]
    let scale = WrittenLayer("Multiply", layer.name + "_mean", JSONObject([("name", .string(layer.name + "_mean"))]), module: "keras.src.ops.numpy")
    scale.registeredName = "Multiply"
    let array = JSON.object(
      JSONObject([
        ("class_name", .string("__numpy__")),
        (
          "config",
          .object(JSONObject([("value", .array(isFirst && !turnsImages ? [.array(values)] : values)), ("dtype", .string("float32"))]))
        ),
      ]))
    scale.operands = [array]
    parts.after.insert(scale, at: 0)
  }

  func image(_ layer: KerasLayer) -> UpgradedLayer {
    if let reader = layer.reader as? UpSampling, reader.isBilinear, reader.coordinates != .halfPixel {
      problem(layer, "interpolation 'bilinear' of Keras \(dialect.version.prefix(2).map { "\($0)" }.joined(separator: ".")) has no half-pixel centres, that of Keras 3 has")
    }
    let rank = Int(String(layer.className.dropLast().last ?? "2")) ?? 2
    return turned(UpgradedLayer(plain(layer)), layer, rank: rank)
  }

  /// Puts a channels-first layer between two Permute layers, when images are turned.
  func turned(_ parts: UpgradedLayer, _ layer: KerasLayer, rank: Int, leading: Int = 0) -> UpgradedLayer {
    guard turnsImages, KerasUpgrade.isChannelsFirst(layer), !layer.inputTypes.isEmpty else { return parts }
    var parts = parts
    for part in parts.chain where part.config["data_format"] != nil { part.config["data_format"] = .string(DataFormat.channelsLast.rawValue) }
    let time = leading == 0 ? [] : Array(1...leading)
    let forth = time + Array(leading + 2..<leading + rank + 2) + [leading + 1]
    let back = time + [leading + rank + 1] + Array(leading + 1..<leading + rank + 1)
    func permute(_ suffix: String, _ dims: [Int]) -> WrittenLayer { extra("Permute", layer, suffix, [("dims", .array(dims.map { .int($0) }))]) }
    parts.before.insert(permute(AxisOrder.before, forth), at: 0)
    let resultRank = layer.resultTypes.first?.first?.rank ?? rank + 2
    guard resultRank == leading + rank + 2 else { return parts.main.className.hasPrefix("Global") ? parts : turnedShort(parts, layer, resultRank, rank, permute) }
    // A softmax goes over the last axis, whatever that is.
    let name = parts.main.config["activation"]?.stringValue
    parts.after.append(permute(AxisOrder.after, back))
    if let name, ["softmax", "log_softmax", "sparsemax", "glu"].contains(name) {
      parts.main.config["activation"] = .string("linear")
      parts.after.append(extra("Activation", layer, "_activation", [("activation", .string(name))]))
    }
    note(layer, "is written channels-last, since TensorFlow has no channels-first convolutions on a CPU; inputs and outputs keep their shapes")
    return parts
  }

  /// A recurrent layer that gives its last step alone.
  private func turnedShort(
    _ parts: UpgradedLayer, _ layer: KerasLayer, _ resultRank: Int, _ rank: Int, _ permute: (String, [Int]) -> WrittenLayer
  ) -> UpgradedLayer {
    guard resultRank == rank + 2 else { return parts }
    var parts = parts
    parts.after.append(permute(AxisOrder.after, [rank + 1] + Array(1..<rank + 1)))
    return parts
  }
}
