import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Runs another program with this one's stderr and environment, nothing on stdin and stdout.
package enum Subprocess {
  /// The program's exit code; 128 and the signal when one ended it.
  ///
  /// - Throws: `KilnError` (`failed`) when it cannot be started.
  package static func run(_ executable: String, _ arguments: [String]) throws -> Int32 {
    #if canImport(Glibc)
      var actions = posix_spawn_file_actions_t()
    #else
      var actions: posix_spawn_file_actions_t?
    #endif
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
    var argv: [UnsafeMutablePointer<CChar>?] = ([executable] + arguments).map { strdup($0) } + [nil]
    defer { for pointer in argv { free(pointer) } }
    var child: pid_t = 0
    let status = posix_spawn(&child, executable, &actions, nil, &argv, environ)
    guard status == 0 else {
      throw KilnError(.failed, "cannot be started: \(String(cString: strerror(status)))", at: [executable])
    }
    var end: Int32 = 0
    while waitpid(child, &end, 0) < 0, errno == EINTR {}
    let signal = end & 0x7F
    return signal == 0 ? end >> 8 & 0xFF : 128 + signal
  }
}

/// Where this program lies.
package enum ExecutablePath {
  package static func current() throws -> String {
    #if canImport(Glibc)
      var buffer = [CChar](repeating: 0, count: 4096)
      let length = readlink("/proc/self/exe", &buffer, buffer.count)
      guard length > 0 else { throw KilnError(.failed, FileError.message("this program cannot be found")) }
      return String(decoding: buffer.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    #else
      var size: UInt32 = 4096
      var buffer = [CChar](repeating: 0, count: Int(size))
      guard _NSGetExecutablePath(&buffer, &size) == 0 else { throw KilnError(.failed, "this program cannot be found") }
      return String(cString: buffer)
    #endif
  }
}
