import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Numbers written as text, as in `tf.strings.as_string`.
package struct AsString: OpDefinition {
  package enum Notation: String, Sendable, CaseIterable {
    /// C's `%f`, `%e` and `%g`; integers and bool take the first.
    case fixed, scientific, shortest
  }

  package static let name = "as_string"
  package static let summary =
    "the text of each number of x: integers in decimal, bool as true and false, floats by notation (C's %f, %e, %g) with precision digits (-1: C's default), at least width wide, filled up with fill"

  package var notation: Notation
  package var precision: Int
  package var width: Int
  /// Empty, or one of C's flags: "0", " ", "+", "-", "#".
  package var fill: String

  package init(_ notation: Notation = .fixed, precision: Int = -1, width: Int = -1, fill: String = "") {
    self.notation = notation
    self.precision = precision
    self.width = width
    self.fill = fill
  }

  package var attributes: Attributes {
    [
      ("notation", .word(notation.rawValue)), ("precision", .int(precision)), ("width", .int(width)),
      ("fill", .string(fill)),
    ]
  }

  package init(from reader: inout AttributeReader) throws {
    notation = try reader.choice("notation")
    precision = try reader.int("precision")
    width = try reader.int("width")
    fill = try reader.string("fill")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    for (what, value) in [("precision", precision), ("width", width)] {
      try Expect.that((-1...1000).contains(value), Self.name, "\(what) must be from -1 to 1000, found \(value)")
    }
    try Expect.that(["", "0", " ", "+", "-", "#"].contains(fill), Self.name, "fill must be a flag of C's printf, found '\(KilnError.escaped(fill))'")
    return [TensorType(.string, inputs[0].dims)]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let x = inputs[0]
    if x.dtype == .string { return [x] }
    let texts: [ByteString]
    if x.dtype == .bool {
      texts = x.integers.map { $0 != 0 ? "true" : "false" }
    } else if x.dtype.isFloat {
      let letter = notation == .fixed ? "f" : notation == .scientific ? "e" : "g"
      texts = x.numbers.map { AsString.format(form(letter), $0) }
    } else if width < 0, fill.isEmpty {
      texts = x.integers.map { ByteString(String($0)) }
    } else {
      texts = x.integers.map { AsString.format(form("lld", withPrecision: false), $0) }
    }
    return [ReferenceTensor(.string, x.shape, .strings(texts))]
  }

  private func form(_ letter: String, withPrecision: Bool = true) -> String {
    "%" + fill + (width >= 0 ? String(width) : "") + (withPrecision && precision >= 0 ? ".\(precision)" : "") + letter
  }

  private static func format(_ form: String, _ value: some CVarArg) -> ByteString {
    withVaList([value]) { arguments in
      var bytes = [CChar](repeating: 0, count: 2048)
      let count = vsnprintf(&bytes, bytes.count, form, arguments)
      return ByteString(bytes.prefix(max(0, min(Int(count), bytes.count - 1))).map { UInt8(bitPattern: $0) })
    }
  }

  package static var examples: [OpExample] {
    let x = TensorType(.float32, [3])
    return Notation.allCases.map { OpExample(AsString($0), [x]) } + [
      OpExample(AsString(.fixed, precision: 2, width: 9, fill: "0"), [x]), OpExample(AsString(), [TensorType(.int64, [2, 2])]),
      OpExample(AsString(width: 6, fill: "-"), [TensorType(.int8, [2])]), OpExample(AsString(), [TensorType(.bool, [2])]),
      OpExample(AsString(), [TensorType(.string, [2])]), OpExample(AsString(), [TensorType(.int32, [])]),
      OpExample(AsString(), [TensorType(.float64, [0, 2])]),
    ]
  }
}
