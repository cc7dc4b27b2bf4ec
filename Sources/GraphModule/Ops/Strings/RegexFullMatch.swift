import TensorModule

/// Whether texts match a regular expression from end to end, as in `tf.strings.regex_full_match`.
package struct RegexFullMatch: OpDefinition {
  package static let name = "regex_full_match"
  package static let summary = "whether each text of x as a whole matches the pattern: bool, of x's shape"

  package var pattern: String
  private let expression: RegularExpression

  /// - Throws: `KilnError` (`unsupportedModel`) for a pattern that is not supported.
  package init(pattern: String) throws {
    self.pattern = pattern
    expression = try RegularExpression(pattern)
  }

  package var attributes: Attributes { [("pattern", .string(pattern))] }

  package init(from reader: inout AttributeReader) throws {
    let pattern = try reader.string("pattern")
    do { try self.init(pattern: pattern) } catch let error as KilnError { throw KilnError(.badInput, error.message) }
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    try Expect.strings(inputs[0], Self.name, "the operand")
    return [TensorType(.bool, inputs[0].dims)]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    [ReferenceTensor(.bool, inputs[0].shape, .integers(inputs[0].texts.map { expression.matchesAll($0) ? 1 : 0 }))]
  }

  package static var examples: [OpExample] {
    [
      try? OpExample(RegexFullMatch(pattern: "a|two.*"), [TensorType(.string, [3, 4])]),
      try? OpExample(RegexFullMatch(pattern: ""), [TensorType(.string, [])]),
      try? OpExample(RegexFullMatch(pattern: "b"), [TensorType(.string, [0])]),
    ].compactMap { $0 }
  }
}
