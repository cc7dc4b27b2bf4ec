import CGraphSchemas
import TensorModule

/// Messages in protobuf's text form (`.pbtxt`): they are turned into wire bytes, so that one reader reads both.
enum TFTextForm {
  /// A file's message in wire form: the file itself, or what its text stands for.
  ///
  /// - Throws: `KilnError` (`badInput`) with the line of the text.
  static func mapped(_ path: String, as descriptor: UnsafePointer<ProtobufCMessageDescriptor>) throws -> MappedFile {
    let file = try MappedFile(path: path)
    guard kind(file.bytes) != nil else { return file }
    guard file.bytes.count <= ProtobufSlimmer.maximumBytes else {
      throw KilnError(.badInput, "has \(file.bytes.count) bytes of text; at most \(ProtobufSlimmer.maximumBytes) are read")
    }
    var parser = TextFormParser(file.bytes)
    return try MappedFile(path: path, contents: try parser.wireBytes(descriptor))
  }

  /// Which message a text is, told from its first field.
  static func kind(_ bytes: UnsafeRawBufferPointer) -> TFMessageKind? {
    var scanner = TextFormScanner(UnsafeRawBufferPointer(rebasing: bytes.prefix(65536)))
    guard let name = try? scanner.identifier(), let next = try? scanner.peek(),
      [UInt8(ascii: "{"), UInt8(ascii: "<"), UInt8(ascii: ":")].contains(next)
    else { return nil }
    switch name {
    case "node", "versions", "library": return .graph
    case "meta_info_def", "graph_def", "saver_def", "collection_def", "signature_def": return .metaGraph
    case "saved_model_schema_version", "meta_graphs": return .savedModel
    default: return nil
    }
  }
}
