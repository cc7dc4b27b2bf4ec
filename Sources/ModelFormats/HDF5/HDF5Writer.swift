import CHDF5
import TensorModule

/// Writes a new HDF5 file: groups, arrays and attributes, as h5py lays them out. The same calls give the same bytes.
final class HDF5Writer {
  private let path: String
  private var file: HDF5Handle?
  private var groups: Set<String> = [""]

  /// What an attribute may take in an object's header; Keras splits lists that are longer.
  private static let headerLimit = 64_512

  /// - Parameter path: where the file is made; nothing may be there.
  /// - Throws: `KilnError` (`failed`) when it cannot be made.
  init(path: String) throws {
    self.path = path
    file = HDF5Handle(try HDF5Library.locked { kiln_h5f_create(path) })
    if file == nil { throw failure("") }
  }

  /// Flushes and closes the file.
  ///
  /// - Throws: `KilnError` (`failed`) when not everything could be written.
  func close() throws {
    guard let open = file.take() else { return }
    let status = try HDF5Library.locked { kiln_h5f_flush(open.id) }
    guard status >= 0 else { throw failure("") }
  }

  /// Makes a group and those around it, where they are not there yet.
  func group(_ path: String) throws {
    if groups.contains(path) { return }
    let slash = path.lastIndex(of: "/")
    let parent = slash.map { String(path[..<$0]) } ?? ""
    try self.group(parent)
    let name = slash.map { String(path[path.index(after: $0)...]) } ?? path
    try inside(parent) { owner in
      guard HDF5Handle(kiln_h5g_create(owner, name)) != nil else { throw failure(path) }
    }
    groups.insert(path)
  }

  /// Writes an array, with the groups around it.
  func dataset(_ path: String, _ tensor: Tensor) throws {
    let slash = path.lastIndex(of: "/")
    let parent = slash.map { String(path[..<$0]) } ?? ""
    try group(parent)
    guard let kind = HDF5Writer.kinds.firstIndex(of: tensor.dtype) else {
      throw KilnError(.unsupportedModel, "a variable of \(tensor.dtype.name) cannot be stored", at: [path])
    }
    try inside(parent) { owner in
      guard let type = HDF5Handle(kiln_h5t_stored(Int32(kind))) else { throw failure(path) }
      let lengths = tensor.shape.map { hsize_t($0) }
      let name = slash.map { String(path[path.index(after: $0)...]) } ?? path
      let bytes = tensor.bytes
      // An array without elements has no address.
      let address = bytes.isEmpty ? nil : bytes.baseAddress
      guard let made = HDF5Handle(kiln_h5d_write(owner, name, type.id, Int32(lengths.count), lengths, address)) else {
        throw failure(path)
      }
      if tensor.dtype == .bfloat16, kiln_h5a_write_text(made.id, "dtype", "bfloat16") < 0 { throw failure(path) }
    }
    tensor.releaseMapping()
  }

  /// Writes a text as a scalar attribute of a group.
  func attribute(_ name: String, _ text: String, of group: String) throws {
    try self.group(group)
    try inside(group) { owner in
      guard !text.utf8.contains(0), kiln_h5a_write_text(owner, name, text) >= 0 else { throw failure("\(group)@\(name)") }
    }
  }

  /// Writes a list of texts as attributes of a group: one, or `name0`, `name1`, … where one cannot hold it.
  ///
  /// - Throws: `KilnError` (`unsupportedModel`) for a text that no attribute can hold.
  func attribute(_ name: String, _ texts: [String], of group: String) throws {
    try self.group(group)
    let width = max(texts.map(\.utf8.count).max() ?? 0, 1)
    guard width <= HDF5Writer.headerLimit else {
      throw KilnError(.unsupportedModel, "the name \(KilnError.quoted(texts.first ?? "")) is too long for an HDF5 attribute")
    }
    let perPart = max(HDF5Writer.headerLimit / width, 1)
    if texts.count <= perPart { return try list(name, texts, width, of: group) }
    for (part, start) in stride(from: 0, to: texts.count, by: perPart).enumerated() {
      try list("\(name)\(part)", Array(texts[start..<min(start + perPart, texts.count)]), width, of: group)
    }
  }

  private func list(_ name: String, _ texts: [String], _ width: Int, of group: String) throws {
    var bytes: [UInt8] = []
    for text in texts { bytes += Array(text.utf8) + [UInt8](repeating: 0, count: width - text.utf8.count) }
    try inside(group) { owner in
      guard kiln_h5a_write_list(owner, name, width, hsize_t(texts.count), bytes) >= 0 else { throw failure("\(group)@\(name)") }
    }
  }

  private static let kinds: [DType] = [.float16, .bfloat16, .float32, .float64, .int8, .int16, .int32, .int64, .uint8]

  private func inside(_ group: String, _ body: (hid_t) throws -> Void) throws {
    try HDF5Library.locked {
      switch file {
      case .some(let open):
        guard let owner = HDF5Handle(kiln_h5o_open(open.id, group.isEmpty ? "/" : "/" + group)) else { throw failure(group) }
        try body(owner.id)
      case nil: throw failure(group)
      }
    }
  }

  private func failure(_ place: String) -> KilnError {
    KilnError(.failed, FileError.message("cannot be written"), at: place.isEmpty ? [path] : [path, place])
  }
}
