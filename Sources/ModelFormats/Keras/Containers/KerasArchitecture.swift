import TensorModule

/// A model's architecture apart from its weights, as `to_json` or `to_yaml` wrote it.
struct KerasArchitecture {
  let config: JSON
  let version: String?
  let backend: String?
  /// Nil when the text does not say which Keras wrote it.
  let dialect: KerasDialect?

  /// Reads JSON, or YAML when the text does not begin as a JSON object.
  ///
  /// - Throws: `KilnError` (`badInput`); its path starts with `path`.
  init(path: String) throws {
    do {
      let bytes = try MappedFile.contents(of: path)
      guard bytes.count <= JSON.Limits().bytes else { throw KilnError(.badInput, "is \(bytes.count) bytes long, no architecture") }
      let first = bytes.first { $0 != 0x20 && $0 != 0x0A && $0 != 0x0D && $0 != 0x09 }
      let json = first == UInt8(ascii: "{") ? try JSON.parse(bytes) : try YAMLText.parse(bytes)
      guard json["class_name"]?.stringValue != nil, json["config"] != nil else {
        throw KilnError(.badInput, "is not a model's architecture: it has no class_name and config")
      }
      config = json
      version = json["keras_version"]?.stringValue
      backend = json["backend"]?.stringValue
      dialect = KerasArchitecture.dialect(json, version, bytes)
    } catch let error as KilnError { throw error.path.first == path ? error : error.inside(path) }
  }

  private static func dialect(_ json: JSON, _ version: String?, _ bytes: [UInt8]) -> KerasDialect? {
    if let version {
      var dialect = KerasDialect(versionText: version)
      dialect.evidence = "the architecture has keras_version '\(KilnError.escaped(version, limit: 40))'"
      return dialect
    }
    guard json["module"] != nil || json["registered_name"] != nil else { return nil }
    // Keras 3 writes no version here; since 3.4 dtypes are objects.
    let isCurrent = String(decoding: bytes, as: UTF8.self).contains("DTypePolicy")
    var dialect = KerasDialect(versionText: isCurrent ? "3.15" : "3.3")
    dialect.hasVersion = false
    dialect.evidence = "the architecture names the modules of its classes" + (isCurrent ? " and has dtype policies" : "")
    return dialect
  }
}
