import TensorModule

/// Parts of a tensor replaced by, or combined with, updates at places given by index, as `tf.tensor_scatter_nd_update`.
package struct Scatter: OpDefinition {
  package static let name = "scatter"
  package static let summary =
    "x with updates [picks..., rest...] put at, or combined with, x[index] for each index of indices [picks..., n] over the first n axes of x; in order, so that the last of equal places wins"

  package enum Kind: String, Sendable, CaseIterable {
    case update, add, mul, min, max
  }

  /// What an index outside x does.
  package enum Outside: String, Sendable, CaseIterable {
    case error
    /// Its update is left out.
    case skip
  }

  package var kind: Kind
  package var outside: Outside

  package init(_ kind: Kind, outside: Outside = .error) {
    self.kind = kind
    self.outside = outside
  }

  package var attributes: Attributes { [("kind", .word(kind.rawValue)), ("outside", .word(outside.rawValue))] }

  package init(from reader: inout AttributeReader) throws {
    kind = try reader.choice("kind")
    outside = try reader.choice("outside")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 3...3, Self.name)
    let (x, indices, updates) = (inputs[0], inputs[1], inputs[2])
    try Expect.that(
      updates.dtype == x.dtype, Self.name, "updates must be \(x.dtype.name), found \(updates.dtype.name)")
    if kind != .update { try Expect.number(x, Self.name, "x") }
    try Expect.that(indices.dtype.isInteger, Self.name, "indices must be integers, found \(indices.message)")
    try Expect.rank(indices, 1...maximumRank, Self.name, "indices")
    guard let depth = indices.dims[indices.rank - 1].fixed else {
      throw KilnError(.badInput, "op '\(Self.name)': the last axis of \(indices.message) must be known")
    }
    try Expect.that((0...x.rank).contains(depth), Self.name, "indices \(indices.message) do not fit \(x.message)")
    let wanted = indices.dims.dropLast() + x.dims[depth...]
    try Expect.that(
      updates.rank == wanted.count, Self.name, "updates must have rank \(wanted.count), found \(updates.message)")
    for (a, b) in zip(updates.dims, wanted) {
      try Expect.equal(a, b, Self.name, "the dims of updates \(updates.message), indices and x \(x.message)")
    }
    return [x]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let shape = inputs[0].shape
    let indices = inputs[1].integers
    let depth = inputs[1].shape.last ?? 0
    let inner = shape[depth...].reduce(1, *)
    let strides = shape.rowMajorStrides
    let places = inputs[1].shape.dropLast().reduce(1, *)
    var targets: [Int?] = []
    targets.reserveCapacity(places)
    for place in 0..<places {
      var offset: Int? = 0
      for axis in 0..<depth {
        let index = indices[place * depth + axis]
        guard index >= 0, index < shape[axis] else {
          if outside == .error {
            throw KilnError(.badInput, "op '\(Self.name)': index \(index) is not in 0..<\(shape[axis])")
          }
          offset = nil
          break
        }
        offset = offset.map { $0 + Int(index) * strides[axis] }
      }
      targets.append(offset)
    }
    func apply<Element>(_ x: [Element], _ updates: [Element], _ join: (Element, Element) -> Element) -> [Element] {
      var result = x
      for (place, target) in targets.enumerated() {
        guard let target else { continue }
        for column in 0..<inner {
          result[target + column] = join(result[target + column], updates[place * inner + column])
        }
      }
      return result
    }
    switch (inputs[0].storage, inputs[2].storage) {
    case (.floats(let x), .floats(let updates)):
      let join: (Double, Double) -> Double =
        switch kind {
        case .update: { $1 }
        case .add: { $0 + $1 }
        case .mul: { $0 * $1 }
        case .min: { ScalarFunction.min.evaluate($0, $1) }
        case .max: { ScalarFunction.max.evaluate($0, $1) }
        }
      return [ReferenceTensor(inputs[0].dtype, shape, .floats(apply(x, updates, join)))]
    case (.integers(let x), .integers(let updates)):
      let join: (Int64, Int64) -> Int64 =
        switch kind {
        case .update: { $1 }
        case .add: { $0 &+ $1 }
        case .mul: { $0 &* $1 }
        case .min: { Swift.min($0, $1) }
        case .max: { Swift.max($0, $1) }
        }
      return [try .wrapping(apply(x, updates, join), inputs[0].dtype, shape)]
    case (.strings(let x), .strings(let updates)):
      return [ReferenceTensor(inputs[0].dtype, shape, .strings(apply(x, updates) { $1 }))]
    default: throw KilnError(.internal, "op '\(Self.name)': x and updates differ in kind")
    }
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int { inputs[2].elementCount.fixed ?? 0 }

  package static var examples: [OpExample] {
    func f(_ dims: [Dim]) -> TensorType { TensorType(.float32, dims) }
    func i(_ dims: [Dim]) -> TensorType { TensorType(.int32, dims) }
    return Kind.allCases.flatMap { kind in
      [
        OpExample(Scatter(kind), [f([5, 3]), i([2, 1]), f([2, 3])], fixed: [1: [4, 0]]),
        OpExample(Scatter(kind), [f([5, 3]), i([3, 2]), f([3])], fixed: [1: [4, 0, 1, 2, 4, 0]]),
        OpExample(Scatter(kind, outside: .skip), [f([3]), i([4, 1]), f([4])], fixed: [1: [-1, 2, 2, 3]]),
        OpExample(
          Scatter(kind), [TensorType(.int32, [2, 3, 17]), TensorType(.int64, [1, 2, 2]), TensorType(.int32, [1, 2, 17])],
          range: -9...9, fixed: [1: [1, 2, 0, 1]]),
      ]
    } + [
      OpExample(Scatter(.update), [f([2, 3]), i([0]), f([2, 3])], fixed: [1: []]),
      OpExample(Scatter(.add), [f([3, 2]), i([0, 1]), f([0, 2])], fixed: [1: []]),
      OpExample(Scatter(.update), [f([1]), i([1, 1]), f([1])], fixed: [1: [0]]),
    ]
  }
}
