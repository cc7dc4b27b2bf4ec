import TensorModule

/// What a source file is, told from its content; the name is never asked.
package enum SourceFormat: String, Sendable, CaseIterable {
  case kerasH5, kerasZip, kerasShards, kilnModel, numpy, onnx, cntk, cntkLegacy, protobuf

  package var description: String {
    switch self {
    case .kerasH5: "an HDF5 file"
    case .kerasZip: "a zip archive (.keras)"
    case .kerasShards: "a list of Keras weight files"
    case .kilnModel: "a .kiln or safetensors file"
    case .numpy: "a NumPy file"
    case .onnx: "an ONNX model"
    case .cntk: "a CNTK model"
    case .cntkLegacy: "a computation network of CNTK 1"
    case .protobuf: "perhaps a protobuf message"
    }
  }
}

extension ModelImporter {
  private static let hdf5Magic: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]

  /// Tells a file's format from its first bytes.
  ///
  /// - Throws: `KilnError` (`badInput`) that says what the file is instead: empty, a web page, a git-lfs pointer, a
  ///   compressed archive, text.
  package static func detect(path: String) throws -> SourceFormat {
    let file = try MappedFile(path: path)
    let bytes = file.bytes
    func refused(_ message: String, hint: String? = nil) -> KilnError {
      KilnError(.badInput, message, at: [path], hint: hint)
    }
    guard !bytes.isEmpty else { throw refused("the file is empty") }
    if bytes.starts(with: hdf5Magic) { return .kerasH5 }
    if bytes.starts(with: [0x50, 0x4B, 0x03, 0x04]) || bytes.starts(with: [0x50, 0x4B, 0x05, 0x06]) { return .kerasZip }
    // After the zip: a stored member can lie where a user block would end.
    if hasHDF5Magic(bytes) { return .kerasH5 }
    if NumPyFile.isNPY(bytes) { return .numpy }
    let head = bytes.prefix(512)
    let text = String(decoding: head, as: UTF8.self).lowercased()
    let trimmed = text.drop { $0.isWhitespace }
    if trimmed.hasPrefix("version https://git-lfs") {
      throw refused("is a Git LFS pointer, not the model itself", hint: "fetch it with 'git lfs pull'")
    }
    if trimmed.hasPrefix("<!doctype") || trimmed.hasPrefix("<html") || trimmed.hasPrefix("<?xml") {
      throw refused("is a web page (HTML), not a model", hint: "the download went wrong")
    }
    if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47]) { throw refused("is a PNG picture, not a model") }
    if bytes.starts(with: [0xFF, 0xD8, 0xFF]) { throw refused("is a JPEG picture, not a model") }
    if bytes.starts(with: [0x1F, 0x8B]) || text.hasPrefix("rar!") || bytes.starts(with: [0x37, 0x7A, 0xBC, 0xAF])
      || bytes.starts(with: [0x42, 0x5A, 0x68])
    {
      throw refused("is a compressed archive", hint: "unpack it first")
    }
    if bytes.starts(with: [0x80, 0x02]) || bytes.starts(with: [0x80, 0x03]) || bytes.starts(with: [0x80, 0x04]) {
      throw refused("is a Python pickle, which holds code and is not loaded")
    }
    if bytes.count > 10, bytes[8] == UInt8(ascii: "{"), bytes[7] == 0, bytes[6] == 0 { return .kilnModel }
    if trimmed.hasPrefix("{"), let json = try? JSON.parse(bytes) {
      if ShardedWeights.isList(json) { return .kerasShards }
      if json["class_name"] != nil {
        throw refused("is an architecture without weights", hint: "import the file of the weights, with this one as --architecture")
      }
    }
    if head.allSatisfy({ $0 >= 0x20 && $0 < 0x7F || $0 == 0x0A || $0 == 0x0D || $0 == 0x09 }) {
      throw refused("is text, not a model (a Keras model is an HDF5 or zip file)")
    }
    if ONNXImporter.isModel(bytes) { return .onnx }
    if CNTKLegacyFile.isNetwork(bytes) { return .cntkLegacy }
    if CNTKImporter.isDictionary(bytes) { return .cntk }
    if let first = bytes.first, [0x08, 0x0A, 0x12, 0x1A, 0x22].contains(first), bytes.count > 16 { return .protobuf }
    throw refused("is no model: neither HDF5 nor another known format (its first bytes are \(hex(head.prefix(8))))")
  }

  /// The signature stands at byte 0, or after a user block at 512, 1024, 2048, …
  private static func hasHDF5Magic(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var offset = 0
    while offset <= bytes.count - 8 {
      if bytes[offset..<offset + 8].elementsEqual(hdf5Magic) { return true }
      offset = offset == 0 ? 512 : offset * 2
    }
    return false
  }

  private static func hex(_ bytes: Slice<UnsafeRawBufferPointer>) -> String {
    bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined(separator: " ")
  }
}
