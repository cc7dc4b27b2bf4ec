import TensorModule

/// Features crossed and hashed to numbers, as in `tf.sparse.cross_hashed` of one value a feature.
package struct HashCross: OpDefinition {
  package static let name = "hash_cross"
  package static let summary =
    "a hash of the operands' elements together, from 0 to buckets - 1 (int64); operands are strings (their fingerprints) or integers, of one shape"

  package var buckets: Int
  /// What the chain of hashes begins with.
  package var seed: Int

  /// TensorFlow's default for `hash_key`.
  package static let defaultSeed = 0xDECAFCAFFE

  package init(buckets: Int, seed: Int = HashCross.defaultSeed) {
    self.buckets = buckets
    self.seed = seed
  }

  package var attributes: Attributes { [("buckets", .int(buckets)), ("seed", .int(seed))] }

  package init(from reader: inout AttributeReader) throws {
    buckets = try reader.int("buckets")
    seed = try reader.int("seed")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1024, Self.name)
    try Expect.that(buckets >= 1, Self.name, "buckets must be 1 or more, found \(buckets)")
    var dims = inputs[0].dims
    for type in inputs {
      try Expect.that(type.dtype == .string || type.dtype.isInteger, Self.name, "operands must be strings or integers, found \(type.message)")
      try Expect.that(type.rank == dims.count, Self.name, "operands must have one shape, found \(inputs[0].message) and \(type.message)")
      for axis in dims.indices {
        try Expect.equal(dims[axis], type.dims[axis], Self.name, "axis \(axis) of the operands")
        dims[axis] = Axes.merged(dims[axis], type.dims[axis])
      }
    }
    return [TensorType(.int64, dims)]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let shape = try Expect.shape(outputs[0], Self.name)
    var hashes = [UInt64](repeating: UInt64(truncatingIfNeeded: seed), count: shape.elementCount)
    for input in inputs {
      let features =
        input.dtype == .string ? input.texts.map(FarmHash.fingerprint) : input.integers.map { UInt64(bitPattern: $0) }
      for (index, feature) in features.enumerated() where index < hashes.count {
        hashes[index] = FarmHash.joined(hashes[index], feature)
      }
    }
    return [ReferenceTensor(.int64, shape, .integers(hashes.map { Int64(truncatingIfNeeded: $0 % UInt64(buckets)) }))]
  }

  package static var examples: [OpExample] {
    let s = TensorType(.string, [3, 1])
    return [
      OpExample(HashCross(buckets: 10), [s, TensorType(.int64, [3, 1])]),
      OpExample(HashCross(buckets: 1000, seed: 1), [TensorType(.int32, [4])]),
      OpExample(HashCross(buckets: 5), [s, s, s]), OpExample(HashCross(buckets: 5), [TensorType(.string, [0])]),
    ]
  }
}
