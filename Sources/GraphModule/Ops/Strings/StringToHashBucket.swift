import TensorModule

/// Strings hashed to numbers, as in `tf.strings.to_hash_bucket_fast`, `to_hash_bucket_strong` and TensorFlow 1's `string_to_hash_bucket`.
package struct StringToHashBucket: OpDefinition {
  package static let name = "string_to_hash_bucket"
  package static let summary =
    "a hash of each text of x, from 0 to buckets - 1 (int64): FarmHash's 64-bit fingerprint, SipHash-2-4 where key has its two numbers, MurmurHash64A where it has one, its seed"

  package var buckets: Int
  /// Empty, SipHash's key or MurmurHash's seed.
  package var key: [Int]

  /// The seed of TensorFlow's `string_to_hash_bucket`.
  package static let legacySeed = 0xDECAFCAFFE

  package init(buckets: Int, key: [Int] = []) {
    self.buckets = buckets
    self.key = key
  }

  package var attributes: Attributes { [("buckets", .int(buckets)), ("key", .ints(key))] }

  package init(from reader: inout AttributeReader) throws {
    buckets = try reader.int("buckets")
    key = try reader.ints("key")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    try Expect.strings(inputs[0], Self.name, "the operand")
    try Expect.that(buckets >= 1, Self.name, "buckets must be 1 or more, found \(buckets)")
    try Expect.that(key.count <= 2, Self.name, "key must be at most two integers, found \(key.shapeText)")
    return [TensorType(.int64, inputs[0].dims)]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let keys = key.map { UInt64(truncatingIfNeeded: $0) }
    let values = inputs[0].texts.map { text in
      let hash =
        keys.count == 2
        ? SipHash.hash(text, key: (keys[0], keys[1]))
        : keys.count == 1 ? MurmurHash.hash(text.bytes, seed: keys[0]) : FarmHash.fingerprint(text)
      return Int64(truncatingIfNeeded: hash % UInt64(buckets))
    }
    return [ReferenceTensor(.int64, inputs[0].shape, .integers(values))]
  }

  package static var examples: [OpExample] {
    [
      OpExample(StringToHashBucket(buckets: 7), [TensorType(.string, [3, 5])]),
      OpExample(StringToHashBucket(buckets: 1 << 40, key: [1, -2]), [TensorType(.string, [4])]),
      OpExample(StringToHashBucket(buckets: 100, key: [StringToHashBucket.legacySeed]), [TensorType(.string, [2, 2])]),
      OpExample(StringToHashBucket(buckets: 1), [TensorType(.string, [])]),
      OpExample(StringToHashBucket(buckets: 9), [TensorType(.string, [0])]),
    ]
  }
}
