import GraphModule
import TensorModule

extension Rule {
  /// Whether and where a rule applies, without applying it: for the proof suite.
  ///
  /// - Returns: the interior values (those that the rewrite makes superfluous, without the root's) of the match that
  ///   would fire at the node that makes `value`, or nil when the rule does not apply there.
  package func interior(of graph: Graph, at value: ValueID) throws -> [ValueID]? {
    let workspace = Workspace(graph)
    guard let slot = workspace.producer(of: value), workspace.node(slot).outputs.count == 1 else { return nil }
    var found: [ValueID]?
    _ = try find.firstMatch(at: slot, in: workspace) { match in
      guard guardTest(match) else { return false }
      var draft = Draft(workspace, root: slot, consumed: match.consumed)
      do {
        guard let result = try rewrite(match, &draft), workspace.type(of: result) == match.result else { return false }
      } catch let error as KilnError {
        if error.code == .internal { throw error }
        return false
      }
      found = match.consumed.filter { $0 != slot }.flatMap { workspace.node($0).outputs }
      return true
    }
    return found
  }
}
