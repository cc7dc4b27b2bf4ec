/// SHA-1 (FIPS 180-4), which ONNX uses as the checksum of files; it tells damage, not forgery.
enum SHA1 {
  /// The digest as 40 hexadecimal digits in lower case.
  static func hexadecimal(_ bytes: UnsafeRawBufferPointer) -> String {
    var state: [UInt32] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0]
    let whole = bytes.count / 64 * 64
    var words = [UInt32](repeating: 0, count: 80)
    for start in stride(from: 0, to: whole, by: 64) {
      block(UnsafeRawBufferPointer(rebasing: bytes[start..<start + 64]), &words, &state)
    }
    var rest = Array(bytes[whole...]) + [0x80]
    while rest.count % 64 != 56 { rest.append(0) }
    let length = UInt64(bytes.count) &* 8
    for shift in stride(from: 56, through: 0, by: -8) { rest.append(UInt8(truncatingIfNeeded: length >> UInt64(shift))) }
    rest.withUnsafeBytes { tail in
      for start in stride(from: 0, to: tail.count, by: 64) {
        block(UnsafeRawBufferPointer(rebasing: tail[start..<start + 64]), &words, &state)
      }
    }
    return state.map { word in
      let text = String(word, radix: 16)
      return String(repeating: "0", count: 8 - text.count) + text
    }.joined()
  }

  private static func block(_ bytes: UnsafeRawBufferPointer, _ words: inout [UInt32], _ state: inout [UInt32]) {
    for index in 0..<16 { words[index] = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self)) }
    for index in 16..<80 { words[index] = turned(words[index - 3] ^ words[index - 8] ^ words[index - 14] ^ words[index - 16], 1) }
    var (a, b, c, d, e) = (state[0], state[1], state[2], state[3], state[4])
    for index in 0..<80 {
      let (mix, constant): (UInt32, UInt32) =
        switch index / 20 {
        case 0: ((b & c) | (~b & d), 0x5A82_7999)
        case 1: (b ^ c ^ d, 0x6ED9_EBA1)
        case 2: ((b & c) | (b & d) | (c & d), 0x8F1B_BCDC)
        default: (b ^ c ^ d, 0xCA62_C1D6)
        }
      let next = turned(a, 5) &+ mix &+ e &+ constant &+ words[index]
      (a, b, c, d, e) = (next, a, turned(b, 30), c, d)
    }
    for (index, value) in [a, b, c, d, e].enumerated() { state[index] = state[index] &+ value }
  }

  private static func turned(_ value: UInt32, _ by: UInt32) -> UInt32 { value << by | value >> (32 - by) }
}
