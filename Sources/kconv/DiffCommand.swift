import ArgumentParser
import CommandSupport
import Kiln
import KilnImport

struct DiffCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff", abstract: "Runs two models on the same inputs and shows the first node where they part.",
    discussion: "Any two formats. Exit code 0 when all outputs are equal, 1 when they differ.")

  enum Form: String, ExpressibleByArgument, CaseIterable { case text, json }

  @Argument(help: "A .kiln file, or a model file to import for this.")
  var first: String

  @Argument(help: "The file to compare it with.")
  var second: String

  @Option(help: ArgumentHelp("How far apart values may be, as a part of their largest.", valueName: "x"))
  var tolerance = 1e-4

  @Option(help: ArgumentHelp("The seed of the drawn inputs.", valueName: "n"))
  var seed: UInt64 = 1

  @Option(help: ArgumentHelp("Inputs by name, in place of drawn ones; a .npy for a model of one input.", valueName: "in.npz"))
  var inputs: String?

  @Option(help: "The form of the result.")
  var format: Form = .text

  @Flag(help: "Read tensors of an ONNX model that are in other files in its folder.")
  var allowExternalData = false

  @OptionGroup var origin: OriginOptions

  func validate() throws {
    if !(tolerance >= 0 && tolerance.isFinite) { throw ValidationError("--tolerance must be 0 or more, found \(tolerance)") }
  }

  func run() throws {
    var options = ModelDiff.Options()
    options.tolerance = tolerance
    options.seed = seed
    options.importing.allowsExternalData = allowExternalData
    origin.apply(to: &options.importing)
    if let inputs { options.inputs = Dictionary(try VerifyCommand.arrays(inputs), uniquingKeysWith: { first, _ in first }) }
    let diff = try Interruption.deferring {
      try ModelDiff.compare(first, second, options: options, isolation: .ownChild(), isCancelled: { Interruption.isPending }) { graph, inputs in
        try Model(graph: graph).predict(inputs)
      }
    }
    try Console.write(format == .json ? diff.json : diff.text)
    try Console.flush()
    if !diff.isEqual { throw ReportedFailure(exitCode: 1) }
  }
}
