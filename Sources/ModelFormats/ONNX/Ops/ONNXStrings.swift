import GraphModule
import TensorModule

extension ONNXOpCatalog {
  static let strings = Family(
    "Strings",
    [
      Row("StringConcat", since: 20) { call in [try call.add(StringJoin(), [try call.x(0), try call.x(1)], "join")] },
      Row("RegexFullMatch", since: 20) { call in [try call.add(RegexFullMatch(pattern: try call.text("pattern")), [try call.x(0)], "match")] },
      Row("StringSplit", since: 20) { call in
        guard !call.has("maxsplit") else { throw call.unsupported("a limit on the number of splits") }
        let delimiter = try call.text("delimiter", "")
        let tokenizer = delimiter.isEmpty ? Tokenizer(.whitespace) : Tokenizer(.separator, separator: delimiter)
        return try call.addAll(StringSplit(tokenizer, length: call.dataSize()), [try call.x(0)], "split")
      },
      Row("StringNormalizer", since: 10) { call in
        let x = try call.x(0)
        guard try call.texts("stopwords", []).isEmpty else { throw call.unsupported("words that are left out (stopwords)") }
        switch try call.text("case_change_action", "NONE") {
        case "NONE": return [x]
        case "LOWER": return [try call.add(StringMap(.lowerUnicode), [x], "lower")]
        case "UPPER": return [try call.add(StringMap(.upperUnicode), [x], "upper")]
        case let name: throw call.unsupported("case_change_action \(KilnError.quoted(name))")
        }
      },
    ])
}
