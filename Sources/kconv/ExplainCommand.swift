import ArgumentParser
import CommandSupport
import Kiln
import KilnImport
import TensorModule
import Training

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

  @Flag(help: "Print the graph of a training step instead: forward, loss and derivatives, optimized.")
  var gradient = false

  @Flag(help: "With --gradient: compute activations again for the derivative instead of keeping them.")
  var recompute = false

  @Option(help: ArgumentHelp("With --gradient: bf16 shows the step that multiplies and keeps numbers of bfloat16.", valueName: "bf16"))
  var mixedPrecision: TrainingPrecision = .float32

  @Option(help: "Samples in the step of --gradient.")
  var batch = 32

  @Option(help: "The loss of --gradient, by its Keras name; the file's own without it.")
  var loss: String?

  @OptionGroup var origin: OriginOptions

  func validate() throws {
    if let optimizerSteps, optimizerSteps < 0 { throw ValidationError("--optimizer-steps must be 0 or more, found \(optimizerSteps)") }
    if !(1...1 << 20).contains(batch) { throw ValidationError("--batch must be 1 or more, found \(batch)") }
  }

  func run() throws {
    var options = ImportOptions()
    origin.apply(to: &options)
    if gradient {
      let folder = try PrivateFolder.system()
      let target = folder.path + "/training.kiln"
      options.isForTraining = true
      _ = try Interruption.deferring {
        try ModelImport.importModel(at: file, to: target, options: options, isolation: .ownChild(), isCancelled: { Interruption.isPending })
      }
      let explanation = try GradientExplanation(
        contentsOf: target, batch: batch, loss: try loss.map { try LossConfiguration($0) }, recomputes: recompute, precision: mixedPrecision)
      try Console.write(dumpGraph ? explanation.graphText : explanation.text)
      return
    }
    let model = try Interruption.deferring {
      try ModelImport.load(file, options: options, isolation: .ownChild(), isCancelled: { Interruption.isPending })
    }
    let explanation = try RewriteExplanation(model.graph, disabledRules: Set(disableRule), steps: optimizerSteps)
    try Console.write(dumpGraph ? explanation.graphText : explanation.text)
  }
}

extension TrainingPrecision: ExpressibleByArgument {}
