import GraphModule
import InferenceRuntime
import TensorModule

extension Trainer {
  /// The graph of a training step for a batch of this size as it runs, and its plan's report.
  package func explanation(batch: Int, recomputes: Bool) throws -> (graph: Graph, report: PlanReport) {
    func bound(_ type: TensorType) throws -> Shape {
      try type.dims.enumerated().map { axis, dim in
        guard let length = dim.fixed ?? (axis == 0 ? batch : nil) else {
          throw KilnError(.unsupportedModel, "the lengths of \(type.message) are not known", hint: "a Keras file with fixed input shapes")
        }
        return length
      }
    }
    let graph = model.graph
    let data = try graph.inputs.map { try bound(graph.type(of: $0)) }
    let specialized = try graph.specialized(to: data)
    let targets = try configuration.losses.enumerated().map { index, loss -> Shape? in
      guard let loss else { return nil }
      let shape = try bound(specialized.type(of: specialized.outputs[index].value))
      return loss.hasClassTargets ? Array(shape.dropLast()) : shape
    }
    let shapes = StepShapes(data: data, targets: targets, weights: targets.map { _ in nil })
    var options = engine.options
    options.recomputes = recomputes
    let step = try StepGraphBuilder.build(model, options, shapes, isTraining: true)
    let prepared = try RuntimeGraph.prepare(step.graph)
    let plan = try PlanBuilder.plan(prepared, shapes: prepared.inputs.map { prepared.type(of: $0).shape ?? [] })
    return (prepared, plan.report)
  }
}
