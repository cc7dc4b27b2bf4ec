extension TFGraph {
  /// Whether the bytes begin like a GraphDef: its first field is a node with a name and an op, or a version.
  static func isGraph(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var reader = WireReader(bytes)
    for _ in 0..<8 where !reader.isAtEnd {
      guard let (number, wire) = try? reader.tag(), let payload = try? reader.payload(wire: wire) else { return false }
      switch (number, wire) {
      case (1, 2): return isNode(bytes, payload)
      case (2, 2), (4, 2), (3, 0): continue
      default: return false
      }
    }
    return false
  }

  private static func isNode(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> Bool {
    var reader = WireReader(bytes, range)
    var (hasName, hasOp) = (false, false)
    while !reader.isAtEnd {
      guard let (number, wire) = try? reader.tag(), let payload = try? reader.payload(wire: wire), wire == 2, (1...7).contains(number) else { return false }
      let text = bytes[payload]
      let isName = !text.isEmpty && text.prefix(1024).allSatisfy { $0 >= 0x20 && $0 != 0x7F }
      if number == 1 { hasName = isName }
      if number == 2 { hasOp = isName && text.allSatisfy { UInt8(ascii: "0") <= $0 && $0 <= UInt8(ascii: "z") } }
    }
    return hasName && hasOp
  }
}
