import GraphModule
import TensorModule
import Testing

/// A result of an original framework that an op's reference must meet.
struct Golden: Sendable, CustomTestStringConvertible {
  struct Operand: Sendable {
    var type: TensorType
    var values: [Double]
  }

  var op: any OpDefinition
  var operands: [Operand]
  var expected: [[Double]]

  init(_ op: any OpDefinition, _ operands: [Operand], _ expected: [[Double]]) {
    self.op = op
    self.operands = operands
    self.expected = expected
  }

  /// Small numbers that Python makes alike: ((37 i + 11 seed) mod 19 − 9) / 8 · scale.
  static func p(_ shape: Shape, _ seed: Int, _ scale: Double = 1) -> Operand {
    let values = (0..<shape.elementCount).map { Double(($0 * 37 + seed * 11) % 19 - 9) / 8 * scale }
    return Operand(type: TensorType(.float32, shape: shape), values: values)
  }

  static func v(_ shape: Shape, _ values: [Double], _ dtype: DType) -> Operand {
    Operand(type: TensorType(dtype, shape: shape), values: values)
  }

  var testDescription: String {
    "\(op.opName) \(op.attributes.map { "\($0.name): \(TextForm.text($0.value))" }.joined(separator: ", "))"
  }
}

@Suite struct GoldenTests {
  @Test(arguments: Golden.all)
  func referenceMeetsTheFramework(_ golden: Golden) throws {
    let types = try golden.op.infer(golden.operands.map(\.type))
    let inputs = golden.operands.map { operand in
      ReferenceTensor(operand.type.dtype, operand.type.shape ?? [], numbers: operand.values)
    }
    let results = try golden.op.reference(inputs, types)
    #expect(results.count == golden.expected.count)
    for (result, expected) in zip(results, golden.expected) {
      let numbers = result.numbers
      #expect(numbers.count == expected.count)
      for (index, pair) in zip(numbers, expected).enumerated()
      where !Tolerance(absolute: 1e-6, relative: 1e-6).accepts(pair.0, pair.1) {
        Issue.record("element \(index): expected \(pair.1), found \(pair.0)")
        return
      }
    }
  }

  @Test func everyOpHasAGolden() {
    let covered = Set(Golden.all.map(\.op.opName) + StringGolden.all.map(\.op.opName))
    // What runs graphs has no numbers of its own.
    let ops = OpCatalog.all.filter { !($0 is any ControlFlowOp.Type) }.map { $0.name }
    #expect(Set(ops).subtracting(covered).isEmpty)
  }
}
