import GraphModule
import InferenceRuntime
import TensorModule

/// Runs a graph by a plan.
func run(_ graph: Graph, _ feed: [Tensor], threads: Int = 1, exact: Bool = false) throws -> (outputs: [Tensor], plan: Plan) {
  let pool = ThreadPool.shared(threads)
  let plan = try PlanBuilder.plan(
    graph, shapes: feed.map(\.shape), options: PlanOptions(threads: threads, exact: exact))
  return (try Executor(plan, pool: pool).run(feed), plan)
}

/// The first element outside the tolerance, as text; nil when all are inside.
///
/// - Parameter scale: the magnitude of the terms that were summed; the allowed error is relative to it.
func firstDifference(_ got: Tensor, _ expected: Tensor, relative: Double, absolute: Double) -> String? {
  if got.dtype != expected.dtype || got.shape != expected.shape {
    return "\(got.dtype.name)\(got.shape.shapeText) for \(expected.dtype.name)\(expected.shape.shapeText)"
  }
  if got.dtype == .string { return got.strings == expected.strings ? nil : "strings differ" }
  let tolerance =
    got.dtype.isFloat ? Tolerance(absolute: absolute, relative: relative) : Tolerance.exact
  for (index, (a, b)) in zip(got.doubles, expected.doubles).enumerated() where !tolerance.accepts(a, b) {
    return "element \(index): \(a) for \(b)"
  }
  return nil
}
