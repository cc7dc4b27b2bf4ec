import TensorModule

/// Reads the numbers, texts and shapes of a computation network's file, which nobody checked.
struct CNTKLegacyReader {
  static let maximumText = 1024

  let file: MappedFile
  private(set) var position = 0

  init(_ file: MappedFile) { self.file = file }

  var isAtEnd: Bool { position >= file.bytes.count }

  func wrong(_ message: String) -> KilnError { KilnError(.badInput, "computation network at byte \(position) \(message)") }

  mutating func take(_ count: Int) throws -> Range<Int> {
    guard count >= 0, count <= file.bytes.count - position else { throw wrong("declares \(count) bytes where \(file.bytes.count - position) are left") }
    defer { position += count }
    return position..<position + count
  }

  private mutating func number<Value: FixedWidthInteger>(_: Value.Type) throws -> Value {
    let range = try take(MemoryLayout<Value>.size)
    return Value(littleEndian: file.bytes.loadUnaligned(fromByteOffset: range.lowerBound, as: Value.self))
  }

  mutating func int() throws -> Int { Int(try number(Int32.self)) }
  mutating func long() throws -> Int { Int(try number(Int64.self)) }
  mutating func float() throws -> Double { Double(Float(bitPattern: try number(UInt32.self))) }
  mutating func double() throws -> Double { Double(bitPattern: try number(UInt64.self)) }

  mutating func flag() throws -> Bool {
    let value = try number(UInt8.self)
    guard value <= 1 else { throw wrong("has a flag of the value \(value)") }
    return value == 1
  }

  /// How many of something follow.
  mutating func count(atMost limit: Int, _ what: String) throws -> Int {
    let count = try long()
    guard (0...limit).contains(count) else { throw wrong("declares \(count) \(what)") }
    return count
  }

  /// A text in UTF-16 with a zero behind it.
  mutating func text() throws -> String {
    var units: [UInt16] = []
    while true {
      let unit = try number(UInt16.self)
      if unit == 0 { break }
      guard units.count < CNTKLegacyReader.maximumText else { throw wrong("has a text of more than \(CNTKLegacyReader.maximumText) characters") }
      units.append(unit)
    }
    guard let text = String(validating: units, as: UTF16.self) else { throw wrong("has a text that is not UTF-16") }
    return text
  }

  /// The next text, which stays; nil when there is none.
  func peek() -> String? {
    var copy = self
    return try? copy.text()
  }

  mutating func marker(_ name: String) throws {
    guard peek() == name else { throw wrong("lacks the mark \(KilnError.quoted(name))") }
    _ = try text()
  }

  /// Passes over a mark if it is there.
  mutating func skip(_ name: String) -> Bool {
    guard peek() == name else { return false }
    return (try? text()) != nil
  }

  mutating func shape() throws -> [Int] {
    let rank = try int()
    guard (0...64).contains(rank) else { throw wrong("has a shape of \(rank) axes") }
    return try (0..<rank).map { _ in
      let length = Int(UInt32(bitPattern: Int32(truncatingIfNeeded: try int())))
      guard length <= 1 << 31 else { throw wrong("has a shape with the length \(length)") }
      return length
    }
  }

  mutating func flags() throws -> [Bool] { try (0..<count(atMost: 64, "flags")).map { _ in try flag() } }

  /// A matrix: the size of its elements, its rows and columns, and where they are.
  mutating func matrix() throws -> (size: Int, rows: Int, columns: Int, range: Range<Int>) {
    let kind = try number(UInt8.self)
    guard kind == UInt8(ascii: "d") else { throw KilnError(.unsupportedModel, "a matrix that is stored sparsely (kind \(kind)) is not supported") }
    try marker("BMAT")
    let size = try long()
    _ = try text()
    let format = try int()
    guard size == 4 || size == 8, format & 1 == 0 else { throw KilnError(.unsupportedModel, "a matrix of elements of \(size) bytes in the format \(format) is not supported") }
    let (rows, columns) = (try long(), try long())
    guard rows >= 0, columns >= 0, let bytes = checkedProduct([rows, columns, size]) else { throw wrong("has a matrix of \(rows) times \(columns)") }
    let range = try take(bytes)
    try marker("EMAT")
    return (size, rows, columns, range)
  }

  /// Goes on to the next place where a node may begin; false when there is none.
  mutating func findNode() -> Bool {
    let marks = ["float", "double", "ENodeList"].map { Array(($0 + "\0").utf16) }
    var place = position
    while place + 12 <= file.bytes.count {
      for mark in marks where place + mark.count * 2 <= file.bytes.count {
        let isMark = mark.indices.allSatisfy { UInt16(littleEndian: file.bytes.loadUnaligned(fromByteOffset: place + $0 * 2, as: UInt16.self)) == mark[$0] }
        if isMark {
          position = place
          return true
        }
      }
      place += 1
    }
    return false
  }
}
