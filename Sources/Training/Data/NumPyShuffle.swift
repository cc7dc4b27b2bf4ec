/// The order that `numpy.random.RandomState(seed).shuffle` gives a list: Mersenne Twister, Fisher and Yates with masked
/// rejection. `image_dataset_from_directory` orders files by it before it splits them.
package struct NumPyShuffle {
  private var state: [UInt32]
  private var position = 624

  package init(seed: UInt32) {
    state = [seed]
    for index in 1..<624 {
      let last = state[index - 1]
      state.append(1_812_433_253 &* (last ^ last >> 30) &+ UInt32(index))
    }
  }

  /// 0..<count in the shuffled order.
  package static func order(count: Int, seed: UInt32) -> [Int] {
    var generator = NumPyShuffle(seed: seed)
    var order = Array(0..<count)
    for last in order.indices.dropFirst().reversed() { order.swapAt(last, generator.upTo(last)) }
    return order
  }

  /// An integer in 0…most.
  private mutating func upTo(_ most: Int) -> Int {
    var mask = UInt64(most)
    for shift in [1, 2, 4, 8, 16, 32] as [UInt64] { mask |= mask >> shift }
    while true {
      let value = most <= Int(UInt32.max) ? UInt64(next()) : UInt64(next()) << 32 | UInt64(next())
      if value & mask <= UInt64(most) { return Int(value & mask) }
    }
  }

  private mutating func next() -> UInt32 {
    if position == 624 { refill() }
    var value = state[position]
    position += 1
    value ^= value >> 11
    value ^= value << 7 & 0x9D2C_5680
    value ^= value << 15 & 0xEFC6_0000
    return value ^ value >> 18
  }

  private mutating func refill() {
    for index in 0..<624 {
      let joined = state[index] & 0x8000_0000 | state[(index + 1) % 624] & 0x7FFF_FFFF
      state[index] = state[(index + 397) % 624] ^ joined >> 1 ^ (joined & 1 == 1 ? 0x9908_B0DF : 0)
    }
    position = 0
  }
}
