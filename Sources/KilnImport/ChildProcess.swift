import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Runs a program with stdin and stderr closed to /dev/null, and collects what it writes to stdout.
struct ChildProcess {
  enum End: Equatable {
    case exited(Int32)
    case signalled(Int32)
    /// Killed from here, and why.
    case stopped(String)
  }

  let output: [UInt8]
  let end: End

  private static let maximumOutput = 16 << 20

  /// Starts the program and waits for its end.
  ///
  /// - Parameters:
  ///   - seconds: after this wall-clock time the child is killed.
  ///   - isCancelled: asked ten times a second; when true the child is killed.
  /// - Throws: `KilnError` (`failed`) when it cannot be started, or was cancelled.
  init(_ executable: String, _ arguments: [String], seconds: Int, isCancelled: () -> Bool) throws {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw KilnError(.failed, FileError.message("no pipe can be had")) }
    let reading = ends[0]
    defer { close(reading) }
    let child: pid_t
    do {
      defer { close(ends[1]) }
      _ = fcntl(reading, F_SETFD, FD_CLOEXEC)
      child = try ChildProcess.spawn(executable, arguments, standardOutput: ends[1])
    }
    var output: [UInt8] = []
    var stopped: String?
    func stop(_ reason: String) {
      if kill(child, SIGKILL) == 0 { stopped = reason }
    }
    var cancelled = false
    let deadline = ContinuousClock.now + .seconds(seconds)
    func stopWhenDue() {
      if isCancelled() {
        cancelled = true
        stop("was interrupted")
      } else if ContinuousClock.now > deadline {
        stop("took more than \(seconds) s")
      }
    }
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while stopped == nil {
      var poller = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
      if poll(&poller, 1, 100) > 0 {
        let count = read(reading, &buffer, buffer.count)
        if count == 0 { break }
        if count > 0 { output += buffer[..<count] }
        if output.count > ChildProcess.maximumOutput { stop("gave too long an answer") }
      }
      stopWhenDue()
    }
    var status: Int32 = 0
    while waitpid(child, &status, stopped == nil ? WNOHANG : 0) == 0 {
      usleep(1000)
      stopWhenDue()
    }
    if cancelled { throw KilnError(.failed, "was interrupted") }
    self.output = output
    let signal = status & 0x7F
    end = stopped.map(End.stopped) ?? (signal != 0 ? .signalled(signal) : .exited(status >> 8 & 0xFF))
  }

  private static func spawn(_ executable: String, _ arguments: [String], standardOutput: Int32) throws -> pid_t {
    #if canImport(Glibc)
      var actions = posix_spawn_file_actions_t()
    #else
      var actions: posix_spawn_file_actions_t?
    #endif
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, standardOutput, 1)
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
    var argv: [UnsafeMutablePointer<CChar>?] = ([executable] + arguments).map { strdup($0) } + [nil]
    var variables = environment().map { strdup($0) } + [nil]
    defer { for pointer in argv + variables { free(pointer) } }
    var child: pid_t = 0
    let status = posix_spawn(&child, executable, &actions, nil, &argv, &variables)
    guard status == 0 else {
      throw KilnError(.failed, "cannot be started: \(String(cString: strerror(status)))", at: [executable])
    }
    return child
  }

  /// This process's environment without what lets libraries load code or files, and with one BLAS thread: thread stacks
  /// and buffers would count against the child's memory.
  private static func environment() -> [String] {
    let dropped = ["HDF5_", "OPENBLAS_", "GOTO_", "OMP_", "SWIFT_BACKTRACE="]
    var out: [String] = []
    var entry = environ
    while let text = entry.pointee {
      let variable = String(cString: text)
      if !dropped.contains(where: variable.hasPrefix) { out.append(variable) }
      entry += 1
    }
    return out + ["OPENBLAS_NUM_THREADS=1", "SWIFT_BACKTRACE=enable=no", "MALLOC_ARENA_MAX=1"]
  }
}
