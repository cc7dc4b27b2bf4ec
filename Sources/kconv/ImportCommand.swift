import ArgumentParser
import CommandSupport
import Kiln
import KilnImport

struct ImportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import", abstract: "Writes a model of another framework as a .kiln file.",
    discussion: "The file is read in a child process with limits. The .kiln appears complete or not at all.")

  @Argument(help: "The model file.")
  var source: String

  @Option(name: [.short, .customLong("output")], help: ArgumentHelp("The .kiln file; SOURCE with .kiln without it.", valueName: "file"))
  var output: String?

  @OptionGroup var sourceOptions: SourceOptions

  @Option(
    help: ArgumentHelp(
      "Inputs and the source framework's own outputs for them; they are checked now and stored in the .kiln.",
      valueName: "in.npz:out.npz"))
  var check: String?

  @Flag(help: "Leave out the optimizer's variables and the training configuration.")
  var withoutOptimizer = false

  @Flag(help: "Leave out the layers of a Keras file, without which the .kiln cannot be exported as one again.")
  var withoutLayers = false

  @Flag(help: ArgumentHelp("A .kiln to train: as the source has it, with its dropout.", visibility: .hidden))
  var forTraining = false

  @Option(help: ArgumentHelp("A loss of your own for --for-training.", visibility: .hidden))
  var loss: String?

  @Flag(help: "Replace an existing .kiln file.")
  var force = false

  @Flag(help: ArgumentHelp(visibility: .hidden))
  var quiet = false

  @Option(help: ArgumentHelp("The program to name in errors.", visibility: .hidden))
  var programName: String?

  func run() throws {
    if let programName { CommandName.current = programName }
    var options = try sourceOptions.options()
    options.keepsOptimizer = !withoutOptimizer
    options.keepsLayers = !withoutLayers
    options.isForTraining = forTraining
    options.lossExpression = loss
    var checkFiles: CheckFiles?
    if let check {
      guard let colon = check.lastIndex(of: ":"), colon != check.startIndex, check.index(after: colon) != check.endIndex else {
        throw KilnError(.usage, "--check \(KilnError.quoted(check)): expected IN.npz:OUT.npz")
      }
      checkFiles = CheckFiles(inputs: String(check[..<colon]), outputs: String(check[check.index(after: colon)...]))
    }
    let target = output ?? ImportCommand.target(for: source)
    let outcome = try Interruption.deferring {
      try ModelImport.importModel(
        at: source, to: target, options: options, check: checkFiles, overwriting: force, isolation: .ownChild(),
        validate: { temporary in
          if checkFiles != nil { try VerifyCommand.requireAgreement(Model.verify(contentsOf: temporary), source) }
        },
        isCancelled: { Interruption.isPending })
    }
    for warning in outcome.warnings { Console.note("\(CommandName.current): warning: \(source): \(warning.line)") }
    if !quiet { try Console.write("\(target)\n") }
  }

  /// SOURCE with its extension replaced by `.kiln`.
  private static func target(for source: String) -> String {
    var path = source[...]
    while path.count > 1, path.last == "/" { path.removeLast() }
    let name = path.split(separator: "/").last ?? ""
    if let dot = name.lastIndex(of: "."), dot != name.startIndex { path = path.dropLast(name[dot...].count) }
    return path + ".kiln"
  }
}
