import ArgumentParser
import CommandSupport
import KilnImport

struct Kconv: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kconv", abstract: "Imports models of other frameworks into .kiln files, and looks into them.",
    version: KilnVersion.text,
    subcommands: [
      ImportCommand.self, ExportCommand.self, UpgradeCommand.self, InspectCommand.self, CheckCommand.self, VerifyCommand.self, ExplainCommand.self, DiffCommand.self, OpsCommand.self,
    ])
}

// Before anything else: this process may be the child that reads a foreign file.
ModelImport.serveIfChild()
runCommand(Kconv.self)
