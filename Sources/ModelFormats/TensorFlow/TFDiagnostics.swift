import TensorModule

/// Collects the problems of one conversion, unsupported ops by type.
final class TFDiagnostics {
  private(set) var errors: [(op: String, node: String, error: KilnError)] = []
  private var unsupportedNodes: [String: [String]] = [:]
  private(set) var opCounts: [String: Int] = [:]

  func unsupported(_ op: String, _ node: String) {
    if unsupportedNodes[op]?.contains(node) != true { unsupportedNodes[op, default: []].append(node) }
  }

  func add(_ error: KilnError, _ op: String, _ node: String) {
    if !errors.contains(where: { $0.node == node && $0.error == error }) { errors.append((op, node, error)) }
  }

  var isEmpty: Bool { errors.isEmpty && unsupportedNodes.isEmpty }

  /// Takes over what another conversion found.
  func merge(_ other: TFDiagnostics) {
    for (op, nodes) in other.unsupportedNodes { for node in nodes { unsupported(op, node) } }
    for (op, node, error) in other.errors { add(error, op, node) }
    opCounts.merge(other.opCounts) { $0 + $1 }
  }

  func count(_ op: String) { opCounts[op, default: 0] += 1 }

  /// Moves everything to the import's own list.
  ///
  /// - Parameter known: the op types among which to look for the nearest.
  func report(to diagnostics: ImportDiagnostics, known: [String] = TFOpCatalog.readers.keys.sorted()) {
    for (op, nodes) in unsupportedNodes.sorted(by: { $0.key < $1.key }) {
      let shown = nodes.prefix(3).map { KilnError.quoted($0) }.joined(separator: ", ")
      let more = nodes.count > 3 ? " and \(nodes.count - 3) more" : ""
      let word = nodes.count == 1 ? "node" : "nodes"
      diagnostics.add(
        ImportProblem(
          kind: .unsupported, layer: "", className: op,
          message: "op '\(KilnError.escaped(op))' (\(word) \(shown)\(more)) is not supported",
          nearest: Nearest.name(to: op, among: known)))
    }
    for (op, node, error) in errors {
      diagnostics.add(
        ImportProblem(
          kind: error.code == .unsupportedModel ? .unsupported : .malformed, layer: "", className: op,
          message: "node \(KilnError.quoted(node)) (\(KilnError.escaped(op))): \(error.message)" + (error.hint.map { " (\($0))" } ?? "")))
    }
  }
}
