import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A compiled program on disk, under the hash of its source and that of the device and its driver:
/// `$XDG_CACHE_HOME/kiln/opencl` or `~/.cache/kiln/opencl`. `KILN_GPU_CACHE=0` keeps nothing.
package struct ProgramCache {
  private static let mark = "kiln-opencl-1\n"
  private let path: String?

  init(_ device: GPUDevice, _ source: String, in folder: String?) {
    path = folder.map {
      "\($0)/" + Self.fileName([device.platform, device.name, device.vendor, device.version, device.driver, GPUProgram.buildOptions], source)
    }
  }

  /// - Parameter machine: what a program is compiled for: device, driver and their versions, build options.
  package static func fileName(_ machine: [String], _ source: String) -> String {
    "\(hash(source))-\(hash(machine.joined(separator: "\n"))).bin"
  }

  private static func hash(_ text: String) -> String { Array(text.utf8).withUnsafeBytes { XXH64.text($0) } }

  /// Made when it is missing; nil when it cannot be.
  package static let folder: String? = {
    if getenv("KILN_GPU_CACHE").map({ String(cString: $0) }) == "0" { return nil }
    var folder = getenv("XDG_CACHE_HOME").map { String(cString: $0) } ?? ""
    if !folder.hasPrefix("/") {
      guard let home = getenv("HOME").map({ String(cString: $0) }), home.hasPrefix("/") else { return nil }
      folder = home + "/.cache"
    }
    mkdir(folder, 0o700)
    folder += "/kiln"
    mkdir(folder, 0o700)
    folder += "/opencl"
    mkdir(folder, 0o700)
    return access(folder, W_OK | X_OK) == 0 ? folder : nil
  }()

  /// The program, or nil when there is none or the file is damaged.
  func load() -> [UInt8]? {
    guard let path, access(path, R_OK) == 0, let file = try? MappedFile(path: path) else { return nil }
    return withExtendedLifetime(file) {
      let head = Self.mark.utf8.count + 16
      guard file.bytes.count > head, file.bytes.prefix(Self.mark.utf8.count).elementsEqual(Self.mark.utf8) else { return nil }
      let body = UnsafeRawBufferPointer(rebasing: file.bytes[head...])
      guard file.bytes[Self.mark.utf8.count..<head].elementsEqual(XXH64.text(body).utf8) else { return nil }
      return Array(body)
    }
  }

  /// Keeps a program; a disk that is full or not writable only costs time in the next process.
  func store(_ binary: [UInt8]) {
    guard let path, var file = try? AtomicFile.create(path: path, overwriting: true) else { return }
    let head = Self.mark + binary.withUnsafeBytes { XXH64.text($0) }
    guard (try? file.write(Array(head.utf8))) != nil, (try? file.write(binary)) != nil else { return }
    try? file.commit()
  }
}
