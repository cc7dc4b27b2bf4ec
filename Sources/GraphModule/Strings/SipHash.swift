import TensorModule

/// SipHash-2-4, which TensorFlow's `to_hash_bucket_strong` takes.
package enum SipHash {
  package static func hash(_ string: ByteString, key: (UInt64, UInt64)) -> UInt64 {
    var state = State(key)
    let bytes = string.bytes
    bytes.withUnsafeBytes { memory in
      let whole = memory.count & ~7
      for at in stride(from: 0, to: whole, by: 8) {
        state.absorb(UInt64(littleEndian: memory.loadUnaligned(fromByteOffset: at, as: UInt64.self)))
      }
      var last = UInt64(truncatingIfNeeded: memory.count) << 56
      for at in whole..<memory.count { last |= UInt64(memory[at]) << UInt64(8 * (at - whole)) }
      state.absorb(last)
    }
    return state.finish()
  }

  private struct State {
    var v0: UInt64
    var v1: UInt64
    var v2: UInt64
    var v3: UInt64

    init(_ key: (UInt64, UInt64)) {
      v0 = 0x736F_6D65_7073_6575 ^ key.0
      v1 = 0x646F_7261_6E64_6F6D ^ key.1
      v2 = 0x6C79_6765_6E65_7261 ^ key.0
      v3 = 0x7465_6462_7974_6573 ^ key.1
    }

    mutating func absorb(_ word: UInt64) {
      v3 ^= word
      round()
      round()
      v0 ^= word
    }

    mutating func finish() -> UInt64 {
      v2 ^= 0xFF
      for _ in 0..<4 { round() }
      return v0 ^ v1 ^ v2 ^ v3
    }

    private mutating func round() {
      v0 = v0 &+ v1
      v2 = v2 &+ v3
      v1 = State.rotate(v1, 13) ^ v0
      v3 = State.rotate(v3, 16) ^ v2
      v0 = State.rotate(v0, 32)
      v2 = v2 &+ v1
      v0 = v0 &+ v3
      v1 = State.rotate(v1, 17) ^ v2
      v3 = State.rotate(v3, 21) ^ v0
      v2 = State.rotate(v2, 32)
    }

    private static func rotate(_ value: UInt64, _ by: UInt64) -> UInt64 { value << by | value >> (64 - by) }
  }
}
