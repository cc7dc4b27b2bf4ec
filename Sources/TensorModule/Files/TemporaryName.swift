#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Names that nothing has yet, for files and folders that go away again.
enum TemporaryName {
  /// Characters behind the prefix that the system chooses, so that no two processes make the same.
  private static let placeholder = String(repeating: "X", count: 6)

  /// A new file that only its owner may read, open for reading and writing.
  ///
  /// - Returns: nil where it cannot be made; `errno` says why.
  static func file(_ prefix: String) -> (path: String, descriptor: Int32)? {
    var descriptor: Int32 = -1
    let path = filled(prefix) { descriptor = mkstemp($0) }
    return descriptor >= 0 ? (path, descriptor) : nil
  }

  /// A new folder that only its owner may enter.
  ///
  /// - Returns: its path, or nil where it cannot be made; `errno` says why.
  static func folder(_ prefix: String) -> String? {
    var isMade = false
    let path = filled(prefix) { isMade = mkdtemp($0) != nil }
    return isMade ? path : nil
  }

  private static func filled(_ prefix: String, _ make: (UnsafeMutablePointer<CChar>) -> Void) -> String {
    var name = Array((prefix + placeholder).utf8CString)
    name.withUnsafeMutableBufferPointer { if let start = $0.baseAddress { make(start) } }
    return String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
