import ArgumentParser
import CommandSupport
import Kiln

struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Runs a .kiln file's check vectors, or given ones, on this machine.")

  @Argument(help: "The .kiln file.")
  var file: String

  @Option(help: ArgumentHelp("Inputs by name, in place of the stored ones.", valueName: "in.npz"))
  var input: String?

  @Option(help: ArgumentHelp("The outputs expected for --input, by name.", valueName: "out.npz"))
  var against: String?

  func validate() throws {
    if (input == nil) != (against == nil) { throw ValidationError("--input and --against go together") }
  }

  func run() throws {
    let comparisons: [OutputComparison]
    if let input, let against {
      comparisons = try Model.verify(
        contentsOf: file, inputs: VerifyCommand.arrays(input), expected: VerifyCommand.arrays(against))
    } else {
      comparisons = try Model.verify(contentsOf: file)
      if comparisons.isEmpty {
        throw KilnError(.failed, "holds no check vectors", at: [file], hint: "--input and --against give some")
      }
    }
    for comparison in comparisons { try Console.write(comparison.line + "\n") }
    try VerifyCommand.requireAgreement(comparisons, file)
  }

  /// - Throws: `KilnError` (`toleranceExceeded`) for the first output that differs.
  static func requireAgreement(_ comparisons: [OutputComparison], _ file: String) throws {
    if let worst = comparisons.first(where: { !$0.agrees }) {
      throw KilnError(.toleranceExceeded, worst.line, at: [file])
    }
  }

  /// The arrays of a `.npz` by name, or that of a `.npy` under the empty name.
  static func arrays(_ path: String) throws -> [(name: String, tensor: Tensor)] {
    let file = try MappedFile(path: path)
    let isArray = withExtendedLifetime(file) { NumPyFile.isNPY(file.bytes) }
    return isArray ? [("", try NumPyFile.read(npy: path))] : try NumPyFile.read(npz: path)
  }
}
