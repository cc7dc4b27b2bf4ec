import GraphModule
import TensorModule
import Testing

/// A result of TensorFlow on strings that an op's reference must meet exactly (floats to 1e-6).
struct StringGolden: Sendable, CustomTestStringConvertible {
  var op: any OpDefinition
  var operands: [ReferenceTensor]
  var expected: [ReferenceTensor]

  init(_ op: any OpDefinition, _ operands: [ReferenceTensor], _ expected: [ReferenceTensor]) {
    self.op = op
    self.operands = operands
    self.expected = expected
  }

  static func s(_ shape: Shape, _ texts: [ByteString]) -> ReferenceTensor { ReferenceTensor(.string, shape, .strings(texts)) }

  static func i(_ shape: Shape, _ values: [Int64], _ dtype: DType) -> ReferenceTensor {
    ReferenceTensor(dtype, shape, .integers(values))
  }

  static func f(_ shape: Shape, _ values: [Double], _ dtype: DType) -> ReferenceTensor {
    ReferenceTensor(dtype, shape, .floats(values))
  }

  var testDescription: String {
    "\(op.opName) \(op.attributes.map { "\($0.name): \(TextForm.text($0.value))" }.joined(separator: ", "))"
  }
}

@Suite struct StringGoldenTests {
  @Test(arguments: StringGolden.all)
  func referenceMeetsTensorFlow(_ golden: StringGolden) throws {
    let types = try golden.op.infer(golden.operands.map { TensorType($0.dtype, shape: $0.shape) })
    let results = try golden.op.evaluated(golden.operands, types)
    #expect(results.count == golden.expected.count)
    for (result, expected) in zip(results, golden.expected) {
      #expect(result.shape == expected.shape)
      switch expected.storage {
      case .strings(let texts):
        for (index, pair) in zip(result.texts, texts).enumerated() where pair.0 != pair.1 {
          Issue.record("element \(index): expected \(pair.1.quoted), found \(pair.0.quoted)")
        }
      case .integers(let values): #expect(result.integers == values)
      case .floats(let values):
        let near = Tolerance(absolute: 1e-6, relative: 1e-6)
        #expect(zip(result.numbers, values).allSatisfy { near.accepts($0, $1) }, "\(result.numbers)")
      }
    }
  }

  @Test(arguments: [
    ("(?P=name)", "(?P"), ("a(?=b)", "(?="), ("(a)\\1", "escape \\1"), ("\\p{Greek}", "class \\p"), ("(a", "does not end"),
    ("a)", "unmatched"), ("*a", "repetition of nothing"), ("a**", "repetition of a repetition"), ("[b-a]", "range"), ("[a", "does not end"),
    ("a{1001}", "{1001}"), ("(?:(?:(?:a{900}){900}){900}){900}", "of this size"), ("(?:(?:(?:(?:){900}){900}){900}){900}", "of this size"),
  ])
  func refusesWhatIsNotSupported(_ pattern: String, _ message: String) {
    #expect { try RegularExpression(pattern) } throws: { "\($0)".contains(message) }
  }

  /// Nested repetitions that a matcher with backtracking never finishes.
  @Test func matchesInLinearTime() throws {
    let expression = try RegularExpression("(a*)*(a|aa)+(a?){20}b")
    #expect(!expression.matchesAll(ByteString(String(repeating: "a", count: 2000))))
  }

  @Test func missingKeysAreNamed() throws {
    let types: [TensorType] = [TensorType(.string, [1]), TensorType(.string, [1]), TensorType(.int64, [1])]
    let inputs = [StringGolden.s([1], ["cow"]), StringGolden.s([1], ["cat"]), StringGolden.i([1], [0], .int64)]
    #expect { try Lookup().reference(inputs, try Lookup().infer(types)) } throws: { "\($0)".contains("'cow' is not in the vocabulary") }
    let number = StringGolden.i([1], [7], .int32)
    #expect { try CheckRange(0...6).reference([number], [TensorType(.int32, [1])]) } throws: { "\($0)".contains("7 is not from 0 to 6") }
  }
}
