import Foundation
import GraphModule
import GraphOptimizer
import TensorModule
import Testing

/// The first seed of random tests; `KILN_TEST_SEED` sets it.
let baseSeed = ProcessInfo.processInfo.environment["KILN_TEST_SEED"].flatMap { UInt64($0) } ?? 1

/// What the inputs of a comparison are drawn from.
enum Draw: CaseIterable {
  case normal, positive, special
}

/// Random values for every input of a graph.
func draws(_ graph: Graph, _ draw: Draw, _ random: inout SeededRandom) throws -> [ReferenceTensor] {
  try graph.inputs.map { id in
    let type = graph.type(of: id)
    guard let shape = type.shape else { throw KilnError(.internal, "a test graph has a symbolic input") }
    let specials: [Double] = [
      .nan, .infinity, -.infinity, 0, -0.0, Double(Float.leastNonzeroMagnitude), -1e-40, 1e4, -1e4, 1, -1,
    ]
    let values = (0..<shape.elementCount).map { _ -> Double in
      let value = Double(Float(random.normal()))
      switch draw {
      case .normal: return value
      case .positive: return value.magnitude
      case .special: return random.uniform() < 0.3 ? specials[Int(random.next() % UInt64(specials.count))] : value
      }
    }
    return ReferenceTensor(type.dtype, shape, numbers: values)
  }
}

/// The first difference between two results that an exactness does not allow, as text.
func difference(
  _ got: ReferenceTensor, _ expected: ReferenceTensor, _ exactness: Exactness, ignoring special: SpecialValues
) -> String? {
  guard got.shape == expected.shape, got.dtype == expected.dtype else {
    return "\(got.dtype)\(got.shape) for \(expected.dtype)\(expected.shape)"
  }
  let magnitude = (got.numbers + expected.numbers).filter(\.isFinite).map(\.magnitude).max() ?? 1
  for (index, pair) in zip(got.numbers, expected.numbers).enumerated()
  where !exactness.accepts(pair.0, pair.1, ignoring: special, magnitude: magnitude) {
    return "element \(index): \(pair.0) for \(pair.1)"
  }
  return nil
}

/// Options under which one rule alone runs, with all checks.
func alone() -> OptimizerOptions {
  var options = OptimizerOptions.all
  options.disabledRules = Set(BuiltIn.allCases.map(\.rawValue))
  options.verifies = true
  return options
}

/// Options under which everything runs, with all checks.
func everything() -> OptimizerOptions {
  var options = OptimizerOptions.all
  options.verifies = true
  return options
}

extension Graph {
  /// The names of the ops in order; elementwise nodes by their function.
  var ops: [String] { nodes.map { ($0.op as? Elementwise)?.function.rawValue ?? $0.op.opName } }
}

/// A graph from a builder's closure whose value is the output `y`.
func graph(_ seed: UInt64 = 7, _ body: (inout WitnessBuilder) throws -> ValueID) throws -> Graph {
  var builder = WitnessBuilder(random: SeededRandom(seed))
  let result = try body(&builder)
  builder.graph.outputs.append(Graph.Output(name: "y", value: result))
  return builder.graph
}
