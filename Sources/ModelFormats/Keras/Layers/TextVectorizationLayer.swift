import GraphModule
import TensorModule

/// Keras `TextVectorization`: standardizes texts, splits them into tokens and looks these up.
struct TextVectorization: KerasLayerReader {
  private let lowers: Bool
  private let stripsPunctuation: Bool
  private let split: Tokenizer.Split?
  private let ngrams: [Int]
  /// The number of tokens that int mode cuts or pads to; nil for that of the longest text.
  private let length: Int?
  private let lookup: IndexLookup

  /// Keras's `DEFAULT_STRIP_REGEX`.
  private static let punctuation = ##"[!"#$%&()\*\+,-\./:;<=>?@\[\\\]^_`{|}~\']"##

  init(_ config: LayerConfig) {
    let standardize = TextVectorization.choice("standardize", config, ["lower_and_strip_punctuation", "lower", "strip_punctuation"])
    lowers = standardize?.hasPrefix("lower") ?? false
    stripsPunctuation = standardize?.hasSuffix("strip_punctuation") ?? false
    switch TextVectorization.choice("split", config, ["whitespace", "character"]) {
    case "whitespace": split = .whitespace
    case "character": split = .characters
    default: split = nil
    }
    ngrams = TextVectorization.widths(config)
    length = config.json("output_sequence_length") == nil ? nil : config.int("output_sequence_length", in: 0...1 << 20)
    if config.bool("ragged", false) { config.unsupported("ragged: true", nearest: "ragged: false") }
    lookup = IndexLookup(config, isString: true, inText: true)
    if lookup.mode == .oneHot, split != nil { config.unsupported("output_mode 'one_hot' of tokens", nearest: "multi_hot") }
  }

  private static func choice(_ key: String, _ config: LayerConfig, _ choices: [String]) -> String? {
    guard let value = config.json(key) else { return nil }
    if let text = value.stringValue, choices.contains(text) { return text }
    let what = value.stringValue.map { "\(key) \(KilnError.quoted($0))" } ?? "a function of Python's as \(key)"
    config.unsupported(what, nearest: choices.joined(separator: ", "))
    return nil
  }

  /// `ngrams`: n stands for all widths up to n.
  private static func widths(_ config: LayerConfig) -> [Int] {
    guard let value = config.json("ngrams") else { return [] }
    if let number = value.intValue, (1...1024).contains(number) { return Array(1...number) }
    let items = (value["items"] ?? value).arrayValue ?? []
    let widths = items.compactMap(\.intValue).filter { (1...1024).contains($0) }
    if widths.isEmpty || widths.count != items.count { config.malformed("ngrams must be integers from 1, found \(LayerConfig.describe(value))") }
    return widths
  }

  var weights: [WeightSlot] { lookup.weights }
  var repeatedOwners: [String] { ["_lookup_layer"] }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    guard var x = call.tensors.first?.value, call.type(x).dtype == .string else {
      throw KilnError(.badInput, "takes strings")
    }
    if lowers { x = try call.add(StringMap(.lower), [x], "lower") }
    if stripsPunctuation {
      x = try call.add(RegexReplace(pattern: TextVectorization.punctuation, rewrite: ""), [x], "strip")
    }
    let vocabulary = try lookup.vocabulary(call)
    guard let split else { return [KerasTensor(try whole(call, x, vocabulary))] }
    var dims = call.type(x).dims
    if dims.count > 1 {
      guard dims.last == 1 else {
        throw KilnError(.badInput, "splits one text a sample: the last axis of \(call.type(x).message) must be 1")
      }
      dims.removeLast()
      x = try call.reshape(x, dims)
    }
    let tokenizer = Tokenizer(split, ngrams: ngrams)
    if lookup.mode == .int {
      let length = length.map { Dim($0) } ?? .symbol("tokens\(call.builder.graph.nodes.count)")
      let tokens = try call.addAll(StringSplit(tokenizer, length: length), [x], "split")[0]
      return [KerasTensor(try lookup.lookup(call, tokens, vocabulary))]
    }
    guard dims.count == 1 else {
      throw KilnError(.unsupportedModel, "output_mode '\(lookup.mode.rawValue)' of an input \(call.type(x).message) is not supported")
    }
    let keys = call.constant(try VocabularyToken.tensor(vocabulary.tokens, .string), "vocabulary")
    let counts = try call.add(
      TokenCounts(
        tokenizer, depth: lookup.depth(vocabulary), first: lookup.start, unknown: 0, binary: lookup.mode == .multiHot,
        dtype: lookup.countDtype(call)),
      [x, keys], "counts")
    guard let weights = try lookup.idf(call, vocabulary) else { return [KerasTensor(counts)] }
    return [KerasTensor(try call.binary(.mul, counts, weights))]
  }

  /// Without a split every text is a token.
  private func whole(_ call: LayerCall, _ text: ValueID, _ vocabulary: LookupVocabulary) throws -> ValueID {
    var x = text
    if !ngrams.isEmpty { x = try call.add(StringNGrams(widths: ngrams), [x], "ngrams") }
    var places = try lookup.lookup(call, x, vocabulary)
    if lookup.mode != .int {
      return try lookup.mode.encode(
        call, places, depth: lookup.depth(vocabulary), dtype: lookup.countDtype(call), weights: try lookup.idf(call, vocabulary))
    }
    guard let length else { return places }
    let rank = call.type(places).rank
    let axis = rank - 1
    guard rank > 1 else { throw KilnError(.unsupportedModel, "output_sequence_length without a split of texts without an axis is not supported") }
    let count = try call.fixed(places, axis: axis)
    if count > length {
      places = try call.add(Slice([Slice.Range](repeating: .all, count: axis) + [.init(end: length)]), [places], "cut")
    } else if count < length {
      let none = [Int](repeating: 0, count: axis)
      places = try call.add(Pad(low: none + [0], high: none + [length - count]), [places], "pad")
    }
    return places
  }
}
