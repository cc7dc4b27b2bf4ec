import ArgumentParser
import CommandSupport
import KilnImport

struct OpsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "ops", abstract: "Lists the graph's ops.")

  func run() throws {
    var table = TextTable(["op", "meaning"])
    for op in OpList.all { table.add([op.name, op.summary]) }
    try Console.write(table.text)
  }
}
