import TensorModule

/// Random numbers that are a function of a seed and a counter, so that any part of them can be made at any time.
package struct RandomNumbers: OpDefinition, SymbolicAttributes {
  package static let name = "random"
  package static let summary =
    "random numbers of the given dims: uniform from 0 to below 1, or standard normal; those of one `counter` (a scalar int64), `seed` and `stream` are always the same"

  package enum Kind: String, Sendable, CaseIterable {
    case uniform, normal
  }

  package var kind: Kind
  package var dims: [Dim]
  package var dtype: DType
  package var seed: Int
  package var stream: Int

  package init(_ kind: Kind, dims: [Dim], dtype: DType = .float32, seed: Int, stream: Int) {
    self.kind = kind
    self.dims = dims
    self.dtype = dtype
    self.seed = seed
    self.stream = stream
  }

  package var attributes: Attributes {
    [
      ("kind", .word(kind.rawValue)), ("dims", .dims(dims)), ("dtype", .word(dtype.name)), ("seed", .int(seed)),
      ("stream", .int(stream)),
    ]
  }

  package init(from reader: inout AttributeReader) throws {
    kind = try reader.choice("kind")
    dims = try reader.dims("dims")
    dtype = try reader.dtype("dtype")
    seed = try reader.int("seed")
    stream = try reader.int("stream")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    try Expect.that(inputs[0].dtype == .int64 && inputs[0].rank == 0, Self.name, "the counter must be int64[], found \(inputs[0].message)")
    let result = TensorType(dtype, dims)
    try Expect.float(result, Self.name, "the result")
    try Expect.rank(result, 0...maximumRank, Self.name, "the result")
    try Expect.that(dims.allSatisfy { ($0.fixed ?? 0) >= 0 }, Self.name, "dims must not be negative, found \(result.message)")
    return [result]
  }

  package func substituting(_ bindings: [String: Int]) -> RandomNumbers {
    var copy = self
    copy.dims = dims.map { $0.substituting(bindings) }
    return copy
  }

  /// What seed and stream come to.
  package var streamKey: UInt64 { RandomNumbers.mix(RandomNumbers.mix(UInt64(bitPattern: Int64(seed))) ^ UInt64(bitPattern: Int64(stream))) }

  /// What the numbers of one counter are made from.
  package func key(_ counter: Int64) -> UInt64 { RandomNumbers.mix(streamKey ^ UInt64(bitPattern: counter)) }

  /// The number at a flat index: 24 bits of a uniform one, or Box and Muller's sum of two.
  @inline(__always)
  package static func number(_ kind: Kind, _ key: UInt64, _ index: Int) -> Double {
    let bits = mix(key &+ 0x9E37_79B9_7F4A_7C15 &* UInt64(truncatingIfNeeded: index &+ 1))
    let first = Double(bits >> 40) * 0x1p-24
    guard kind == .normal else { return first }
    let second = Double((bits >> 16) & 0xFF_FFFF) * 0x1p-24
    return (-2 * C.log(1 - first)).squareRoot() * C.cos(2 * Double.pi * second)
  }

  /// SplitMix64's finish.
  @inline(__always)
  package static func mix(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let shape = try Expect.shape(outputs[0], Self.name)
    let key = key(inputs[0].integers[0])
    return [ReferenceTensor(dtype, shape, .floats((0..<shape.elementCount).map { Self.number(kind, key, $0) }))]
  }

  package static var examples: [OpExample] {
    let counter = TensorType(.int64, [])
    return [
      OpExample(RandomNumbers(.uniform, dims: [3, 17], seed: 1, stream: 0), [counter], fixed: [0: [5]]),
      OpExample(RandomNumbers(.normal, dims: [2, 3, 5], seed: -7, stream: 3), [counter], fixed: [0: [-2]]),
      OpExample(RandomNumbers(.uniform, dims: [1], dtype: .float64, seed: 0, stream: 0), [counter], fixed: [0: [0]]),
      OpExample(RandomNumbers(.normal, dims: [0, 4], seed: 1, stream: 1), [counter], fixed: [0: [1]]),
    ]
  }
}
