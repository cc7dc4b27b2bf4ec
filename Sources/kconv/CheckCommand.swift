import ArgumentParser
import CommandSupport
import Kiln
import KilnImport

struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Lists everything in a model file that cannot be imported; writes nothing.")

  @Argument(help: "The model file.")
  var source: String

  @OptionGroup var sourceOptions: SourceOptions

  @Flag(help: "Show the layers that are supported, too.")
  var all = false

  func run() throws {
    let outcome = try Interruption.deferring {
      try ModelImport.check(
        source, options: sourceOptions.options(), isolation: .ownChild(), isCancelled: { Interruption.isPending })
    }
    for warning in outcome.warnings { Console.note("\(CommandName.current): warning: \(source): \(warning.line)") }
    for row in outcome.report.rows where all || row.status == .unsupported || row.status == .malformed {
      try Console.write(row.line + "\n")
    }
    let rows = outcome.report.rows.count
    if let error = outcome.problem {
      try Console.write("\(outcome.report.count(.unsupported)) unsupported and \(outcome.report.count(.malformed)) malformed of \(rows) layers\n")
      throw error.path.isEmpty ? error.inside(source) : error
    }
    try Console.write("all \(rows) layers are supported\n")
  }
}
