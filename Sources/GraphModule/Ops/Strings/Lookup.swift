import TensorModule

/// A table from strings or integers to anything, as TensorFlow's static hash tables.
package struct Lookup: OpDefinition {
  package static let name = "lookup"
  package static let summary =
    "for each element of x (strings or integers) the element of values [n] at its place in keys [n], the first where it repeats; the element of default, which broadcasts to x, where it is no key, or an error without default"

  package init() {}

  package var attributes: Attributes { [] }

  package init(from reader: inout AttributeReader) throws {}

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 3...4, Self.name)
    let (x, keys, values) = (inputs[0], inputs[1], inputs[2])
    try Expect.that(x.dtype == .string || x.dtype.isInteger, Self.name, "x must be strings or integers, found \(x.message)")
    try Expect.that(
      keys.dtype == x.dtype || keys.dtype.isInteger && x.dtype.isInteger, Self.name, "keys \(keys.message) cannot be those of \(x.message)")
    try Expect.rank(keys, 1...1, Self.name, "the keys")
    try Expect.rank(values, 1...1, Self.name, "the values")
    try Expect.equal(keys.dims[0], values.dims[0], Self.name, "the numbers of keys and values")
    if inputs.count == 4 {
      try Expect.that(inputs[3].dtype == values.dtype, Self.name, "default \(inputs[3].message) must have the dtype of the values, \(values.dtype.name)")
      let dims = try Broadcast.dims(inputs[3].dims, x.dims, Self.name)
      try Expect.that(dims.count == x.rank, Self.name, "default \(inputs[3].message) must broadcast to x \(x.message)")
      for (axis, dim) in dims.enumerated() {
        try Expect.equal(dim, x.dims[axis], Self.name, "axis \(axis) of x and of default")
      }
    }
    return [TensorType(values.dtype, x.dims)]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let shape = try Expect.shape(outputs[0], Self.name)
    let places: [Int]
    if inputs[0].dtype == .string {
      places = try find(inputs[0].texts, inputs[1].texts, strict: inputs.count == 3) { $0.quoted }
    } else {
      places = try find(inputs[0].integers, inputs[1].integers, strict: inputs.count == 3) { "\($0)" }
    }
    let values = inputs[2]
    guard inputs.count == 4 else { return [values.picked(shape, places)] }
    let other = inputs[3].broadcast(to: shape)
    func pick<Element>(_ values: [Element], _ other: [Element]) -> [Element] {
      places.enumerated().map { $1 < 0 ? other[$0] : values[$1] }
    }
    let storage: ReferenceTensor.Storage =
      switch values.storage {
      case .floats: .floats(pick(values.numbers, other.numbers))
      case .integers: .integers(pick(values.integers, other.integers))
      case .strings: .strings(pick(values.texts, other.texts))
      }
    return [ReferenceTensor(values.dtype, shape, storage)]
  }

  /// The place of each element among the keys; -1 for none.
  private func find<Key: Hashable>(_ x: [Key], _ keys: [Key], strict: Bool, _ text: (Key) -> String) throws -> [Int] {
    // A table is made for many elements only.
    if x.count * keys.count <= 4096 {
      return try x.map { try checked(keys.firstIndex(of: $0), $0, strict, text) }
    }
    let table = Dictionary(keys.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    return try x.map { try checked(table[$0], $0, strict, text) }
  }

  private func checked<Key>(_ place: Int?, _ key: Key, _ strict: Bool, _ text: (Key) -> String) throws -> Int {
    if let place { return place }
    guard !strict else { throw KilnError(.badInput, "\(text(key)) is not in the vocabulary, which has no place for unknown values") }
    return -1
  }

  package static var examples: [OpExample] {
    let keys = TensorType(.int64, [3])
    return [
      OpExample(
        Lookup(), [TensorType(.int64, [2, 4]), keys, TensorType(.float32, [3]), TensorType(.float32, [])],
        fixed: [0: [0, 1, 2, 3, 4, 5, 5, 9], 1: [5, 1, 3]]),
      OpExample(
        Lookup(), [TensorType(.int32, [3]), keys, TensorType(.string, [3]), TensorType(.string, [3])],
        fixed: [0: [7, 8, 9], 1: [9, 8, 8]]),
      OpExample(Lookup(), [TensorType(.int64, [3]), keys, keys], fixed: [0: [1, 2, 1], 1: [2, 1, 0]]),
      OpExample(Lookup(), [TensorType(.string, [9]), TensorType(.string, [4]), TensorType(.int64, [4]), TensorType(.int64, [])]),
      OpExample(Lookup(), [TensorType(.string, [1]), TensorType(.string, [0]), TensorType(.int64, [0]), TensorType(.int64, [1])]),
    ]
  }
}
