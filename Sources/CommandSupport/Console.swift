import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The two streams of a command: stdout is the result, stderr is for people.
package enum Console {
  /// Writes text to stdout.
  ///
  /// - Throws: `KilnError` (`failed`) when the reader is gone or the disk is full.
  package static func write(_ text: String) throws {
    var text = text
    try text.withUTF8 { try write(UnsafeRawBufferPointer($0)) }
  }

  package static func write(_ bytes: UnsafeRawBufferPointer) throws {
    try FileOutput.write(bytes, to: STDOUT_FILENO, named: "stdout")
  }

  /// Flushes what `print` left in the C library's buffer.
  package static func flush() throws {
    guard fflush(nil) == 0 else { throw KilnError(.failed, FileError.message("cannot be written"), at: ["stdout"]) }
  }

  /// Writes one line to stderr.
  package static func note(_ line: String) {
    ProgressBar.clear()
    raw(line + "\n")
  }

  /// Whether stderr is a terminal that a person looks at.
  package static let isInteractive = isatty(STDERR_FILENO) == 1 && variable("TERM") != "dumb"

  /// Whether colour is welcome on stderr (https://no-color.org).
  package static let hasColor = isInteractive && (variable("NO_COLOR") ?? "").isEmpty

  /// The columns of a line of stdout: `COLUMNS`, or the terminal's; nil where nothing bounds them.
  package static var width: Int? {
    if let text = variable("COLUMNS"), let columns = Int(text), columns > 0 { return columns }
    var size = winsize()
    guard isatty(STDOUT_FILENO) == 1, ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
    return Int(size.ws_col)
  }

  /// An environment variable, or nil when it is unset.
  package static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

  static func raw(_ text: String) {
    var text = text
    text.withUTF8 { bytes in
      #if canImport(Glibc)
        _ = Glibc.write(STDERR_FILENO, bytes.baseAddress, bytes.count)
      #else
        _ = Darwin.write(STDERR_FILENO, bytes.baseAddress, bytes.count)
      #endif
    }
  }
}
