import TensorModule
import Yams

/// Reads the NumPy numbers and arrays that Keras left in YAML: Python objects that hold data alone.
enum YAMLNumbers {
  private static let maximumCount = 1 << 20

  /// Whether a tag is that of a NumPy number or array.
  static func isNumber(_ tag: String) -> Bool {
    tag.hasPrefix("python/object/apply:numpy.") && (tag.hasSuffix("multiarray.scalar") || tag.hasSuffix("multiarray._reconstruct"))
  }

  /// A number, or nested lists of numbers.
  ///
  /// - Throws: `KilnError` (`badInput`) when the node has another form than NumPy writes.
  static func value(_ node: Node, _ resolve: (Node) throws -> JSON) throws -> JSON {
    switch node {
    case .sequence(let items) where items.count == 2:
      // scalar(dtype, bytes)
      guard let value = try numbers(items[0], items[1], count: 1, resolve).first else { throw wrong }
      return value
    case .mapping(let mapping):
      // _reconstruct(class, shape, kind), then the state: version, shape, dtype, column order, bytes.
      guard let state = item(mapping, "state")?.sequence, state.count == 5 else { throw wrong }
      guard let lengths = try resolve(state[1]).arrayValue?.compactMap(\.intValue), let count = checkedProduct(lengths),
        lengths.count == (try resolve(state[1]).arrayValue?.count), lengths.allSatisfy({ $0 >= 0 }), count <= maximumCount,
        try resolve(state[3]).boolValue == false || lengths.count < 2
      else { throw wrong }
      var values = try numbers(state[2], state[4], count: count, resolve)
      for length in lengths.dropFirst().reversed() where length > 0 {
        values = stride(from: 0, to: values.count, by: length).map { .array(Array(values[$0..<min($0 + length, values.count)])) }
      }
      guard let first = values.first else { return .array([]) }
      return lengths.isEmpty ? first : .array(values)
    default: throw wrong
    }
  }

  private static var wrong: KilnError { KilnError(.badInput, "YAML holds a NumPy object that is no number and no array of numbers") }

  private static func item(_ mapping: Node.Mapping, _ key: String) -> Node? {
    mapping.first { $0.key.scalar?.string == key }?.value
  }

  private static func numbers(_ dtype: Node, _ bytes: Node, count: Int, _ resolve: (Node) throws -> JSON) throws -> [JSON] {
    guard let parts = dtype.mapping, let name = try item(parts, "args").map(resolve)?[0]?.stringValue,
      let order = try item(parts, "state").map(resolve)?[1]?.stringValue, order == "<" || order == "|",
      let text = bytes.scalar?.string, let raw = Base64.decode(String(text.filter { !$0.isWhitespace })),
      let kind = name.first, let size = Int(name.dropFirst()), [1, 2, 4, 8].contains(size), raw.count == count * size
    else { throw wrong }
    return try (0..<count).map { index in
      let bits = raw[index * size..<(index + 1) * size].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      switch (kind, size) {
      case ("b", 1): return .bool(bits != 0)
      case ("u", _): return Int(exactly: bits).map { .int($0) } ?? .double(Double(bits))
      case ("i", _): return .int(Int(Int64(bitPattern: bits << UInt64(64 - 8 * size)) >> Int64(64 - 8 * size)))
      case ("f", 4): return .double(Double(Float(bitPattern: UInt32(truncatingIfNeeded: bits))))
      case ("f", 8): return .double(Double(bitPattern: bits))
      default: throw wrong
      }
    }
  }
}
