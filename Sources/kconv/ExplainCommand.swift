import ArgumentParser
import CommandSupport
import Kiln
import KilnImport

struct ExplainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain", abstract: "Shows each rewrite of the optimizer, before and after.",
    discussion: "--disable-rule and --optimizer-steps find the rewrite that makes a difference.")

  @Argument(help: "A .kiln file, or a model file to import for this.")
  var file: String

  @Option(help: ArgumentHelp("A rule that does not fire; may be given again.", valueName: "name"))
  var disableRule: [String] = []

  @Option(help: ArgumentHelp("Stop after so many rewrites.", valueName: "n"))
  var optimizerSteps: Int?

  @Flag(help: "Print the optimized graph in its text form instead.")
  var dumpGraph = false

  @OptionGroup var origin: OriginOptions

  func validate() throws {
    if let optimizerSteps, optimizerSteps < 0 { throw ValidationError("--optimizer-steps must be 0 or more, found \(optimizerSteps)") }
  }

  func run() throws {
    var options = ImportOptions()
    origin.apply(to: &options)
    let model = try Interruption.deferring {
      try ModelImport.load(file, options: options, isolation: .ownChild(), isCancelled: { Interruption.isPending })
    }
    let explanation = try RewriteExplanation(model.graph, disabledRules: Set(disableRule), steps: optimizerSteps)
    try Console.write(dumpGraph ? explanation.graphText : explanation.text)
  }
}
