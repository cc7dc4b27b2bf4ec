import GraphModule
import TensorModule
import Testing

/// Derivatives against central differences, over the examples of every op.
@Suite struct GradientTests {
  /// Why an op has no derivative.
  static let without: [String: String] = [
    "as_string": "texts", "bincount": "counts", "bitcast": "bits", "chain": "is made when derivatives are there", "conv_kernel_gradient": "is a derivative",
    "decode_csv": "texts", "dynamic_broadcast_to": "sizes of the data", "dynamic_range": "sizes of the data",
    "dynamic_reshape": "sizes of the data", "dynamic_slice": "sizes of the data", "dynamic_tile": "sizes of the data",
    "eigh": "a factorisation, which no layer has", "lookup": "a table", "loop": "control flow",
    "branch": "control flow", "lu": "a factorisation, which no layer has", "non_max_suppression": "places",
    "combined_non_max_suppression": "places", "parse_example": "texts", "pool_gradient": "is a derivative", "qr": "a factorisation, which no layer has",
    "rnn_gradient": "is a derivative", "set_item": "of loops", "svd": "a factorisation, which no layer has",
    "unique": "sizes of the data",
  ]

  /// Which ops have examples without a rule although others have one: an operand that the derivative has no formula for.
  static let partly: Set<String> = ["cumulative", "scatter"]

  @Test(arguments: Case.all)
  func derivatives(_ test: Case) throws {
    let example = test.example
    guard example.op is any DifferentiableOp else { return }
    var random = Random(Random.seed)
    let operands = random.operands(example)
    // Numbers of 16 bits are all jumps.
    if example.inputs.contains(where: { $0.dtype.isFloat && $0.dtype.byteCount < 4 }) { return }
    // Functions of single numbers have a test of their own, away from their jumps.
    let smooth: Set<ScalarFunction> = [.add, .sub, .mul, .squaredDifference, .max, .min, .select, .prelu, .square, .sigmoid, .tanh, .softplus]
    if let function = (example.op as? Elementwise)?.function, !smooth.contains(function) { return }
    if example.op is Cast, example.inputs[0].dtype != .float64 || (example.op as? Cast)?.dtype != .float64 { return }
    // Of updates at one place the last wins; like TensorFlow the rule gives all of them its slope.
    if let scatter = example.op as? Scatter, scatter.kind == .update, let fixed = example.fixed[1], Set(fixed).count < fixed.count { return }
    guard operands.allSatisfy({ $0.numbers.allSatisfy(\.isFinite) || !$0.dtype.isFloat }) else { return }
    var graph = try Graph.of(example.op, example.inputs)
    var floats = graph.inputs.filter { graph.type(of: $0).dtype.isFloat }
    if let special = example.op as? SpecialFunction {
      if special.function == .nextAfter { return }
      floats = [graph.inputs[special.function.arity - 1]]
    }
    guard !floats.isEmpty, graph.outputs.contains(where: { graph.type(of: $0.value).dtype.isFloat }) else { return }
    // The loss is a random combination of all float results.
    var loss: ValueID?
    // What a recurrent layer keeps for its derivative has none.
    let traces = (example.op as? RNN)?.trace == true ? graph.outputs.suffix(1).map(\.value) : []
    for output in graph.outputs where graph.type(of: output.value).dtype.isFloat && !traces.contains(output.value) {
      let type = graph.type(of: output.value)
      let weights = graph.addConstant("weights", try random.tensor(type.with(dtype: .float64)).tensor())
      var value = output.value
      if type.dtype != .float64 { value = try graph.addOne(Cast(.float64), [value], name: "wide") }
      let product = try graph.addOne(Elementwise(.mul), [value, weights], name: "product")
      let sum = try graph.addOne(Reduce(.sum, axes: Array(type.dims.indices)), [product], name: "sum")
      loss = try loss.map { try graph.addOne(Elementwise(.add), [$0, sum], name: "loss") } ?? sum
    }
    let total = try #require(loss)
    let tape = GradientTape(graph)
    let gradients: [ValueID?]
    do { gradients = try tape.gradients(of: total, by: floats) } catch let error as KilnError {
      #expect(error.code == .unsupportedModel && error.message.contains("no derivative") && Self.partly.contains(example.op.opName), "\(error)")
      return
    }
    try Verifier.verify(tape.graph)
    for (input, gradient) in zip(floats, gradients) {
      let index = try #require(graph.inputs.firstIndex(of: input))
      let shape = operands[index].shape
      if shape.contains(0) { continue }
      let slopes = try gradient.map { try ReferenceBackend.run(tape.graph, operands, fetch: [$0])[0].numbers } ?? [Double](repeating: 0, count: shape.elementCount)
      for _ in 0..<3 {
        let direction = (0..<shape.elementCount).map { _ in random.normal() }
        func value(_ step: Double) throws -> Double {
          var moved = operands
          moved[index].storage = .floats(zip(operands[index].numbers, direction).map { $0 + step * $1 })
          return try ReferenceBackend.run(graph, moved, fetch: [total])[0].numbers[0]
        }
        // Small, so that few steps cross a corner of a function.
        let step = 1e-7
        let expected = try (value(step) - value(-step)) / (2 * step)
        let got = zip(slopes, direction).reduce(0) { $0 + $1.0 * $1.1 }
        let size = zip(slopes, direction).reduce(1) { $0 + abs($1.0 * $1.1) }
        // Outside a function's domain.
        if !expected.isFinite { continue }
        #expect(abs(got - expected) <= 2e-5 * size, "operand \(index): \(got), by differences \(expected)")
      }
    }
  }

  /// An op either has a rule or a reason.
  @Test(arguments: OpCatalog.all.map { $0.name })
  func everyOpIsDecided(_ name: String) throws {
    let op = try #require(OpCatalog.op(named: name))
    if op is any DifferentiableOp.Type { return #expect(Self.without[name] == nil) }
    let isOfFloats = op.examples.contains { example in
      example.inputs.contains { $0.dtype.isFloat } && ((try? example.op.infer(example.inputs)) ?? []).contains { $0.dtype.isFloat }
    }
    #expect(!isOfFloats || Self.without[name] != nil, "no rule and no reason")
  }

  /// Every scalar function, at points away from its corners.
  @Test(arguments: ScalarFunction.allCases.filter { !$0.isPredicate && !$0.isBitwise && !$0.isLogical })
  func functions(_ function: ScalarFunction) throws {
    let domain: [Double] =
      switch function {
      case .log, .log2, .log10, .log1p, .sqrt, .rsqrt, .lgamma, .digamma, .pow: [0.3, 0.9, 1.7, 4.2]
      case .asin, .acos, .atanh, .erfinv: [-0.7, -0.2, 0.3, 0.8]
      case .acosh: [1.2, 1.9, 3.3, 8.1]
      default: [-3.7, -1.3, -0.4, 0.3, 0.45, 1.2, 2.6, 7.1]
      }
    let parameters: [Double] = [[], [0.7], [-0.5, 1.5], [0.1, 0.2, 1.5]][function.parameterCount]
    let type = TensorType(.float64, shape: [domain.count])
    var inputs = [ReferenceTensor](repeating: ReferenceTensor(.float64, [domain.count], .floats(domain)), count: function.arity)
    for index in 1..<max(inputs.count, 1) where index < inputs.count {
      inputs[index] = ReferenceTensor(.float64, [domain.count], .floats(domain.reversed().map { $0 * 0.83 + 0.05 }))
    }
    var types = [TensorType](repeating: type, count: function.arity)
    if function == .select {
      types[0].dtype = .bool
      inputs[0] = ReferenceTensor(.bool, [domain.count], .integers(domain.indices.map { Int64($0 % 2) }))
    }
    let graph = try Graph.of(Elementwise(function, parameters), types)
    let tape = GradientTape(graph)
    let wanted = graph.inputs.filter { graph.type(of: $0).dtype.isFloat }
    let gradients = try tape.gradients(of: graph.outputs[0].value, by: wanted)
    for (input, gradient) in zip(wanted, gradients) {
      let index = try #require(graph.inputs.firstIndex(of: input))
      let slopes = try gradient.map { try ReferenceBackend.run(tape.graph, inputs, fetch: [$0])[0].numbers }
      func values(_ step: Double) throws -> [Double] {
        var moved = inputs
        moved[index].storage = .floats(inputs[index].numbers.map { $0 + step })
        return try ReferenceBackend.run(graph, moved)[0].numbers
      }
      for (place, pair) in zip(try values(1e-6), try values(-1e-6)).enumerated() {
        let expected = (pair.0 - pair.1) / 2e-6
        let got = slopes?[place] ?? 0
        if expected.isNaN { continue }
        #expect(abs(got - expected) <= 1e-5 * max(1, abs(expected)), "\(function.rawValue) at \(domain[place]): \(got), by differences \(expected)")
      }
    }
  }
}
