import GraphModule
import TensorModule

/// A word or a number of a vocabulary.
enum VocabularyToken: Hashable {
  case text(ByteString)
  case integer(Int64)

  /// A token of the configuration; nil when it is of another kind.
  init?(_ json: JSON, isText: Bool) {
    if isText, let text = json.stringValue { self = .text(ByteString(text)) } else if !isText, let number = json.intValue {
      self = .integer(Int64(number))
    } else {
      return nil
    }
  }

  /// A line of a vocabulary file.
  init?(line: Substring, isText: Bool) {
    if isText { self = .text(ByteString(String(line))) } else if let number = Int64(line.filter { $0 != " " }) {
      self = .integer(number)
    } else {
      return nil
    }
  }

  /// A tensor [n] of tokens of one kind.
  static func tensor(_ tokens: [VocabularyToken], _ dtype: DType) throws -> Tensor {
    if dtype == .string {
      return Tensor(strings: tokens.map { if case .text(let text) = $0 { text } else { "" } }, shape: [tokens.count])
    }
    return try Tensor(
      integers: tokens.map { if case .integer(let number) = $0 { number } else { 0 } }, dtype: dtype, shape: [tokens.count])
  }
}

/// The vocabulary of a lookup layer, without the tokens for padding and unknown words.
struct LookupVocabulary {
  let tokens: [VocabularyToken]
  /// Whether the list began with the special tokens.
  let hadSpecialTokens: Bool

  /// - Parameter special: what may stand first: the padding token, then the unknown one for each of its places.
  init(_ list: [VocabularyToken], special: [VocabularyToken?]) throws {
    hadSpecialTokens = list.count >= special.count && zip(list, special).allSatisfy { $0 == $1 }
    tokens = hadSpecialTokens ? Array(list.dropFirst(special.count)) : list
    var seen: Set<VocabularyToken> = []
    for token in tokens where !seen.insert(token).inserted {
      let text =
        switch token {
        case .text(let text): text.quoted
        case .integer(let number): "\(number)"
        }
      throw KilnError(.badInput, "the vocabulary has \(text) twice")
    }
  }

  /// The tokens that a configuration's `vocabulary` lists; nil when it has none.
  static func inline(_ config: LayerConfig, isText: Bool) -> [VocabularyToken]? {
    guard let value = config.json("vocabulary") else { return nil }
    if let file = value.stringValue {
      config.malformed("vocabulary given as a path (\(KilnError.quoted(file))); only inline vocabularies are loaded")
      return nil
    }
    guard let items = (value["config"]?["value"] ?? value["items"] ?? value).arrayValue else {
      config.malformed("vocabulary must be a list, found \(value.kind)")
      return nil
    }
    let tokens = items.compactMap { VocabularyToken($0, isText: isText) }
    guard tokens.count == items.count else {
      config.malformed("vocabulary must be a list of \(isText ? "texts" : "integers")")
      return nil
    }
    return tokens
  }

  /// The tokens of a layer's file `vocabulary.txt`, one a line; nil when there is none.
  static func stored(_ call: LayerCall, isText: Bool) throws -> [VocabularyToken]? {
    guard let text = try call.layer.assets.text("vocabulary.txt") else { return nil }
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    // Keras 3 does not read empty lines at the end.
    while call.dialect.isKeras3, lines.last?.isEmpty == true { lines.removeLast() }
    return try lines.map { line in
      guard let token = VocabularyToken(line: line, isText: isText) else {
        throw KilnError(.badInput, "vocabulary.txt: \(KilnError.quoted(String(line))) is no integer")
      }
      return token
    }
  }
}
