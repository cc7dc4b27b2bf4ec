import GraphModule
import GraphOptimizer
import TensorModule

/// What the optimizer does to a model at load.
package struct RewriteExplanation {
  package let trace: OptimizerTrace
  /// The graph after it.
  package let graph: Graph

  /// - Parameters:
  ///   - disabledRules: rules that do not fire.
  ///   - steps: stop after so many firings.
  /// - Throws: `KilnError` (`usage`) for a rule that does not exist.
  package init(_ graph: Graph, disabledRules: Set<String>, steps: Int?) throws {
    var options = OptimizerOptions.all
    options.disabledRules = disabledRules
    options.maximumSteps = steps
    options.explains = true
    (self.graph, trace) = try Optimizer.run(graph, options)
  }

  /// Every firing in order: the rule, then what it replaced and by what; at the end how often each fired.
  package var text: String {
    var out = ""
    for (index, firing) in trace.firings.enumerated() {
      out += "\(index + 1). \(firing.rule) (\(firing.phase.text)) at \(KilnError.escaped(firing.value))\n"
      for line in firing.before { out += "   - \(line)\n" }
      for line in firing.after { out += "   + \(line)\n" }
    }
    for (rule, count) in trace.counts.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) { out += "\(count) × \(rule)\n" }
    if !trace.isComplete { out += "stopped after \(trace.firings.count) steps\n" }
    if trace.firings.isEmpty { out += "no rule fires\n" }
    return out
  }

  package var graphText: String { TextForm.print(graph) }
}
