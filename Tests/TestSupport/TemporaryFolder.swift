import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A folder that goes away with the value.
package final class TemporaryFolder: @unchecked Sendable {
  package let path: String

  package init() {
    var template = Array("/tmp/kiln-test-XXXXXX".utf8CString)
    path = String(cString: mkdtemp(&template))
  }

  deinit { _ = system("rm -rf '\(path)'") }

  package func file(_ name: String) -> String { path + "/" + name }

  package func write(_ name: String, _ bytes: [UInt8]) throws -> String {
    var file = try AtomicFile.create(path: self.file(name), overwriting: true)
    try file.write(bytes)
    try file.commit()
    return self.file(name)
  }

  /// The names of what is in the folder.
  package var names: [String] {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }
}
