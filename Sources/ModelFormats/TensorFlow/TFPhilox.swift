import GraphModule
import TensorModule

/// TensorFlow's counter-based generator (Philox 4x32, ten rounds) and the distributions that it draws by it.
struct TFPhilox {
  private var counter: SIMD4<UInt32>
  private let key: SIMD2<UInt32>

  init(key: SIMD2<UInt32>, counter: SIMD4<UInt32>) {
    self.key = key
    self.counter = counter
  }

  /// The key and counter that TensorFlow's stateless ops make of two seeds.
  static func scrambled(_ seeds: (Int64, Int64)) -> (key: SIMD2<UInt32>, counter: SIMD4<UInt32>) {
    func halves(_ seed: Int64) -> (UInt32, UInt32) {
      let bits = UInt64(bitPattern: seed)
      return (UInt32(truncatingIfNeeded: bits), UInt32(truncatingIfNeeded: bits >> 32))
    }
    let (a, b) = (halves(seeds.0), halves(seeds.1))
    var generator = TFPhilox(key: SIMD2(0x3ec8_f720, 0x0246_1e29), counter: SIMD4(a.0, a.1, b.0, b.1))
    let mix = generator.next()
    return (SIMD2(mix[0], mix[1]), SIMD4(0, 0, mix[2], mix[3]))
  }

  /// Moves on by that many draws of four.
  mutating func skip(_ count: UInt64) {
    let low = (UInt64(counter[1]) << 32 | UInt64(counter[0])).addingReportingOverflow(count)
    (counter[0], counter[1]) = (UInt32(truncatingIfNeeded: low.partialValue), UInt32(truncatingIfNeeded: low.partialValue >> 32))
    guard low.overflow else { return }
    let high = (UInt64(counter[3]) << 32 | UInt64(counter[2])) &+ 1
    (counter[2], counter[3]) = (UInt32(truncatingIfNeeded: high), UInt32(truncatingIfNeeded: high >> 32))
  }

  /// Four words.
  mutating func next() -> SIMD4<UInt32> {
    var (words, key) = (counter, key)
    for _ in 0..<10 {
      let (first, second) = (UInt64(words[0]) &* 0xd251_1f53, UInt64(words[2]) &* 0xcd9e_8d57)
      words = SIMD4(
        UInt32(truncatingIfNeeded: second >> 32) ^ words[1] ^ key[0], UInt32(truncatingIfNeeded: second),
        UInt32(truncatingIfNeeded: first >> 32) ^ words[3] ^ key[1], UInt32(truncatingIfNeeded: first))
      key &+= SIMD2(0x9e37_79b9, 0xbb67_ae85)
    }
    skip(1)
    return words
  }

  // MARK: Distributions

  /// In 0..<1 by the bits of the significand.
  static func uniform(_ word: UInt32) -> Float { Float(bitPattern: 127 << 23 | word & 0x7f_ffff) - 1 }

  static func uniform(_ low: UInt32, _ high: UInt32) -> Double {
    Double(bitPattern: 1023 << 52 | (UInt64(low) & 0xf_ffff) << 32 | UInt64(high)) - 1
  }

  static func uniformHalf(_ word: UInt32) -> Double {
    HalfPrecision.double(float16Bits: UInt16(15 << 10 | word & 0x3ff)) - 1
  }

  static func uniformBFloat(_ word: UInt32) -> Double {
    Double(HalfPrecision.float(bfloat16Bits: UInt16(127 << 7 | word & 0x7f))) - 1
  }

  /// Two normal numbers by Box and Muller's method, in single precision.
  static func normal(_ first: UInt32, _ second: UInt32) -> [Double] {
    let u = Swift.max(uniform(first), 1e-7)
    let angle = Float(2 * Double.pi) * uniform(second)
    let size = Float((-2 * Float(ScalarFunction.log.evaluate(Double(u)))).squareRoot())
    return [ScalarFunction.sin, .cos].map { Double(Float($0.evaluate(Double(angle))) * size) }
  }

  /// The same in double precision, of four words.
  static func normal(_ words: SIMD4<UInt32>) -> [Double] {
    let u = Swift.max(uniform(words[0], words[1]), 1e-7)
    let angle = 2 * Double.pi * uniform(words[2], words[3])
    let size = (-2 * ScalarFunction.log.evaluate(u)).squareRoot()
    return [ScalarFunction.sin, .cos].map { $0.evaluate(angle) * size }
  }

  /// Normal numbers nearer to 0 than 2, of the `group`-th group: each group draws in a region of its own, of 256 words for
  /// each number, as often as it takes.
  static func truncatedNormal(_ start: TFPhilox, group: Int, double: Bool) -> [Double] {
    let size = double ? 2 : 4
    var generator = start
    generator.skip(UInt64(group * size * 256 / 4))
    var numbers: [Double] = []
    var words: [UInt32] = []
    func word() -> UInt32 {
      if words.isEmpty {
        let drawn = generator.next()
        words = [drawn[3], drawn[2], drawn[1], drawn[0]]
      }
      return words.removeLast()
    }
    // Each number is near enough nineteen times in twenty.
    for _ in 0..<10_000 where numbers.count < size {
      let pair = double ? normal(SIMD4(word(), word(), word(), word())) : normal(word(), word())
      numbers += pair.filter { $0.magnitude < 2 }
    }
    return Array(numbers.prefix(size))
  }
}
