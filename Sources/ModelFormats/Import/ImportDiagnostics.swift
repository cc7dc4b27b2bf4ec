import TensorModule

/// One reason why a model cannot be imported.
struct ImportProblem: Hashable {
  enum Kind { case unsupported, malformed }

  var kind: Kind
  /// The layer's path; empty for the whole model.
  var layer: String
  var className: String
  /// `class 'Foo' is unknown`.
  var message: String
  /// The nearest thing that is supported.
  var nearest: String?

  var text: String {
    let place = layer.isEmpty ? "" : "layer \(KilnError.quoted(layer)): "
    return place + message + (nearest.map { " (nearest: \($0))" } ?? "")
  }
}

/// Collects problems and warnings over one import, so that one run reports all of them.
final class ImportDiagnostics {
  private(set) var problems: [ImportProblem] = []
  private(set) var warnings: [ImportWarning] = []
  private var seen: Set<ImportProblem> = []

  /// Whether a layer's order of axes is told by nothing.
  var lacksImageFormat = false

  func add(_ problem: ImportProblem) {
    if seen.insert(problem).inserted { problems.append(problem) }
  }

  func warn(_ layer: String, _ message: String) {
    let warning = ImportWarning(layer: layer, message)
    if !warnings.contains(warning) { warnings.append(warning) }
  }

  /// The one error that stands for all problems, or nil when there are none.
  var error: KilnError? {
    guard let first = problems.first else { return nil }
    let malformed = problems.contains { $0.kind == .malformed }
    let code: KilnError.Code = malformed ? .badInput : .unsupportedModel
    if problems.count == 1 { return KilnError(code, first.text) }
    let what =
      !malformed
      ? "are not supported" : problems.allSatisfy { $0.kind == .malformed } ? "are wrong" : "are wrong or not supported"
    return KilnError(code, "\(problems.count) things \(what): " + problems.map(\.text).joined(separator: "; "))
  }
}
