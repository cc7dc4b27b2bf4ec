import GraphModule
import TensorModule

/// How Keras writes categories.
enum CategoryMode: String, CaseIterable {
  case int, multiHot = "multi_hot", oneHot = "one_hot", count

  /// Reads `output_mode`; `binary` is the old name of multi_hot.
  static func read(_ config: LayerConfig, _ fallback: CategoryMode) -> CategoryMode {
    if config.json("output_mode")?.stringValue == "binary" { return .multiHot }
    if config.bool("sparse", false) { config.unsupported("sparse: true") }
    return config.choice("output_mode", fallback)
  }

  /// The categories [batch, n] or [batch] as Keras writes them; a negative one counts nowhere.
  func encode(_ call: LayerCall, _ categories: ValueID, depth: Int, weights: ValueID? = nil) throws -> ValueID {
    let type = call.type(categories)
    guard depth > 0, depth <= 1 << 24 else { throw KilnError(.badInput, "\(depth) categories") }
    switch self {
    case .int: return categories
    case .oneHot:
      var dims = type.dims
      if dims.count > 1, dims.last == 1 { dims.removeLast() }
      return try call.add(OneHot(depth: depth, dtype: call.dtype), [try call.reshape(categories, dims)], "one_hot")
    case .multiHot, .count:
      guard type.rank == 2 else {
        throw KilnError(.unsupportedModel, "output_mode '\(rawValue)' of an input \(type.message) is not supported", hint: "an input of rank 2")
      }
      var each = try call.add(OneHot(depth: depth, dtype: call.dtype), [categories], "one_hot")
      if let weights { each = try call.binary(.mul, each, try call.expand(try call.cast(weights, to: call.dtype), axis: -1)) }
      return try call.add(Reduce(self == .count ? .sum : .max, axes: [1]), [each], rawValue)
    }
  }
}

/// Keras `Discretization`: how many boundaries are not above x.
struct Discretization: KerasLayerReader {
  let boundaries: [Double]
  let mode: CategoryMode

  init(_ config: LayerConfig) {
    mode = .read(config, .int)
    let values = config.json("bin_boundaries")?.arrayValue
    boundaries = (values ?? []).compactMap(\.doubleValue)
    if values == nil {
      config.unsupported("a layer without bin_boundaries in its configuration", nearest: "bin_boundaries")
    } else if boundaries.count != values?.count || boundaries.count > 1 << 20 {
      config.malformed("bin_boundaries must be numbers")
    }
    config.ignore("num_bins", "epsilon")
  }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = try call.floatInput()
    let limits = call.constant(try Tensor(converting: boundaries, to: call.type(x).dtype, shape: [boundaries.count]), "boundaries")
    let above = try call.binary(.greaterEqual, try call.expand(x, axis: -1), limits)
    let dtype: DType = mode == .int && !call.dialect.isKeras3 ? .int64 : .int32
    let bins = try call.add(Reduce(.sum, axes: [call.type(above).rank - 1]), [try call.cast(above, to: dtype)], "bins")
    return [KerasTensor(try mode.encode(call, bins, depth: boundaries.count + 1))]
  }
}

/// Keras `CategoryEncoding`.
struct CategoryEncoding: KerasLayerReader {
  let depth: Int
  let mode: CategoryMode

  init(_ config: LayerConfig) {
    depth = config.int("num_tokens", config.json("max_tokens") == nil ? nil : config.int("max_tokens"), in: 1...1 << 24)
    mode = .read(config, .multiHot)
    if mode == .int { config.unsupported("output_mode 'int'", nearest: "multi_hot, one_hot, count") }
  }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    guard let x = call.tensors.first?.value else { throw KilnError(.badInput, "is called without a tensor") }
    let dtype = call.type(x).dtype
    let categories = dtype == .int64 || dtype == .int32 ? x : try call.cast(x, to: .int32)
    let weights = call.keyword("count_weights")?.leaves.first?.value
    if weights != nil, mode != .count { throw KilnError(.badInput, "count_weights need output_mode 'count'") }
    return [KerasTensor(try mode.encode(call, categories, depth: depth, weights: weights))]
  }
}

/// Keras `IntegerLookup`: the place of an integer in a vocabulary of the configuration.
struct IntegerLookup: KerasLayerReader {
  let vocabulary: [Int64]
  let hasMask: Bool
  let unknownCount: Int
  let mode: CategoryMode
  let depth: Int?

  /// A lookup compares with every entry.
  private static let maximumVocabulary = 1 << 16

  init(_ config: LayerConfig) {
    mode = .read(config, .int)
    let value = config.json("vocabulary")
    let items = (value?["config"]?["value"] ?? value)?.arrayValue
    vocabulary = (items ?? []).compactMap { $0.intValue.map(Int64.init) }
    hasMask = config.json("mask_token") != nil
    unknownCount = config.int("num_oov_indices", 1, in: 0...1 << 20)
    let padded = config.bool("pad_to_max_tokens", false)
    let maximum = config.json("max_tokens") == nil ? nil : config.int("max_tokens")
    depth = padded ? maximum : nil
    if items == nil {
      config.unsupported("a vocabulary that is not in the configuration", nearest: "vocabulary")
    } else if vocabulary.count != items?.count {
      config.malformed("vocabulary must be integers")
    }
    if vocabulary.count > IntegerLookup.maximumVocabulary {
      config.unsupported("a vocabulary of \(vocabulary.count) integers", nearest: "at most \(IntegerLookup.maximumVocabulary)")
    }
    if unknownCount > 1 { config.unsupported("num_oov_indices \(unknownCount)", nearest: "1") }
    if config.bool("invert", false) { config.unsupported("invert: true") }
    config.ignore("oov_token", "vocabulary_dtype", "vocabulary_size", "idf_weights", "has_input_vocabulary", "encoding")
  }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    guard let x = call.tensors.first?.value else { throw KilnError(.badInput, "is called without a tensor") }
    // Places: padding (in mode int), unknown integers, then the vocabulary.
    let masks = hasMask && mode == .int ? 1 : 0
    let first = masks + unknownCount
    let unknown = unknownCount == 0 ? -1 : masks
    let tokens = try call.cast(x, to: .int64)
    let table = call.constant(try Tensor(integers: vocabulary, dtype: .int64, shape: [vocabulary.count]), "vocabulary")
    let found = try call.cast(try call.binary(.equal, try call.expand(tokens, axis: -1), table), to: .int64)
    let moves = vocabulary.indices.map { Int64($0 + first - unknown) }
    let places = call.constant(try Tensor(integers: moves, dtype: .int64, shape: [moves.count]), "places")
    let sum = try call.add(
      Reduce(.sum, axes: [call.type(found).rank - 1]), [try call.binary(.mul, found, places)], "place")
    var result = try call.binary(.add, sum, call.constant(try Tensor(integers: [Int64(unknown)], dtype: .int64, shape: []), "unknown"))
    if masks == 1, let token = maskToken(call) {
      let isMask = try call.binary(.equal, tokens, call.constant(try Tensor(integers: [token], dtype: .int64, shape: []), "mask_token"))
      let zero = call.constant(try Tensor(integers: [0], dtype: .int64, shape: []), "padding")
      result = try call.add(Elementwise(.select), [isMask, zero, result], "select")
    }
    return [KerasTensor(try mode.encode(call, result, depth: depth ?? vocabulary.count + first))]
  }

  private func maskToken(_ call: LayerCall) -> Int64? { call.layer.config.json("mask_token")?.intValue.map(Int64.init) }
}
