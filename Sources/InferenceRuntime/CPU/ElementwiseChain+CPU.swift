import CKernels
import GraphModule
import TensorModule

extension ElementwiseChain: CPUBinding {
  package func lower(_ node: NodeLowering) throws -> Bool {
    node.because("\(steps.count) functions over blocks that stay in the cache")
    if try overflowsInside(node.inputs.map(\.dtype)) { return try lowerStepwise(node) }
    let program = ChainProgram(
      shape: node.outputShapes[0],
      inputs: node.inputs.indices.map {
        ChainProgram.Input(operand: node.input($0), dtype: node.inputs[$0].dtype, shape: node.inputShapes[$0])
      },
      steps: steps.map { ChainProgram.Step(function: $0.function, parameters: $0.parameters, sources: $0.operands) },
      resultType: node.outputs[0].dtype)
    node.allowChainInPlace()
    return try program.append(to: node, output: node.output(), label: "chain/" + steps.map(\.function.rawValue).joined(separator: ","))
  }

  /// Each step as a program of its own, so that its result has its dtype's width.
  private func lowerStepwise(_ node: NodeLowering) throws -> Bool {
    let results = try dtypes(node.inputs.map(\.dtype)).results
    let shape = node.outputShapes[0]
    var made: [ChainProgram.Input] = []
    for (index, step) in steps.enumerated() {
      var program = ChainProgram(shape: shape, inputs: [], steps: [], resultType: results[index])
      let sources: [ChainProgram.Source] = step.operands.map {
        switch $0 {
        case .input(let number):
          program.inputs.append(
            .init(operand: node.input(number), dtype: node.inputs[number].dtype, shape: node.inputShapes[number]))
          return .input(program.inputs.count - 1)
        case .step(let number):
          program.inputs.append(made[number])
          return .input(program.inputs.count - 1)
        case .constant(let value): return .constant(value)
        }
      }
      program.steps = [.init(function: step.function, parameters: step.parameters, sources: sources)]
      let isLast = index == steps.count - 1
      let target =
        isLast ? node.output() : node.temporary(byteCount: max(1, shape.elementCount * results[index].byteCount))
      guard try program.append(to: node, output: target, label: "chain/\(step.function.rawValue)") else { return false }
      made.append(.init(operand: target, dtype: results[index], shape: shape))
    }
    return true
  }

  /// Whether a step before the last could leave the range of a narrow integer: registers would keep what the dtype wraps.
  func overflowsInside(_ inputs: [DType]) throws -> Bool {
    let results = try dtypes(inputs).results
    return zip(steps, results).dropLast().contains { step, dtype in
      guard dtype.isInteger, dtype != .int64 else { return false }
      switch step.function {
      case .max, .min, .select, .relu, .sign, .mod, .identity, .clip: return false
      default: return true
      }
    }
  }
}
