import TensorModule

/// FarmHash's 64-bit fingerprint (`farmhashna::Hash64`), which TensorFlow's `to_hash_bucket_fast` takes.
package enum FarmHash {
  private static let k0: UInt64 = 0xC3A5_C85C_97CB_3127
  private static let k1: UInt64 = 0xB492_B66F_BE98_F273
  private static let k2: UInt64 = 0x9AE1_6A3B_2F90_404F

  package static func fingerprint(_ string: ByteString) -> UInt64 {
    string.bytes.withUnsafeBytes { fingerprint($0) }
  }

  package static func fingerprint(_ s: UnsafeRawBufferPointer) -> UInt64 {
    switch s.count {
    case ...16: upTo16(s)
    case ...32: upTo32(s)
    case ...64: upTo64(s)
    default: long(s)
    }
  }

  /// Joins two fingerprints (`FingerprintCat64`), as crossed features do.
  package static func joined(_ first: UInt64, _ second: UInt64) -> UInt64 {
    let mul: UInt64 = 0xC6A4_A793_5BD1_E995
    var result = first ^ mul
    result ^= shiftMix(second &* mul) &* mul
    result = result &* mul
    result = shiftMix(result) &* mul
    return shiftMix(result)
  }

  private static func word(_ s: UnsafeRawBufferPointer, _ at: Int) -> UInt64 {
    UInt64(littleEndian: s.loadUnaligned(fromByteOffset: at, as: UInt64.self))
  }

  private static func half(_ s: UnsafeRawBufferPointer, _ at: Int) -> UInt64 {
    UInt64(UInt32(littleEndian: s.loadUnaligned(fromByteOffset: at, as: UInt32.self)))
  }

  private static func rotate(_ value: UInt64, _ by: UInt64) -> UInt64 { value >> by | value << (64 - by) }

  private static func shiftMix(_ value: UInt64) -> UInt64 { value ^ value >> 47 }

  private static func mix(_ u: UInt64, _ v: UInt64, _ mul: UInt64) -> UInt64 {
    let a = shiftMix((u ^ v) &* mul)
    return shiftMix((v ^ a) &* mul) &* mul
  }

  private static func upTo16(_ s: UnsafeRawBufferPointer) -> UInt64 {
    let count = UInt64(s.count)
    let mul = k2 &+ count &* 2
    if s.count >= 8 {
      let a = word(s, 0) &+ k2
      let b = word(s, s.count - 8)
      return mix(rotate(b, 37) &* mul &+ a, (rotate(a, 25) &+ b) &* mul, mul)
    }
    if s.count >= 4 { return mix(count &+ half(s, 0) << 3, half(s, s.count - 4), mul) }
    guard s.count > 0 else { return k2 }
    let y = UInt64(s[0]) &+ UInt64(s[s.count >> 1]) << 8
    let z = count &+ UInt64(s[s.count - 1]) << 2
    return shiftMix(y &* k2 ^ z &* k0) &* k2
  }

  private static func upTo32(_ s: UnsafeRawBufferPointer) -> UInt64 {
    let mul = k2 &+ UInt64(s.count) &* 2
    let a = word(s, 0) &* k1
    let b = word(s, 8)
    let c = word(s, s.count - 8) &* mul
    let d = word(s, s.count - 16) &* k2
    return mix(rotate(a &+ b, 43) &+ rotate(c, 30) &+ d, a &+ rotate(b &+ k2, 18) &+ c, mul)
  }

  private static func upTo64(_ s: UnsafeRawBufferPointer) -> UInt64 {
    let mul = k2 &+ UInt64(s.count) &* 2
    let a = word(s, 0) &* k2
    let b = word(s, 8)
    let c = word(s, s.count - 8) &* mul
    let d = word(s, s.count - 16) &* k2
    let y = rotate(a &+ b, 43) &+ rotate(c, 30) &+ d
    let z = mix(y, a &+ rotate(b &+ k2, 18) &+ c, mul)
    let e = word(s, 16) &* mul
    let f = word(s, 24)
    let g = (y &+ word(s, s.count - 32)) &* mul
    let h = (z &+ word(s, s.count - 24)) &* mul
    return mix(rotate(e &+ f, 43) &+ rotate(g, 30) &+ h, e &+ rotate(f &+ a, 18) &+ g, mul)
  }

  private static func weak(_ s: UnsafeRawBufferPointer, _ at: Int, _ first: UInt64, _ second: UInt64) -> (UInt64, UInt64) {
    var a = first &+ word(s, at)
    var b = rotate(second &+ a &+ word(s, at + 24), 21)
    let c = a
    a = a &+ word(s, at + 8) &+ word(s, at + 16)
    b = b &+ rotate(a, 44)
    return (a &+ word(s, at + 24), b &+ c)
  }

  private static func long(_ s: UnsafeRawBufferPointer) -> UInt64 {
    let seed: UInt64 = 81
    var x = seed &* k2 &+ word(s, 0)
    var y = seed &* k1 &+ 113
    var z = shiftMix(y &* k2 &+ 113) &* k2
    var v: (UInt64, UInt64) = (0, 0)
    var w: (UInt64, UInt64) = (0, 0)
    func round(_ at: Int, _ mul: UInt64, _ factor: UInt64) {
      x = rotate(x &+ y &+ v.0 &+ word(s, at + 8), 37) &* mul
      y = rotate(y &+ v.1 &+ word(s, at + 48), 42) &* mul
      x ^= w.1 &* factor
      y = y &+ v.0 &* factor &+ word(s, at + 40)
      z = rotate(z &+ w.0, 33) &* mul
      v = weak(s, at, v.1 &* mul, x &+ w.0)
      w = weak(s, at + 32, z &+ w.1, y &+ word(s, at + 16))
      swap(&z, &x)
    }
    let end = (s.count - 1) / 64 * 64
    for at in stride(from: 0, to: end, by: 64) { round(at, k1, 1) }
    let mul = k1 &+ (z & 0xFF) << 1
    let rest = UInt64((s.count - 1) & 63)
    w.0 = w.0 &+ rest
    v.0 = v.0 &+ w.0
    w.0 = w.0 &+ v.0
    round(s.count - 64, mul, 9)
    return mix(mix(v.0, w.0, mul) &+ shiftMix(y) &* k0 &+ z, mix(v.1, w.1, mul) &+ x, mul)
  }
}
