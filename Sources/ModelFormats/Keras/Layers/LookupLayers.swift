import GraphModule
import TensorModule

/// Keras `StringLookup` and `IntegerLookup`, and what looks tokens up in `TextVectorization`.
///
/// Places in order: padding (mode int with a mask token), unknown values, the vocabulary.
struct IndexLookup: KerasLayerReader {
  /// What the vocabulary holds: string, or the integers' dtype.
  let keys: DType
  let inline: [VocabularyToken]?
  let maskToken: VocabularyToken?
  let unknownToken: VocabularyToken?
  let unknownCount: Int
  let mode: CategoryMode
  let inverts: Bool
  /// The number of categories when `pad_to_max_tokens` fixes it.
  let paddedDepth: Int?
  let idfWeights: [Double]?
  /// Whether unknown integers are hashed as text instead of taken modulo their places.
  let hashesIntegers: Bool
  let salt: [Int]

  /// - Parameter isText: of `TextVectorization`: its padding and unknown tokens are fixed.
  init(_ config: LayerConfig, isString: Bool, inText isText: Bool = false) {
    let declared = config.string("vocabulary_dtype", "int64")
    keys = isString ? .string : declared == "int32" ? .int32 : .int64
    if !isString, !["int32", "int64"].contains(declared) {
      config.unsupported("vocabulary_dtype \(KilnError.quoted(declared))", nearest: "int64, int32")
    }
    mode = .read(config, .int, among: CategoryMode.allCases)
    inline = LookupVocabulary.inline(config, isText: isString)
    func token(_ keys: [String]) -> VocabularyToken? {
      keys.lazy.compactMap { key in config.json(key).map { (key, $0) } }.first.flatMap { key, json in
        let token = VocabularyToken(json, isText: isString)
        if token == nil { config.malformed("\(key) must be \(isString ? "text" : "an integer"), found \(json.kind)") }
        return token
      }
    }
    // Before 2.6 the tokens of IntegerLookup are called values.
    maskToken = isText ? .text("") : token(["mask_token", "mask_value"])
    unknownToken = isText ? .text("[UNK]") : token(["oov_token", "oov_value"])
    unknownCount = isText ? 1 : config.int("num_oov_indices", 1, in: 0...1 << 24)
    inverts = isText ? false : config.bool("invert", false)
    let maximum = config.json("max_tokens") == nil ? nil : config.int("max_tokens")
    paddedDepth = config.bool("pad_to_max_tokens", false) ? maximum : nil
    idfWeights = IndexLookup.numbers("idf_weights", config)
    hashesIntegers = config.string("oov_method", "floormod") == "farmhash"
    salt = HashingLayer.salt(config)
    if inverts, mode != .int { config.malformed("invert needs output_mode int") }
    let encoding = config.string("encoding", "utf-8").lowercased()
    if isString, !["utf-8", "utf8"].contains(encoding) { config.unsupported("encoding \(KilnError.quoted(encoding))", nearest: "utf-8") }
    config.ignore("vocabulary_size", "has_input_vocabulary", "max_values")
  }

  private static func numbers(_ key: String, _ config: LayerConfig) -> [Double]? {
    guard let value = config.json(key) else { return nil }
    let items = (value["config"]?["value"] ?? value["items"] ?? value).arrayValue
    let numbers = (items ?? []).compactMap(\.doubleValue)
    if numbers.count != items?.count { config.malformed("\(key) must be numbers") }
    return numbers
  }

  var weights: [WeightSlot] { mode == .tfIdf ? [WeightSlot("idf_weights", trainable: false, optional: true)] : [] }

  /// The place of the first unknown value.
  private var unknownStart: Int { maskToken != nil && mode == .int ? 1 : 0 }
  var start: Int { unknownStart + unknownCount }

  func vocabulary(_ call: LayerCall) throws -> LookupVocabulary {
    guard let list = try inline ?? LookupVocabulary.stored(call, isText: keys == .string) else {
      throw KilnError(
        .unsupportedModel, "its vocabulary is not in the file",
        hint: "Keras keeps an adapted vocabulary in .keras files only; else give it to the layer as vocabulary=")
    }
    let special = [VocabularyToken?](repeating: maskToken, count: unknownStart)
    return try LookupVocabulary(list, special: special + [VocabularyToken?](repeating: unknownToken, count: unknownCount))
  }

  func depth(_ vocabulary: LookupVocabulary) -> Int { paddedDepth ?? start + vocabulary.tokens.count }

  /// The dtype of counts: Keras 3 counts in int64.
  func countDtype(_ call: LayerCall) -> DType { call.dialect.isKeras3 && mode != .tfIdf ? .int64 : call.dtype }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    guard let x = call.tensors.first?.value else { throw KilnError(.badInput, "is called without a tensor") }
    let vocabulary = try vocabulary(call)
    if inverts { return [KerasTensor(try inverse(call, x, vocabulary))] }
    let places = try lookup(call, x, vocabulary)
    if mode == .int { return [KerasTensor(places)] }
    return [
      KerasTensor(
        try mode.encode(
          call, places, depth: depth(vocabulary), dtype: countDtype(call), weights: try idf(call, vocabulary)))
    ]
  }

  /// The place of each element of x, int64; in modes that count padding is a place that counts nowhere.
  func lookup(_ call: LayerCall, _ x: ValueID, _ vocabulary: LookupVocabulary) throws -> ValueID {
    let type = call.type(x)
    guard (keys == .string) == (type.dtype == .string) else {
      throw KilnError(.badInput, "looks up \(keys.name), found \(type.message)")
    }
    let x = try call.cast(x, to: keys)
    var table = vocabulary.tokens
    var places = table.indices.map { Int64($0 + start) }
    if let maskToken {
      table.insert(maskToken, at: 0)
      places.insert(mode == .int ? 0 : Int64.max, at: 0)
    }
    var operands = [
      x, call.constant(try VocabularyToken.tensor(table, keys), "vocabulary"),
      call.constant(try Tensor(integers: places, dtype: .int64, shape: [places.count]), "places"),
    ]
    if unknownCount > 0 { operands.append(try unknown(call, x)) }
    return try call.add(Lookup(), operands, "lookup")
  }

  /// Where unknown values go.
  private func unknown(_ call: LayerCall, _ x: ValueID) throws -> ValueID {
    func constant(_ value: Int, _ name: String) throws -> ValueID {
      call.constant(try Tensor(integers: [Int64(value)], dtype: .int64, shape: []), name)
    }
    let first = try constant(unknownStart, "unknown")
    guard unknownCount > 1 else { return first }
    let bucket: ValueID
    if keys == .string || hashesIntegers {
      let text = keys == .string ? x : try call.add(AsString(), [x], "text")
      bucket = try call.add(StringToHashBucket(buckets: unknownCount, key: salt), [text], "bucket")
    } else {
      bucket = try call.binary(.mod, try call.cast(x, to: .int64), try constant(unknownCount, "buckets"))
    }
    return try call.binary(.add, bucket, first)
  }

  /// `invert`: the tokens at places.
  private func inverse(_ call: LayerCall, _ x: ValueID, _ vocabulary: LookupVocabulary) throws -> ValueID {
    let type = call.type(x)
    guard type.dtype != .string else { throw KilnError(.badInput, "takes places, found \(type.message)") }
    guard let unknownToken else { throw KilnError(.badInput, "invert needs an oov_token") }
    var tokens = vocabulary.tokens
    var places = tokens.indices.map { Int64($0 + start) }
    if let maskToken {
      tokens.insert(maskToken, at: 0)
      places.insert(0, at: 0)
    }
    return try call.add(
      Lookup(),
      [
        try call.cast(x, to: .int64), call.constant(try Tensor(integers: places, dtype: .int64, shape: [places.count]), "places"),
        call.constant(try VocabularyToken.tensor(tokens, keys), "vocabulary"),
        call.constant(try VocabularyToken.tensor([unknownToken], keys).reshaped([]), "unknown"),
      ], "lookup")
  }

  /// The inverse document frequencies [depth] of mode tf_idf: stored as a weight, or in the configuration.
  func idf(_ call: LayerCall, _ vocabulary: LookupVocabulary) throws -> ValueID? {
    guard mode == .tfIdf else { return nil }
    let depth = depth(vocabulary)
    if call.layer.stored["idf_weights"] != nil { return try call.weight("idf_weights", [depth]) }
    guard var weights = idfWeights else {
      throw KilnError(.unsupportedModel, "its idf_weights are not in the file")
    }
    let missing = vocabulary.hadSpecialTokens ? 0 : start
    let mean = weights.isEmpty ? 0 : weights.reduce(0, +) / Double(weights.count)
    weights.insert(contentsOf: [Double](repeating: mean, count: missing), at: 0)
    if paddedDepth != nil, weights.count < depth { weights += [Double](repeating: 0, count: depth - weights.count) }
    guard weights.count == depth else {
      throw KilnError(.badInput, "has \(weights.count) idf_weights for \(depth) categories")
    }
    let tensor = try Tensor(converting: weights, to: call.dtype, shape: [depth])
    // A writer keeps them as a weight, as Keras does.
    call.layer.stored["idf_weights"] = StoredWeight(path: "\(call.layer.path)/idf_weights", dtype: tensor.dtype, shape: [depth]) { tensor }
    return call.constant(tensor, "idf_weights")
  }
}
