import TensorModule

/// Several scalar functions applied in one pass over the elements: what a chain of `Elementwise` nodes computes.
package struct ElementwiseChain: OpDefinition {
  package static let name = "chain"
  package static let summary =
    "steps of scalar functions over operands that broadcast together; the result is that of the last step. x0 is operand 0, s0 the result of step 0; a number has the dtype of the operand beside it"

  /// What a step reads.
  package enum Operand: Hashable, Sendable {
    /// An operand of the node.
    case input(Int)
    /// The result of an earlier step.
    case step(Int)
    /// A number of the dtype of the step's other operand.
    case constant(Double)
  }

  package struct Step: Hashable, Sendable {
    package var function: ScalarFunction
    package var parameters: [Double]
    package var operands: [Operand]

    package init(function: ScalarFunction, parameters: [Double] = [], operands: [Operand]) {
      self.function = function
      self.parameters = parameters
      self.operands = operands
    }

    package init(_ function: ScalarFunction, _ parameters: [Double] = [], _ operands: [Operand]) {
      self.init(function: function, parameters: parameters, operands: operands)
    }
  }

  package var inputCount: Int
  package var steps: [Step]

  package init(inputCount: Int, steps: [Step]) {
    self.inputCount = inputCount
    self.steps = steps
  }

  package var attributes: Attributes {
    func text(_ operand: Operand) -> AttributeValue {
      switch operand {
      case .input(let index): .word("x\(index)")
      case .step(let index): .word("s\(index)")
      case .constant(let value): .float(value)
      }
    }
    let list = steps.map {
      AttributeValue.list([.word($0.function.rawValue), .floats($0.parameters), .list($0.operands.map(text))])
    }
    return [("inputs", .int(inputCount)), ("steps", .list(list))]
  }

  package init(from reader: inout AttributeReader) throws {
    inputCount = try reader.int("inputs")
    steps = try reader.list("steps").map(Self.step)
  }

  private static func step(_ value: AttributeValue) throws -> Step {
    let wrong = KilnError(.badInput, "op 'chain': a step must be [function, [parameters], [operands]]")
    guard case .list(let items) = value, items.count == 3, case .word(let name) = items[0],
      let function = ScalarFunction(rawValue: name), case .list(let parameters) = items[1],
      case .list(let operands) = items[2]
    else { throw wrong }
    func number(_ value: AttributeValue) throws -> Double {
      switch value {
      case .float(let number): return number
      case .int(let number): return Double(number)
      default: throw wrong
      }
    }
    return Step(
      function: function, parameters: try parameters.map(number),
      operands: try operands.map {
        guard case .word(let word) = $0 else { return .constant(try number($0)) }
        guard let index = Int(word.dropFirst()), index >= 0 else { throw wrong }
        switch word.first {
        case "x": return .input(index)
        case "s": return .step(index)
        default: throw wrong
        }
      })
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.that((1...64).contains(inputCount), Self.name, "takes 1 to 64 operands, found \(inputCount)")
    try Expect.count(inputs, inputCount...inputCount, Self.name)
    try Expect.that((1...1024).contains(steps.count), Self.name, "has 1 to 1024 steps, found \(steps.count)")
    let dims = try Broadcast.dims(inputs.map(\.dims), Self.name)
    let dtypes = try dtypes(inputs.map(\.dtype))
    return [TensorType(dtypes.results[steps.count - 1], dims)]
  }

  /// The dtype of each step's result and of each of its operands.
  package func dtypes(_ inputs: [DType]) throws -> (results: [DType], operands: [[DType]]) {
    var results: [DType] = []
    var operands: [[DType]] = []
    for (index, step) in steps.enumerated() {
      let function = step.function
      try Expect.that(
        step.operands.count == function.arity && step.parameters.count == function.parameterCount, Self.name,
        "step \(index): \(function.rawValue) takes \(function.arity) operands and \(function.parameterCount) parameters"
      )
      var known: [DType?] = try step.operands.map {
        switch $0 {
        case .input(let input):
          try Expect.that(inputs.indices.contains(input), Self.name, "step \(index): there is no operand x\(input)")
          try Expect.that(inputs[input] != .string, Self.name, "operands must not hold strings")
          return inputs[input]
        case .step(let earlier):
          try Expect.that(
            results.indices.contains(earlier), Self.name, "step \(index): there is no step s\(earlier) before it")
          return results[earlier]
        case .constant: return nil
        }
      }
      if function == .select, known[0] == nil { known[0] = .bool }
      let values = function == .select ? known[1...] : known[...]
      guard let dtype = values.compactMap({ $0 }).first else {
        throw KilnError(.badInput, "op 'chain': step \(index): at least one operand must not be a number")
      }
      let full = known.map { $0 ?? dtype }
      for (operand, dtype) in zip(step.operands, full) {
        if case .constant(let value) = operand {
          try Expect.holds(dtype, value, Self.name, "step \(index): the number")
        }
      }
      results.append(try Elementwise.resultType(function, full))
      operands.append(full)
    }
    return (results, operands)
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let shape = try Expect.shape(outputs[0], Self.name)
    let spread = inputs.map { $0.broadcast(to: shape) }
    let dtypes = try dtypes(inputs.map(\.dtype))
    var results: [ReferenceTensor] = []
    for (index, step) in steps.enumerated() {
      let operands = zip(step.operands, dtypes.operands[index]).map { operand, dtype in
        switch operand {
        case .input(let input): spread[input]
        case .step(let earlier): results[earlier]
        case .constant(let value):
          ReferenceTensor(dtype, shape, numbers: [Double](repeating: value, count: shape.elementCount))
        }
      }
      results.append(
        try Elementwise.apply(step.function, step.parameters, operands, dtype: dtypes.results[index], shape: shape))
    }
    return [results[steps.count - 1]]
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int {
    (outputs[0].elementCount * Dim(steps.count)).fixed ?? 0
  }

  package static var examples: [OpExample] {
    func f(_ dims: [Dim]) -> TensorType { TensorType(.float32, dims) }
    let scaled = ElementwiseChain(
      inputCount: 1,
      steps: [
        Step(.mul, [], [.input(0), .constant(0.5)]), Step(.tanh, [], [.step(0)]),
        Step(.add, [], [.step(1), .input(0)]),
      ])
    let gated = ElementwiseChain(
      inputCount: 2,
      steps: [
        Step(.add, [], [.input(0), .input(1)]), Step(.sigmoid, [], [.step(0)]), Step(.mul, [], [.step(0), .step(1)]),
      ])
    let chosen = ElementwiseChain(
      inputCount: 3,
      steps: [
        Step(.greater, [], [.input(0), .constant(0)]), Step(.select, [], [.step(0), .input(1), .constant(-1)]),
        Step(.clip, [-0.75, 0.75], [.step(1)]), Step(.select, [], [.input(2), .step(2), .input(0)]),
      ])
    let whole = ElementwiseChain(
      inputCount: 2, steps: [Step(.sub, [], [.input(0), .constant(3)]), Step(.mod, [], [.step(0), .input(1)])])
    let predicate = ElementwiseChain(
      inputCount: 2,
      steps: [
        Step(.less, [], [.input(0), .input(1)]), Step(.isfinite, [], [.input(0)]),
        Step(.and, [], [.step(0), .step(1)]),
      ])
    return [
      OpExample(scaled, [f([7])]), OpExample(scaled, [f([])]), OpExample(scaled, [f([0, 3])]),
      OpExample(gated, [f([2, 3, 33]), f([33])]), OpExample(gated, [f([4, 1, 3]), f([2, 1])]),
      OpExample(chosen, [f([3, 17]), f([17]), TensorType(.bool, [3, 1])], fixed: [2: [1, 0, 1]]),
      OpExample(
        whole, [TensorType(.int32, [3, 5]), TensorType(.int32, [5])], range: -20...20, fixed: [1: [3, -4, 0, 7, 1]]),
      OpExample(predicate, [f([9]), f([9])]),
    ]
  }
}
