import ArgumentParser
import CommandSupport

struct Kinfer: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kinfer", abstract: "Runs models: .kiln files, and whatever kconv imports.",
    version: KilnVersion.text,
    subcommands: [PredictCommand.self, BenchCommand.self, TrainCommand.self, ProfileCommand.self, DoctorCommand.self])
}

runCommand(Kinfer.self)
