import ArgumentParser
import CommandSupport
import Kiln
import KilnImport

struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Shows what of a model file maps, and everything that cannot be imported; writes nothing.")

  @Argument(help: "The model file.")
  var source: String

  @OptionGroup var sourceOptions: SourceOptions

  @Flag(help: "A row for each layer, those that map, too.")
  var all = false

  func run() throws {
    let outcome = try Interruption.deferring {
      try ModelImport.check(
        source, options: sourceOptions.options(), isolation: .ownChild(), isCancelled: { Interruption.isPending })
    }
    for warning in outcome.warnings { Console.note("\(CommandName.current): warning: \(source): \(warning.line)") }
    let table = CheckTable(outcome.report, layerByLayer: all)
    if !outcome.report.rows.isEmpty { try Console.write(table.text(width: Console.width) + "\n" + table.totals + "\n") }
    if outcome.problem != nil, !outcome.report.rows.isEmpty, outcome.report.isImportable { try Console.write("the layers map, but the file as a whole cannot be imported\n") }
    if let error = outcome.problem { throw error.path.isEmpty ? error.inside(source) : error }
  }
}
