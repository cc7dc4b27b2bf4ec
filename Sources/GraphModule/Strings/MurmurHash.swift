/// MurmurHash64A, the hash of TensorFlow 1's `string_to_hash_bucket` (Austin Appleby, 2008).
enum MurmurHash {
  private static let multiplier: UInt64 = 0xC6A4_A793_5BD1_E995

  static func hash(_ bytes: [UInt8], seed: UInt64) -> UInt64 {
    var hash = seed ^ (UInt64(bytes.count) &* multiplier)
    var rest = bytes[...]
    while rest.count >= 8 {
      var block = number(rest.prefix(8)) &* multiplier
      block ^= block >> 47
      hash = (hash ^ (block &* multiplier)) &* multiplier
      rest = rest.dropFirst(8)
    }
    if !rest.isEmpty { hash = (hash ^ number(rest)) &* multiplier }
    hash = (hash ^ (hash >> 47)) &* multiplier
    return hash ^ (hash >> 47)
  }

  /// Up to eight bytes, the low ones first.
  private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }
}
