import TensorModule

/// How Keras 3 quantized a layer: what its dtype policy and `quantization_config` say.
struct KerasQuantization {
  enum Mode: String, CaseIterable { case int8, int4, float8, gptq, awq }

  let mode: Mode
  /// Rows that share a scale; nil: each column has one scale.
  let blockSize: Int?
  /// Whether int4 weights are packed along the axis that products sum over, as Keras did before 3.14, which also quantized
  /// the inputs unless it was told otherwise.
  let packsRows: Bool
  /// Bits of a GPTQ weight: 4 are packed in pairs.
  let bits: Int
  /// The length of float8's histories.
  let historyLength: Int
  /// What `quantization_config` says of activations; nil when there is none, and the layer decides.
  let quantizesInputs: Bool?
  /// The quantizer of activations.
  let epsilon: Double
  let limits: ClosedRange<Double>

  /// The quantization in a layer's configuration; nil when it has none. A mode or quantizer that is not known is a problem.
  static func read(_ values: JSONObject, _ config: LayerConfig) -> KerasQuantization? {
    config.ignore("quantization_config")
    guard let text = mode(values["dtype"]) else { return nil }
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard let mode = parts.first.flatMap({ Mode(rawValue: String($0)) }) else {
      config.unsupported("quantization mode \(KilnError.quoted(text))", nearest: Mode.allCases.map(\.rawValue).joined(separator: ", "))
      return nil
    }
    let numbers = parts.dropFirst().map { Int($0) ?? 0 }
    let isGrouped = mode == .gptq || mode == .awq
    let block = numbers.last ?? -1
    let bits = isGrouped ? numbers.first ?? 0 : mode == .int4 ? 4 : 8
    guard numbers.count == (isGrouped ? 2 : mode == .int4 ? min(numbers.count, 1) : 0), block == -1 || (1...1 << 24).contains(block),
      mode != .gptq || [2, 3, 4, 8].contains(bits), mode != .awq || bits == 4
    else {
      config.malformed("quantization mode \(KilnError.quoted(text)) is not one that Keras writes")
      return nil
    }
    var quantizesInputs: Bool?
    var (epsilon, limits) = (1e-7, -127.0...127.0)
    if let object = values["quantization_config"], !object.isNull, mode == .int8 || mode == .int4 {
      let quantizer = object["config"]?["activation_quantizer"] ?? .null
      quantizesInputs = !quantizer.isNull
      if !quantizer.isNull {
        let range = quantizer["config"]?["value_range"]?.arrayValue?.compactMap(\.doubleValue) ?? []
        guard quantizer["class_name"]?.stringValue == "AbsMaxQuantizer", range.count == 2, range[0] < range[1],
          let given = quantizer["config"]?["epsilon"]?.doubleValue, given >= 0, given < 1
        else {
          config.unsupported("activation_quantizer \(LayerConfig.describe(quantizer))", nearest: "AbsMaxQuantizer")
          return nil
        }
        // One along other axes than the layer's products sum over is not what Keras computes by default.
        if let axis = quantizer["config"]?["axis"], !axis.isNull, axis.arrayValue?.compactMap(\.intValue) != [-1], axis.intValue != -1 {
          config.unsupported("activation_quantizer along axis \(LayerConfig.describe(axis))", nearest: "axis -1")
        }
        (epsilon, limits) = (given, range[0]...range[1])
      }
    }
    let length = values["dtype"]?["config"]?["amax_history_length"]?.intValue ?? 1024
    guard (1...1 << 20).contains(length) else {
      config.malformed("amax_history_length \(length) is out of range")
      return nil
    }
    return KerasQuantization(
      mode: mode, blockSize: block == -1 ? nil : block, packsRows: mode == .int4 && numbers.isEmpty, bits: bits, historyLength: length, quantizesInputs: quantizesInputs,
      epsilon: epsilon, limits: limits)
  }

  /// `int8`, `int4/128`: of a policy object, or of the name `int8_from_float32`.
  private static func mode(_ dtype: JSON?) -> String? {
    if let name = dtype?.stringValue, let place = QuantizedPolicyName.split(name) { return place.mode }
    return dtype?["config"]?["mode"]?.stringValue
  }

  /// Whether a dtype policy quantizes.
  static func isQuantized(_ dtype: JSON?) -> Bool { mode(dtype) != nil }

  // MARK: Variables

  /// Whether products are with inputs that are quantized at each prediction.
  func quantizesInputs(byDefault fallback: Bool) -> Bool { quantizesInputs ?? fallback }

  /// The same for a product of weights alone, which in int4 of today leaves its inputs as they are.
  var quantizesProductInputs: Bool {
    (mode == .int8 || mode == .int4) && quantizesInputs(byDefault: mode == .int8 || packsRows)
  }

  private var hasBlocks: Bool { mode == .int4 && blockSize != nil }

  /// The variables of a product's weights in the order in which Keras saves them.
  ///
  /// - Parameter prefix: of the slots' names, for a layer with several products.
  static func slots(_ quantization: KerasQuantization?, _ prefix: String = "", usesBias: Bool) -> [WeightSlot] {
    let bias = usesBias ? [WeightSlot("bias")] : []
    func fixed(_ names: String...) -> [WeightSlot] { names.map { WeightSlot($0, trainable: false) } }
    let slots: [WeightSlot]
    switch quantization?.mode {
    case nil: slots = [WeightSlot("kernel")] + bias
    case .int8: slots = fixed("kernel") + bias + fixed("kernel_scale")
    case .int4:
      slots = fixed("kernel") + bias + fixed("kernel_scale")
        + (quantization?.hasBlocks == true ? fixed("kernel_zero", "g_idx") : [])
    case .float8:
      slots = [WeightSlot("kernel")] + bias
        + [
          "inputs_scale", "inputs_amax_history", "kernel_scale", "kernel_amax_history", "outputs_grad_scale",
          "outputs_grad_amax_history",
        ].map { WeightSlot($0) }
    case .gptq: slots = bias + fixed("kernel", "kernel_scale", "kernel_zero", "g_idx")
    case .awq: slots = bias + fixed("kernel", "kernel_scale", "kernel_zero", "awq_scales", "g_idx")
    }
    return slots.map { WeightSlot(prefix + $0.name, trainable: $0.isTrainable) }
  }

  /// The variables of a table in the order in which Keras saves them: those of `Embedding`, or of the table that
  /// `ReversibleEmbedding` has for the way back.
  static func tableSlots(_ quantization: KerasQuantization?, reversed: Bool = false) -> [WeightSlot] {
    let name = reversed ? "reverse_embeddings" : "embeddings"
    guard let quantization, quantization.mode == .int8 || quantization.mode == .int4 else { return [WeightSlot(name)] }
    let blocks = quantization.hasBlocks ? ["\(name)_zero"] + (reversed ? [] : ["g_idx"]) : []
    return ([name, "\(name)_scale"] + blocks).map { WeightSlot($0, trainable: false) }
  }
}

/// The name of a quantized dtype policy: `int8_from_mixed_bfloat16`.
enum QuantizedPolicyName {
  static func split(_ name: String) -> (mode: String, source: String)? {
    let mark = Array("_from_")
    let text = Array(name)
    guard let place = text.indices.first(where: { text[$0...].starts(with: mark) }) else { return nil }
    return (String(text[..<place]), String(text[(place + mark.count)...]))
  }
}
