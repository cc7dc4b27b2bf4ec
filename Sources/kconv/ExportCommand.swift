import ArgumentParser
import CommandSupport
import Kiln
import KilnImport

/// What the commands that write model files have in common.
struct ExportOptions: ParsableArguments {
  @OptionGroup var sourceOptions: SourceOptions

  @Flag(help: "Replace an existing file.")
  var force = false

  @Flag(help: "Do not read the written file again to compare its results with the source's.")
  var noCheck = false

  @Flag(help: "Leave out the optimizer's variables and the training configuration.")
  var withoutOptimizer = false

  @Option(help: ArgumentHelp("An output for so many other classes.", visibility: .hidden))
  var newHead: Int?

  @Option(help: ArgumentHelp("Where the new output's weights are drawn from.", visibility: .hidden))
  var headSeed = 0

  @Option(help: ArgumentHelp("Whose messages these are.", visibility: .hidden))
  var programName: String?

  func export(_ source: String, to target: String, generation: Int?, externalData: Bool = false) throws {
    if let programName { CommandName.current = programName }
    var options = try sourceOptions.options()
    options.keepsOptimizer = !withoutOptimizer
    let outcome = try Interruption.deferring {
      try ModelExport.export(
        source, to: target, generation: generation, options: options, externalData: externalData, check: !noCheck,
        newHead: newHead.map { ($0, headSeed) }, overwriting: force, isolation: .ownChild(),
        isCancelled: { Interruption.isPending })
    }
    for note in outcome.notes { Console.note("\(CommandName.current): note: \(source): \(note)") }
    try Console.write("\(target)\n")
  }
}

struct ExportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Writes a model as a file of Keras or ONNX.",
    discussion: """
      The name says what is written: .keras, .h5 (a whole model), .weights.h5 or .onnx. The file appears complete or not at all; it is
      read again and must give what the source gives.
      """)

  @Argument(help: "A .kiln file (of a Keras model for the files of Keras), or a model file to import for this.")
  var source: String

  @Option(name: [.short, .customLong("output")], help: ArgumentHelp("The file to write.", valueName: "file"))
  var output: String

  @Option(help: ArgumentHelp("The Keras that shall read an .h5: 2 or 3; that of the source without it.", valueName: "n"))
  var keras: Int?

  @Flag(help: "Put an ONNX model's tensors in a file beside it, NAME.data.")
  var externalData = false

  @OptionGroup var options: ExportOptions

  func validate() throws {
    if externalData, !output.hasSuffix(".onnx") { throw ValidationError("--external-data goes with an .onnx file") }
    if let keras, keras != 2, keras != 3 { throw ValidationError("--keras must be 2 or 3, found \(keras)") }
    if keras == 2, output.hasSuffix(".keras") { throw ValidationError("a .keras file is of Keras 3; --keras 2 writes .h5") }
  }

  func run() throws { try options.export(source, to: output, generation: keras, externalData: externalData) }
}

struct UpgradeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "upgrade", abstract: "Writes an old Keras file as one that today's Keras opens.",
    discussion: "Files of Keras 1, 2 and 3 on Theano, CNTK and TensorFlow. The new file predicts what the old one did.")

  @Argument(help: "The old file.")
  var source: String

  @Argument(help: "The .keras file to write.")
  var target: String

  @OptionGroup var options: ExportOptions

  func validate() throws {
    if !target.hasSuffix(".keras") { throw ValidationError("\(target): the name of the new file must end in .keras") }
  }

  func run() throws { try options.export(source, to: target, generation: 3) }
}
