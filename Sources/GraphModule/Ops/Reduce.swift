import TensorModule

/// All elements along some axes made one.
package struct Reduce: OpDefinition {
  package static let name = "reduce"
  package static let summary =
    "sum, mean, prod, max, min, any, all or logsumexp of x over the axes (ascending); integers wrap, NaN wins in max and min"

  package enum Kind: String, Sendable, CaseIterable {
    case sum, mean, prod, max, min, any, all, logsumexp
  }

  package var kind: Kind
  package var axes: [Int]
  /// Whether reduced axes stay, with length 1.
  package var keepDims: Bool

  package init(_ kind: Kind, axes: [Int], keepDims: Bool = false) {
    self.kind = kind
    self.axes = axes
    self.keepDims = keepDims
  }

  package var attributes: Attributes {
    [("kind", .word(kind.rawValue)), ("axes", .ints(axes)), ("keep_dims", .bool(keepDims))]
  }

  package init(from reader: inout AttributeReader) throws {
    kind = try reader.choice("kind")
    axes = try reader.ints("axes")
    keepDims = try reader.bool("keep_dims")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    let x = inputs[0]
    switch kind {
    case .any, .all: try Expect.that(x.dtype == .bool, Self.name, "\(kind.rawValue) takes bool, found \(x.message)")
    case .mean, .logsumexp: try Expect.float(x, Self.name, "the operand of \(kind.rawValue)")
    default: try Expect.number(x, Self.name, "the operand of \(kind.rawValue)")
    }
    try Axes.check(axes, of: x, Self.name)
    let dims = x.dims.enumerated().compactMap { axes.contains($0) ? (keepDims ? 1 : nil) : $1 }
    return [TensorType(x.dtype, dims)]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let shape = try Expect.shape(outputs[0], Self.name)
    let x = inputs[0]
    let targets = targets(x.shape)
    switch x.storage {
    case .floats(let values):
      return [ReferenceTensor(x.dtype, shape, .floats(floats(values, targets, shape.elementCount)))]
    case .integers(let values):
      var results = [Int64](repeating: start(x.dtype), count: shape.elementCount)
      for (value, target) in zip(values, targets) { results[target] = combined(results[target], value) }
      return [try .wrapping(results, x.dtype, shape)]
    case .strings: throw KilnError(.internal, "reduce of strings")
    }
  }

  /// For each element of x, the index of the result that it goes into.
  private func targets(_ shape: Shape) -> [Int] {
    let kept = shape.enumerated().map { axes.contains($0) ? 1 : $1 }.rowMajorStrides
    if shape.contains(0) { return [] }
    var targets = [0]
    for axis in shape.indices {
      let stride = axes.contains(axis) ? 0 : kept[axis]
      var next: [Int] = []
      next.reserveCapacity(targets.count * shape[axis])
      for base in targets { for position in 0..<shape[axis] { next.append(base + position * stride) } }
      targets = next
    }
    return targets
  }

  private func floats(_ values: [Double], _ targets: [Int], _ count: Int) -> [Double] {
    func fold(_ first: Double, _ combine: (Double, Double) -> Double) -> [Double] {
      var results = [Double](repeating: first, count: count)
      for (value, target) in zip(values, targets) { results[target] = combine(results[target], value) }
      return results
    }
    func largest() -> [Double] { fold(-.infinity) { $0.isNaN || $0 > $1 ? $0 : $1 } }
    switch kind {
    case .sum: return fold(0, +)
    case .mean:
      let length = Double(count == 0 ? 1 : values.count / count)
      return fold(0, +).map { $0 / length }
    case .prod: return fold(1, *)
    case .max: return largest()
    case .min: return fold(.infinity) { $0.isNaN || $0 < $1 ? $0 : $1 }
    case .logsumexp:
      let highest = largest()
      var sums = [Double](repeating: 0, count: count)
      for (value, target) in zip(values, targets) where highest[target].isFinite {
        sums[target] += C.exp(value - highest[target])
      }
      return zip(sums, highest).map { $1.isFinite ? C.log($0) + $1 : $1 }
    case .any, .all: return []
    }
  }

  private func start(_ dtype: DType) -> Int64 {
    switch kind {
    case .prod, .all: 1
    case .max: dtype.integerRange?.lowerBound ?? 0
    case .min: dtype.integerRange?.upperBound ?? 0
    default: 0
    }
  }

  private func combined(_ a: Int64, _ b: Int64) -> Int64 {
    switch kind {
    case .sum: a &+ b
    case .prod: a &* b
    case .max: Swift.max(a, b)
    case .min: Swift.min(a, b)
    case .any: a | b
    case .all: a & b
    case .mean, .logsumexp: 0
    }
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int { inputs[0].elementCount.fixed ?? 0 }

  package static var examples: [OpExample] {
    var list: [OpExample] = []
    for kind in Kind.allCases {
      let logical = kind == .any || kind == .all
      let range: ClosedRange<Double>? = logical ? 0...1 : nil
      let shapes: [([Dim], [Int])] = [
        ([7], [0]), ([2, 3, 5], [1]), ([2, 3, 5], [2]), ([2, 3, 33], [0, 2]), ([1, 4, 5, 17], [1, 2]), ([], []),
        ([3, 2], []),
        ([0, 3], [1]), ([3, 0], [1]), ([2, 1, 3], [0, 1, 2]),
      ]
      for (index, (dims, axes)) in shapes.enumerated() {
        list.append(
          OpExample(
            Reduce(kind, axes: axes, keepDims: index % 2 == 1), [TensorType(logical ? .bool : .float32, dims)],
            range: range))
      }
      if !logical && kind != .mean && kind != .logsumexp {
        for dtype in [DType.int8, .uint8, .int16, .int32, .int64] {
          list.append(
            OpExample(Reduce(kind, axes: [1]), [TensorType(dtype, [2, 9])], range: dtype == .uint8 ? 0...60 : -20...20))
        }
      }
    }
    return list
  }
}
