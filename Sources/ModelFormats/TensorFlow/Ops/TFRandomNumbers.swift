import GraphModule
import TensorModule

extension TFOpCatalog {
  /// Random numbers that only the seeds in the graph decide: they are drawn when the model is imported.
  static let randomNumbers = Family(
    "Random numbers of known seeds", [:],
    values: [
      "StatelessRandomUniform": { [try drawn($0, try seeded($0), .uniform)] },
      "StatelessRandomNormal": { [try drawn($0, try seeded($0), .normal)] },
      "StatelessTruncatedNormal": { [try drawn($0, try seeded($0), .truncatedNormal)] },
      "StatelessRandomUniformInt": { [try drawn($0, try seeded($0), try integers($0, 2))] },
      "StatelessRandomUniformFullInt": { [try drawn($0, try seeded($0), .integers(nil))] },
      "StatelessRandomUniformV2": { [try drawn($0, try keyed($0), .uniform)] },
      "StatelessRandomNormalV2": { [try drawn($0, try keyed($0), .normal)] },
      "StatelessTruncatedNormalV2": { [try drawn($0, try keyed($0), .truncatedNormal)] },
      "StatelessRandomUniformIntV2": { [try drawn($0, try keyed($0), try integers($0, 4))] },
      "StatelessRandomUniformFullIntV2": { [try drawn($0, try keyed($0), .integers(nil))] },
      "StatelessRandomGetAlg": { call in [.constant(try Tensor(integers: [1], dtype: .int32, shape: []), call.builder, name: call.name)] },
      "StatelessRandomGetKeyCounter": { try keyAndCounter($0) },
      "StatelessRandomGetKeyCounterAlg": { call in
        try keyAndCounter(call) + [.constant(try Tensor(integers: [1], dtype: .int32, shape: []), call.builder, name: "\(call.name):2")]
      },
    ])

  private enum Distribution {
    case uniform, normal, truncatedNormal
    /// In a range, or of all integers of the type.
    case integers(Range<Int64>?)
  }

  /// A generator of an op that takes two seeds.
  private static func seeded(_ call: TFCall) throws -> TFPhilox {
    let (key, counter) = TFPhilox.scrambled(try seeds(call, 1))
    return TFPhilox(key: key, counter: counter)
  }

  private static func seeds(_ call: TFCall, _ index: Int) throws -> (Int64, Int64) {
    let seeds = try call.constant(index, "a seed")
    guard seeds.count == 2, seeds.dtype.isInteger else { throw call.wrong("needs two seeds, found \(seeds.count)") }
    return (seeds.integers[0], seeds.integers[1])
  }

  /// The key (one number of 64 bits) and the counter (two) as their bits in signed numbers.
  private static func keyAndCounter(_ call: TFCall) throws -> [TFValue] {
    let (key, counter) = TFPhilox.scrambled(try seeds(call, 0))
    func joined(_ low: UInt32, _ high: UInt32) -> Int64 { Int64(bitPattern: UInt64(high) << 32 | UInt64(low)) }
    return [
      .constant(try Tensor(integers: [joined(key[0], key[1])], dtype: .int64, shape: [1]), call.builder, name: call.name),
      .constant(
        try Tensor(integers: [joined(counter[0], counter[1]), joined(counter[2], counter[3])], dtype: .int64, shape: [2]), call.builder,
        name: "\(call.name):1"),
    ]
  }

  private static func keyed(_ call: TFCall) throws -> TFPhilox {
    let (key, counter) = (try call.constant(1, "a key").integers, try call.constant(2, "a counter").integers)
    // 3 lets TensorFlow choose, which takes this one on processors.
    let algorithm = try call.integer(3, "an algorithm")
    guard algorithm == 1 || algorithm == 3 else { throw call.unsupported("the generator \(algorithm) (1 is Philox)") }
    guard key.count == 1, counter.count == 2 else { throw call.wrong("needs a key and a counter of two numbers") }
    func halves(_ value: Int64) -> (UInt32, UInt32) {
      let bits = UInt64(bitPattern: value)
      return (UInt32(truncatingIfNeeded: bits), UInt32(truncatingIfNeeded: bits >> 32))
    }
    let (k, a, b) = (halves(key[0]), halves(counter[0]), halves(counter[1]))
    return TFPhilox(key: SIMD2(k.0, k.1), counter: SIMD4(a.0, a.1, b.0, b.1))
  }

  private static func integers(_ call: TFCall, _ index: Int) throws -> Distribution {
    let (low, high) = (try call.constant(index, "a minimum").integers, try call.constant(index + 1, "a maximum").integers)
    guard low.count == 1, high.count == 1, low[0] < high[0] else { throw call.wrong("needs a minimum below the maximum") }
    return .integers(low[0]..<high[0])
  }

  private static func drawn(_ call: TFCall, _ start: TFPhilox, _ distribution: Distribution) throws -> TFValue {
    let shape = try call.integers(0, "a shape of random numbers")
    guard let count = checkedProduct(shape), shape.allSatisfy({ $0 >= 0 }), count <= 1 << 24 else { throw call.wrong("its shape \(shape.shapeText) is out of range") }
    let type = try call.dataType("dtype")
    if type?.number == 23 || type?.number == 22 { throw call.unsupported("dtype \(type?.name ?? "")") }
    var fallback = DType.float32
    if case .integers = distribution { fallback = .int32 }
    let dtype = try call.dtype("dtype", fallback)
    var generator = start
    var group = 0
    var (floats, integers): ([Double], [Int64]) = ([], [])
    while floats.count + integers.count < count {
      let words = generator.next()
      switch distribution {
      case .uniform:
        switch dtype {
        case .float64: floats += [TFPhilox.uniform(words[0], words[1]), TFPhilox.uniform(words[2], words[3])]
        case .float16: floats += (0..<4).map { TFPhilox.uniformHalf(words[$0]) }
        case .bfloat16: floats += (0..<4).map { TFPhilox.uniformBFloat(words[$0]) }
        default: floats += (0..<4).map { Double(TFPhilox.uniform(words[$0])) }
        }
      case .normal:
        floats += dtype == .float64 ? TFPhilox.normal(words) : TFPhilox.normal(words[0], words[1]) + TFPhilox.normal(words[2], words[3])
      case .truncatedNormal:
        floats += TFPhilox.truncatedNormal(start, group: group, double: dtype == .float64)
        group += 1
      case .integers(let range):
        let wide = dtype == .int64
        let bits: [UInt64] =
          wide
          ? [UInt64(words[1]) << 32 | UInt64(words[0]), UInt64(words[3]) << 32 | UInt64(words[2])] : (0..<4).map { UInt64(words[$0]) }
        integers += bits.map { bits in
          guard let range else { return wide ? Int64(bitPattern: bits) : Int64(Int32(truncatingIfNeeded: Int64(bitPattern: bits))) }
          let span = UInt64(bitPattern: range.upperBound &- range.lowerBound)
          return range.lowerBound &+ Int64(bitPattern: bits % span)
        }
      }
    }
    let tensor =
      dtype.isFloat
      ? try Tensor(converting: Array(floats.prefix(count)), to: dtype, shape: shape)
      : try Tensor(integers: Array(integers.prefix(count)), dtype: dtype, shape: shape)
    return .constant(tensor, call.builder, name: call.name)
  }
}
