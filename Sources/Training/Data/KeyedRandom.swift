/// Random numbers that a key decides: what an epoch, a sample or a layer draws does not depend on what was drawn before it,
/// nor on which thread asks.
///
/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators) from a state that mixes the parts of the key.
package struct KeyedRandom: Sendable {
  private var state: UInt64

  /// - Parameters:
  ///   - seed: the user's.
  ///   - key: what the numbers are for, then where: an epoch, a sample.
  package init(seed: UInt64, _ key: UInt64...) {
    state = KeyedRandom.mix(seed &+ KeyedRandom.step)
    for part in key { state = KeyedRandom.mix(state ^ KeyedRandom.mix(part &+ KeyedRandom.step)) }
  }

  private static let step: UInt64 = 0x9E37_79B9_7F4A_7C15

  private static func mix(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }

  package mutating func next() -> UInt64 {
    state &+= KeyedRandom.step
    return KeyedRandom.mix(state)
  }

  /// A number in 0..<1 with 53 random bits.
  package mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// A number between two bounds.
  package mutating func uniform(_ low: Double, _ high: Double) -> Double { low + (high - low) * unit() }

  /// An integer in 0..<bound, all equally likely.
  package mutating func below(_ bound: Int) -> Int {
    let bound = UInt64(bound)
    // Values under this are in an incomplete round of `bound` products.
    let reject = (0 &- bound) % bound
    while true {
      let product = next().multipliedFullWidth(by: bound)
      if product.low >= reject { return Int(product.high) }
    }
  }

  /// Puts elements in a random order (Fisher and Yates).
  package mutating func shuffle<Element>(_ elements: inout [Element]) {
    for last in elements.indices.dropFirst().reversed() { elements.swapAt(last, below(last + 1)) }
  }
}
