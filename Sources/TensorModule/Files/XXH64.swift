/// The 64-bit xxHash (XXH64, seed 0), which tells damaged data from sound data at memory speed. Not cryptographic.
package struct XXH64 {
  private static let p1: UInt64 = 0x9E37_79B1_85EB_CA87
  private static let p2: UInt64 = 0xC2B2_AE3D_27D4_EB4F
  private static let p3: UInt64 = 0x1656_67B1_9E37_79F9
  private static let p4: UInt64 = 0x85EB_CA77_C2B2_AE63
  private static let p5: UInt64 = 0x27D4_EB2F_1656_67C5

  /// The hash of the bytes.
  package static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    var hash = XXH64()
    hash.add(bytes)
    return hash.value
  }

  /// The hash as 16 hexadecimal digits.
  package static func text(_ bytes: UnsafeRawBufferPointer) -> String {
    var hash = XXH64()
    hash.add(bytes)
    return hash.text
  }

  private var lanes = (p1 &+ p2, p2, UInt64(0), 0 &- p1)
  /// Bytes that do not fill the 32 of a step yet.
  private var rest: [UInt8] = []
  private var count = 0

  package init() {}

  /// Adds bytes that follow those before.
  package mutating func add(_ bytes: UnsafeRawBufferPointer) {
    count += bytes.count
    var bytes = bytes
    if !rest.isEmpty {
      let missing = min(32 - rest.count, bytes.count)
      rest += bytes[..<missing]
      bytes = UnsafeRawBufferPointer(rebasing: bytes[missing...])
      guard rest.count == 32 else { return }
      rest.withUnsafeBytes { XXH64.steps(&lanes, $0) }
      rest.removeAll()
    }
    let whole = bytes.count / 32 * 32
    XXH64.steps(&lanes, UnsafeRawBufferPointer(rebasing: bytes[..<whole]))
    rest += bytes[whole...]
  }

  /// The hash of all bytes so far.
  package var value: UInt64 {
    let (a, b, c, d) = lanes
    var hash = XXH64.p5
    if count >= 32 {
      hash = XXH64.rotate(a, 1) &+ XXH64.rotate(b, 7) &+ XXH64.rotate(c, 12) &+ XXH64.rotate(d, 18)
      for lane in [a, b, c, d] { hash = (hash ^ XXH64.round(0, lane)) &* XXH64.p1 &+ XXH64.p4 }
    }
    hash = hash &+ UInt64(count)
    return rest.withUnsafeBytes { rest in
      var position = 0
      while position + 8 <= rest.count {
        let word = UInt64(littleEndian: rest.loadUnaligned(fromByteOffset: position, as: UInt64.self))
        hash = XXH64.rotate(hash ^ XXH64.round(0, word), 27) &* XXH64.p1 &+ XXH64.p4
        position += 8
      }
      if position + 4 <= rest.count {
        let half = UInt32(littleEndian: rest.loadUnaligned(fromByteOffset: position, as: UInt32.self))
        hash = XXH64.rotate(hash ^ UInt64(half) &* XXH64.p1, 23) &* XXH64.p2 &+ XXH64.p3
        position += 4
      }
      for byte in rest[position...] { hash = XXH64.rotate(hash ^ UInt64(byte) &* XXH64.p5, 11) &* XXH64.p1 }
      hash = (hash ^ hash >> 33) &* XXH64.p2
      hash = (hash ^ hash >> 29) &* XXH64.p3
      return hash ^ hash >> 32
    }
  }

  /// The hash as 16 hexadecimal digits.
  package var text: String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// Steps over bytes whose count is a multiple of 32.
  private static func steps(_ lanes: inout (UInt64, UInt64, UInt64, UInt64), _ bytes: UnsafeRawBufferPointer) {
    guard let start = bytes.baseAddress else { return }
    func word(_ at: Int) -> UInt64 { UInt64(littleEndian: start.loadUnaligned(fromByteOffset: at, as: UInt64.self)) }
    var (a, b, c, d) = lanes
    for position in stride(from: 0, to: bytes.count, by: 32) {
      a = round(a, word(position))
      b = round(b, word(position + 8))
      c = round(c, word(position + 16))
      d = round(d, word(position + 24))
    }
    lanes = (a, b, c, d)
  }

  @inline(__always)
  private static func rotate(_ value: UInt64, _ by: UInt64) -> UInt64 { value << by | value >> (64 - by) }

  @inline(__always)
  private static func round(_ lane: UInt64, _ word: UInt64) -> UInt64 { rotate(lane &+ word &* p2, 31) &* p1 }
}
