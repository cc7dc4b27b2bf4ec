import GraphModule
import GraphOptimizer
import ModelFile
import ModelFormats
import TensorModule

/// An import from start to end in this process.
enum ImportWork {
  /// Reads, simplifies, adds a check vector, saves.
  static func run(_ request: ImportRequest) throws -> ImportOutcome {
    guard let target = request.target else { return try check(request) }
    var result = try ModelImporter.read(path: request.source, options: request.options)
    var outcome = ImportOutcome()
    outcome.warnings = result.warnings
    outcome.facts = result.facts.list
    outcome.report = result.report
    var graph = result.graph
    result.graph = Graph(name: "")
    if request.simplifies, !request.options.isForTraining {
      var options = OptimizerOptions.portable
      options.scratch = try? ScratchFile(prefix: "\(target).folded-")
      graph = try Optimizer.run(consume graph, options).graph
    }
    try Verifier.verify(graph)
    let check = try request.check?.vector(for: graph) ?? (request.simplifies && !request.options.isForTraining ? ReferenceCheck.vector(for: graph) : nil)
    let training = result.training.map { TrainingState(configuration: $0.configuration, variables: $0.variables) }
    let layers = result.document.map { SourceLayers(description: $0.json, variables: $0.variables.map(\.tensor)) }
    let model = StoredModel(graph: graph, checks: check.map { [$0] } ?? [], training: training, layers: layers)
    // The target is a temporary file: who gives it its name has it on the disk first.
    try KilnFile.save(model, to: target, flushing: false)
    return outcome
  }

  private static func check(_ request: ImportRequest) throws -> ImportOutcome {
    let found = try ModelImporter.check(path: request.source, options: request.options)
    var outcome = ImportOutcome()
    outcome.warnings = found.warnings
    outcome.facts = found.facts?.list ?? []
    outcome.report = found.report
    outcome.problem = found.error
    return outcome
  }
}
