#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// SplitMix64 from a printed seed; KILN_TEST_SEED takes the seed back.
package struct TestRandom: RandomNumberGenerator {
  private var state: UInt64

  package init(named name: String) {
    let given = getenv("KILN_TEST_SEED").flatMap { UInt64(String(cString: $0)) }
    state = given ?? SystemRandomNumberGenerator.seed()
    print("\(name): KILN_TEST_SEED=\(state)")
  }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }
}

extension SystemRandomNumberGenerator {
  static func seed() -> UInt64 {
    var generator = SystemRandomNumberGenerator()
    return generator.next()
  }
}
