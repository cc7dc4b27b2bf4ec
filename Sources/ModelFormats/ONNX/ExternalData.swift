import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Tensors' bytes in files beside a model. What a model says is only ever the name of a file in its own folder.
final class ExternalData {
  /// Where one tensor's bytes are.
  struct Place: Sendable, Hashable {
    var location = ""
    var offset = 0
    var length: Int?
    var checksum: String?
  }

  private let folder: String
  private let isAllowed: Bool
  private var files: [String: MappedFile] = [:]
  private var checked: Set<String> = []

  /// - Parameter model: the path of the model's file.
  init(model: String, isAllowed: Bool) {
    folder = FilePath.folder(of: model)
    self.isAllowed = isAllowed
  }

  /// Reads the entries of a tensor.
  ///
  /// - Throws: `KilnError` (`badInput`) for unknown keys, and for numbers that are none.
  static func place(_ entries: [(key: String, value: String)]) throws -> Place {
    var place = Place()
    var seen: Set<String> = []
    for (key, value) in entries {
      guard seen.insert(key).inserted else { throw KilnError(.badInput, "external data has the key \(KilnError.quoted(key)) twice") }
      switch key {
      case "location": place.location = value
      case "offset": place.offset = try number(value, key)
      case "length": place.length = try number(value, key)
      case "checksum": place.checksum = value.lowercased()
      default: throw KilnError(.badInput, "external data has the unknown key \(KilnError.quoted(key))")
      }
    }
    guard !place.location.isEmpty else { throw KilnError(.badInput, "external data has no location") }
    return place
  }

  private static func number(_ text: String, _ key: String) throws -> Int {
    guard !text.isEmpty, text.utf8.count <= 18, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let value = Int(text) else {
      throw KilnError(.badInput, "external data has the \(key) \(KilnError.quoted(text)), which is no number")
    }
    return value
  }

  /// The bytes at a place, `size` of them.
  ///
  /// - Throws: `KilnError`: `unsupportedModel` when files beside the model are not allowed, `badInput` when the name leads out
  ///   of the folder, is a link or has several names, and when the file is too short.
  func bytes(_ place: Place, size: Int) throws -> (file: MappedFile, range: Range<Int>) {
    guard isAllowed else {
      throw KilnError(
        .unsupportedModel, "its data are in another file, \(KilnError.quoted(place.location)), which is not read",
        hint: "--allow-external-data reads files in the model's folder")
    }
    guard !place.location.contains("/"), !place.location.contains("\\"), place.location != ".", place.location != ".." else {
      throw KilnError(.badInput, "external data path \(KilnError.quoted(place.location)) leaves the model's folder")
    }
    let file = try open(place.location)
    if let length = place.length, length != size {
      throw KilnError(.badInput, "external data has \(length) bytes, its shape needs \(size)")
    }
    guard place.offset <= file.bytes.count, size <= file.bytes.count - place.offset else {
      throw KilnError(
        .badInput, "external data at \(place.offset) of \(size) bytes leads out of \(KilnError.quoted(place.location)) of \(file.bytes.count) bytes")
    }
    if let checksum = place.checksum, checked.insert(place.location).inserted {
      guard SHA1.hexadecimal(file.bytes) == checksum else {
        throw KilnError(.badInput, "external data \(KilnError.quoted(place.location)) does not have its checksum: it is damaged")
      }
    }
    return (file, place.offset..<place.offset + size)
  }

  private func open(_ name: String) throws -> MappedFile {
    if let known = files[name] { return known }
    let path = folder + "/" + name
    if FilePath.kind(path) == .file, FilePath.linkCount(path) != 1 {
      throw KilnError(.badInput, "external data \(KilnError.quoted(name)) is a file with several names")
    }
    let file = try FilePath.map(name, below: folder, "external data")
    files[name] = file
    return file
  }
}
