import ArgumentParser
import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Parses the arguments, runs the command, and ends the process: one line on stderr for an error, the exit code by its kind.
package func runCommand<Root: ParsableCommand>(_ root: Root.Type) -> Never {
  CommandName.current = Root._commandName
  // A closed pipe on stdout is an error of write, not a signal.
  signal(SIGPIPE, SIG_IGN)
  Interruption.install()
  do {
    var command = try parsed(root)
    try command.run()
    try Console.flush()
    exit(0)
  } catch let error as KilnError {
    Console.note("\(CommandName.current): error: \(error.line)")
    exit(error.code.exitCode)
  } catch let failure as ReportedFailure {
    exit(failure.exitCode)
  } catch {
    let code = Root.exitCode(for: error)
    if code.isSuccess { Root.exit(withError: error) }
    let message = Root.message(for: error).split(separator: "\n").first.map(String.init) ?? "\(error)"
    guard code == .validationFailure else {
      Console.note("\(CommandName.current): error: \(KilnError(.internal, message).line)")
      exit(KilnError.Code.internal.exitCode)
    }
    Console.note("\(CommandName.current): error: \(KilnError(.usage, message, hint: "see '\(Root._commandName) --help'").line)")
    exit(KilnError.Code.usage.exitCode)
  }
}

/// The command that the arguments ask for. A subcommand that they name first parses the rest alone, which takes half the time; whatever it
/// does not take as it stands (help, a mistake) is the root's to answer.
private func parsed<Root: ParsableCommand>(_ root: Root.Type) throws -> any ParsableCommand {
  let arguments = CommandLine.arguments.dropFirst()
  if let name = arguments.first, let subcommand = Root.configuration.subcommands.first(where: { $0._commandName == name }),
    subcommand.configuration.subcommands.isEmpty, let command = try? subcommand.parse(Array(arguments.dropFirst()))
  {
    return command
  }
  return try Root.parseAsRoot()
}
