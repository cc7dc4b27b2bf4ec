import Foundation
import TestSupport

/// A run of one of the built commands.
struct Command {
  /// 0 when a signal ended it.
  let exitCode: Int32
  /// 0 when it ended by itself.
  let signal: Int32
  let output: Data
  let errors: String
  /// Processor time of the command and its children.
  let processorSeconds: Double
  /// The largest resident memory of the command and its children, in MiB; 0 when this process itself had as much.
  let memory: Double
  let timedOut: Bool

  var text: String { String(decoding: output, as: UTF8.self) }

  /// The one line of `errors`, when it is one line.
  var errorLine: String? {
    let lines = errors.split(separator: "\n").filter { !$0.contains(": warning: ") }
    return lines.count == 1 ? String(lines[0]) : nil
  }

  /// Where the commands and this test bundle were built.
  static let folder = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()

  static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  static func fixture(_ path: String) -> String { root.appending(path: "fixtures/\(path)").path }

  /// Runs a command to its end.
  ///
  /// - Parameters:
  ///   - limit: after these seconds it is killed.
  ///   - started: called with the process's number once it runs.
  static func run(
    _ name: String, _ arguments: [String], environment: [String: String] = [:], limit: Double = 60,
    started: (pid_t) -> Void = { _ in }
  ) throws -> Command {
    let folder = TemporaryFolder()
    let (outputFile, errorFile) = (folder.file("stdout"), folder.file("stderr"))
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, outputFile, O_WRONLY | O_CREAT, 0o600)
    posix_spawn_file_actions_addopen(&actions, 2, errorFile, O_WRONLY | O_CREAT, 0o600)
    var variables = ProcessInfo.processInfo.environment
    variables["SWIFT_BACKTRACE"] = "enable=no"
    variables.merge(environment) { $1 }
    let executable = self.folder.appending(path: name).path
    var argv: [UnsafeMutablePointer<CChar>?] = ([executable] + arguments).map { strdup($0) } + [nil]
    var entries: [UnsafeMutablePointer<CChar>?] = variables.map { strdup("\($0)=\($1)") } + [nil]
    defer { for pointer in argv + entries { free(pointer) } }
    var process: pid_t = 0
    // The threads of tests may hold signals back, which a child would do too.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    let status = posix_spawn(&process, executable, &actions, &attributes, &argv, &entries)
    guard status == 0 else { throw Failure(message: "\(executable): \(String(cString: strerror(status)))") }
    let start = ContinuousClock.now
    started(process)
    var end: Int32 = 0
    var usage = rusage()
    var timedOut = false
    while wait4(process, &end, WNOHANG, &usage) == 0 {
      usleep(2000)
      if !timedOut, ContinuousClock.now - start > .seconds(limit) {
        timedOut = true
        kill(process, SIGKILL)
      }
    }
    let time = usage.ru_utime.seconds + usage.ru_stime.seconds
    let signal = end & 0x7F
    // A process begins with the peak of the one that started it: less than that tells nothing of its own.
    var own = rusage()
    #if canImport(Glibc)
      getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &own)
    #else
      getrusage(RUSAGE_SELF, &own)
    #endif
    let memory = usage.ru_maxrss > own.ru_maxrss ? Double(usage.ru_maxrss) / 1024 : 0
    return Command(
      exitCode: signal == 0 ? end >> 8 & 0xFF : 0, signal: signal, output: try Data(contentsOf: URL(filePath: outputFile)),
      errors: String(decoding: try Data(contentsOf: URL(filePath: errorFile)), as: UTF8.self),
      processorSeconds: time, memory: memory,
      timedOut: timedOut)
  }

  static func kconv(_ arguments: String..., environment: [String: String] = [:]) throws -> Command {
    try run("kconv", arguments, environment: environment)
  }

  static func kinfer(_ arguments: String..., environment: [String: String] = [:]) throws -> Command {
    try run("kinfer", arguments, environment: environment)
  }

  struct Failure: Error, CustomStringConvertible {
    let message: String
    var description: String { message }
  }
}

extension timeval {
  fileprivate var seconds: Double { Double(tv_sec) + Double(tv_usec) * 1e-6 }
}

/// The demo model as `.kiln`, imported once.
enum Demo {
  static let source = Command.fixture("demo/digits.h5")
  private static let folder = TemporaryFolder()
  private static let imported = Result {
    let path = folder.file("digits.kiln")
    let run = try Command.kconv("import", source, "-o", path)
    guard run.exitCode == 0, run.signal == 0 else { throw Command.Failure(message: run.errors) }
    return path
  }

  static func model() throws -> String { try imported.get() }
}
