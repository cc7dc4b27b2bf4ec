import CHDF5
import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// An HDF5 file that is open for reading. Objects are reached by name only, through hard links only.
final class HDF5File {
  /// The most bytes that all datasets together may take.
  let budget: Int
  /// The file's size when it was opened.
  let size: Int
  private(set) var bytesRead = 0
  private let handle: HDF5Handle
  /// The bytes of the whole file: of one that lies in memory, or mapped when an array is first taken from there.
  private var image: (bytes: UnsafeRawBufferPointer, owner: AnyObject)?
  private let path: String?

  /// The deepest path that is followed.
  static let maximumDepth = 64
  /// The longest name of an object or attribute.
  static let maximumNameLength = 1024

  /// Opens a regular file.
  ///
  /// - Parameter budget: the most bytes that its datasets may take together; by default 2 GiB or 4 times the file.
  /// - Throws: `KilnError` (`badInput`) when it is not a regular file, or not an HDF5 file.
  init(path: String, budget: Int? = nil) throws {
    var status = stat()
    guard stat(path, &status) == 0 else {
      throw KilnError(.badInput, "cannot be read: \(String(cString: strerror(errno)))")
    }
    guard status.st_mode & S_IFMT == S_IFREG else { throw KilnError(.badInput, "is not a regular file") }
    size = Int(status.st_size)
    let (quadruple, overflow) = size.multipliedReportingOverflow(by: 4)
    self.budget = budget ?? max(2 << 30, overflow ? size : quadruple)
    let opened = try HDF5Library.locked { kiln_h5f_open(path) }
    guard let file = HDF5Handle(opened) else {
      throw KilnError(.badInput, "the HDF5 library cannot open it (damaged or cut off)")
    }
    handle = file
    self.path = path
  }

  /// Opens a file that lies in memory, such as a member of an archive, under the rules of files on the disk.
  ///
  /// - Parameters:
  ///   - owner: keeps the bytes valid.
  ///   - budget: the most bytes that its datasets may take together.
  /// - Throws: `KilnError` (`badInput`) when it is not an HDF5 file.
  init(image: UnsafeRawBufferPointer, owner: AnyObject, budget: Int) throws {
    size = image.count
    self.budget = budget
    path = nil
    self.image = (image, owner)
    let opened = try HDF5Library.locked { image.isEmpty ? -1 : kiln_h5f_open_image(image.baseAddress, image.count) }
    guard let file = HDF5Handle(opened) else {
      throw KilnError(.badInput, "the HDF5 library cannot open it (damaged or cut off)")
    }
    handle = file
  }

  /// The file's bytes and what keeps them; nil when it cannot be mapped as it was opened.
  func mapped() -> (bytes: UnsafeRawBufferPointer, owner: AnyObject)? {
    if let image { return image }
    guard let path, let file = try? MappedFile(path: path), file.bytes.count == size else { return nil }
    image = (file.bytes, file)
    return image
  }

  /// Whether something has that path (components separated by `/`).
  func exists(_ path: String) throws -> Bool {
    try HDF5Library.locked {
      let components = try HDF5File.components(path)
      guard let last = components.last else { return true }
      let parent = components.dropLast().joined(separator: "/")
      if !parent.isEmpty, try !exists(parent) { return false }
      let group = try open(parent)
      let kind = kiln_h5l_kind(group.id, last)
      guard kind != -2 else { throw HDF5File.damaged(path) }
      return kind >= 0
    }
  }

  /// Opens a group or dataset, checking that each component of the path is a hard link.
  ///
  /// - Throws: `KilnError` (`badInput`) when a component is missing, or is a link of another kind.
  func open(_ path: String) throws -> HDF5Handle {
    guard var current = HDF5Handle(kiln_h5o_open(handle.id, "/")) else {
      throw KilnError(.badInput, "the root group cannot be opened")
    }
    for component in try HDF5File.components(path) {
      switch kiln_h5l_kind(current.id, component) {
      case 0: break
      case 1: throw KilnError(.badInput, "is a soft link; links are not followed", at: [path])
      case -2: throw HDF5File.damaged(path)
      case 2: throw KilnError(.badInput, "is an external link; links out of the file are not followed", at: [path])
      default: throw KilnError(.badInput, "\(KilnError.quoted(component)) is missing", at: [path])
      }
      guard let next = HDF5Handle(kiln_h5o_open(current.id, component)) else {
        throw KilnError(.badInput, "\(KilnError.quoted(component)) cannot be opened (damaged)", at: [path])
      }
      current = next
    }
    return current
  }

  private static func damaged(_ path: String) -> KilnError {
    KilnError(.badInput, "the HDF5 library cannot read it (damaged)", at: [path])
  }

  private static func components(_ path: String) throws -> [String] {
    let components = path.split(separator: "/").map(String.init).filter { $0 != "." }
    guard components.count <= maximumDepth,
      components.allSatisfy({ $0.utf8.count <= maximumNameLength && !$0.utf8.contains(0) })
    else {
      throw KilnError(.badInput, "has too many components or too long a name", at: [path])
    }
    return components
  }

  /// Takes `bytes` from the budget.
  ///
  /// - Throws: `KilnError` (`badInput`) when the budget is spent.
  func spend(_ bytes: Int, at path: String) throws {
    let (total, overflow) = bytesRead.addingReportingOverflow(bytes)
    guard !overflow, total <= budget else {
      throw KilnError(
        .badInput,
        "declares \(ByteCount.text(bytes)), which goes past the limit of \(ByteCount.text(budget)) for all weights",
        at: [path])
    }
    bytesRead = total
  }
}

/// Sizes for people.
enum ByteCount {
  /// `12 bytes`, `1.5 MB`, `4.0 PB`: powers of 1024.
  static func text(_ bytes: Int) -> String {
    if bytes < 10_000 { return "\(bytes) bytes" }
    var value = Double(bytes)
    for unit in ["KB", "MB", "GB", "TB", "PB"] {
      value /= 1024
      if value < 1000 || unit == "PB" { return "\(Double(Int(value * 10)) / 10) \(unit)" }
    }
    return "\(bytes) bytes"
  }
}
