import TensorModule

/// Matches of a regular expression replaced, as in `tf.strings.regex_replace`.
package struct RegexReplace: OpDefinition {
  package static let name = "regex_replace"
  package static let summary =
    "x with the first match of the pattern in each text, or all with global, replaced; \\0 to \\9 in rewrite are the match and its groups"

  package var pattern: String
  package var rewrite: String
  package var isGlobal: Bool
  private let expression: RegularExpression
  private let replacement: RegularExpression.Rewrite

  /// - Throws: `KilnError` (`unsupportedModel`) for a pattern that is not supported.
  package init(pattern: String, rewrite: String, global: Bool = true) throws {
    self.pattern = pattern
    self.rewrite = rewrite
    isGlobal = global
    expression = try RegularExpression(pattern)
    replacement = try RegularExpression.Rewrite(rewrite, groups: expression.groups)
  }

  package var attributes: Attributes {
    [("pattern", .string(pattern)), ("rewrite", .string(rewrite)), ("global", .bool(isGlobal))]
  }

  package init(from reader: inout AttributeReader) throws {
    let (pattern, rewrite, isGlobal) = (try reader.string("pattern"), try reader.string("rewrite"), try reader.bool("global"))
    do { try self.init(pattern: pattern, rewrite: rewrite, global: isGlobal) } catch let error as KilnError {
      throw KilnError(.badInput, error.message)
    }
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    try Expect.strings(inputs[0], Self.name, "the operand")
    return [inputs[0]]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let texts = inputs[0].texts.map { expression.replacing($0, with: replacement, all: isGlobal) }
    return [ReferenceTensor(.string, inputs[0].shape, .strings(texts))]
  }

  package static var examples: [OpExample] {
    [
      try? OpExample(RegexReplace(pattern: "[a-w\"]", rewrite: ""), [TensorType(.string, [4, 3])]),
      try? OpExample(RegexReplace(pattern: "(\\w)(\\w*)", rewrite: "\\2_\\1", global: false), [TensorType(.string, [9])]),
      try? OpExample(RegexReplace(pattern: "^|x+$|ä", rewrite: "-"), [TensorType(.string, [])]),
      try? OpExample(RegexReplace(pattern: "o", rewrite: "0"), [TensorType(.string, [0])]),
    ].compactMap { $0 }
  }
}
