import CKernels
import GraphModule
import TensorModule

extension Trainer {
  /// A batch in the order of the model's inputs and outputs, in their dtypes, checked.
  ///
  /// - Throws: `KilnError` (`badInput`) for what is missing or has another shape, for numbers that are not finite, and for class
  ///   numbers that the output does not have.
  func prepare(_ batch: Batch) throws -> StepBatch {
    let graph = model.graph
    let data = try graph.inputs.map { input -> Tensor in
      let (name, type) = (graph[input].name, graph.type(of: input))
      let only = graph.inputs.count == 1 && batch.inputs.count == 1 ? batch.inputs.values.first : nil
      guard let tensor = batch.inputs[name] ?? batch.inputs["x"] ?? only else {
        throw KilnError(.badInput, "the data have no \(KilnError.quoted(name)), an input of the model")
      }
      let fits = tensor.shape.count == type.rank && zip(tensor.shape, type.dims).dropFirst().allSatisfy { length, dim in dim.fixed.map { $0 == length } ?? true }
      guard fits else {
        throw KilnError(.badInput, "the data for input \(KilnError.quoted(name)) are \(tensor.shape.shapeText), expected \(type.message)")
      }
      let own = try tensor.converted(to: type.dtype)
      try checkFinite(own, "input \(KilnError.quoted(name))")
      return own
    }
    var targets: [Tensor?] = []
    var weights: [Tensor?] = []
    for (index, name) in model.outputs.enumerated() {
      guard let loss = configuration.losses[index] else {
        targets.append(nil)
        weights.append(nil)
        continue
      }
      let only = batch.targets.count == 1 && model.outputs.count == 1 ? batch.targets.values.first : nil
      guard let tensor = batch.targets[name] ?? only else {
        throw KilnError(.badInput, "the data have no targets for the output \(KilnError.quoted(name))")
      }
      let own = try tensor.converted(to: loss.hasClassTargets ? .int32 : .float32)
      if loss.hasClassTargets {
        try checkClasses(own, graph.type(of: graph.outputs[index].value), ignored: loss.options["ignore_class"].flatMap { Int32(exactly: $0) })
      } else {
        try checkFinite(own, "the targets")
      }
      targets.append(own)
      let given = batch.sampleWeights[name] ?? (model.outputs.count == 1 ? batch.sampleWeights.values.first : nil)
      weights.append(try given?.converted(to: .float32))
    }
    return StepBatch(data: data, targets: targets, weights: weights)
  }

  private func checkFinite(_ tensor: Tensor, _ what: String) throws {
    guard tensor.dtype == .float32 else { return }
    let values = tensor.address.assumingMemoryBound(to: Float.self)
    if kiln_all_finite(Int64(tensor.count), values) { return }
    let index = (0..<tensor.count).first { !values[$0].isFinite } ?? 0
    let row = index / max(1, tensor.count / max(1, tensor.shape.first ?? 1))
    throw KilnError(.badInput, "\(what) has \(values[index]) in sample \(row) of the batch of step \(engine.stepNumber + 1)")
  }

  private func checkClasses(_ tensor: Tensor, _ type: TensorType, ignored: Int32?) throws {
    guard let count = type.dims.last?.fixed else { return }
    let values = tensor.address.assumingMemoryBound(to: Int32.self)
    for index in 0..<tensor.count where !(0..<Int32(count)).contains(values[index]) && values[index] != ignored {
      throw KilnError(.badInput, "class \(values[index]) in the targets is not in 0..<\(count), the classes of the output")
    }
  }
}
