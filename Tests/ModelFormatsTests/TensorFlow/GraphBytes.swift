import Foundation

/// Writes GraphDefs byte by byte, wrong ones too.
enum GraphBytes {
  static func varint(_ value: UInt64) -> [UInt8] {
    var rest = value
    var out: [UInt8] = []
    while rest >= 0x80 {
      out.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    return out + [UInt8(rest)]
  }

  static func field(_ number: UInt64, _ payload: [UInt8]) -> [UInt8] {
    varint(number << 3 | 2) + varint(UInt64(payload.count)) + payload
  }

  static func field(_ number: UInt64, _ text: String) -> [UInt8] { field(number, Array(text.utf8)) }
  static func field(_ number: UInt64, int value: UInt64) -> [UInt8] { varint(number << 3) + varint(value) }

  static func node(_ name: String, _ op: String, _ inputs: [String] = [], _ attributes: [(String, [UInt8])] = []) -> [UInt8] {
    var out = field(1, name) + field(2, op)
    for input in inputs { out += field(3, input) }
    for (key, value) in attributes { out += field(5, field(1, key) + field(2, value)) }
    return field(1, out)
  }

  static let float = field(6, int: 1)

  static func shape(_ dims: [Int]) -> [UInt8] {
    dims.reduce(into: []) { $0 += field(2, field(1, int: UInt64(bitPattern: Int64($1)))) }
  }

  /// A float constant with the given raw bytes.
  static func constant(_ name: String, _ dims: [Int], content: [UInt8]) -> [UInt8] {
    let tensor = field(1, int: 1) + field(2, shape(dims)) + field(4, content)
    return node(name, "Const", [], [("dtype", float), ("value", field(8, tensor))])
  }

  static func placeholder(_ name: String, _ dims: [Int]) -> [UInt8] {
    node(name, "Placeholder", [], [("dtype", float), ("shape", field(7, shape(dims)))])
  }

  /// Writes a file, hands its path over, removes it.
  static func withFile<Result>(_ bytes: [UInt8], _ body: (String) throws -> Result) throws -> Result {
    let file = FileManager.default.temporaryDirectory.appending(path: "kiln-\(UUID().uuidString).pb")
    try Data(bytes).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    return try body(file.path)
  }
}
