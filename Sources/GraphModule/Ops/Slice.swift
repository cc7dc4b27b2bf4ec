import TensorModule

/// A part of a tensor, as NumPy's basic slicing takes it.
package struct Slice: OpDefinition {
  package static let name = "slice"
  package static let summary =
    "x[start:end:step, …], one range for each axis with NumPy's rules: negative numbers count from the end, ends are clamped, `none` is open"

  /// start:end:step of one axis.
  package struct Range: Hashable, Sendable {
    package var start: Int?
    package var end: Int?
    package var step: Int

    package init(start: Int? = nil, end: Int? = nil, step: Int = 1) {
      self.start = start
      self.end = end
      self.step = step
    }

    /// The whole axis.
    package static let all = Range()

    /// The first position and the number of positions for a known length.
    package func resolved(_ length: Int) -> (start: Int, count: Int) {
      func place(_ value: Int, _ low: Int, _ high: Int) -> Int {
        let clamped = Dim.clamp(value)
        return Swift.min(Swift.max(clamped < 0 ? clamped + length : clamped, low), high)
      }
      if step > 0 {
        let first = start.map { place($0, 0, length) } ?? 0
        let last = end.map { place($0, 0, length) } ?? length
        return (first, first < last ? (last - first - 1) / step + 1 : 0)
      }
      let first = start.map { place($0, -1, length - 1) } ?? length - 1
      let last = end.map { place($0, -1, length - 1) } ?? -1
      return (first, first > last && step < 0 ? (first - last - 1) / -Dim.clamp(step) + 1 : 0)
    }

    /// The number of positions; a symbolic length is taken to be long enough, which is checked when it is bound.
    func count(_ length: Dim) -> Dim {
      if let fixed = length.fixed { return Dim(resolved(Swift.max(fixed, 0)).count) }
      func place(_ value: Int) -> Dim { value < 0 ? length + Dim(value) : Dim(value) }
      let distance =
        step > 0
        ? (end.map(place) ?? length) - (start.map(place) ?? 0)
        : (start.map(place) ?? length - 1) - (end.map(place) ?? -1)
      let count = distance.ceilDivided(by: Swift.abs(Dim.clamp(step)))
      return count.fixed.map { Dim(Swift.max($0, 0)) } ?? count
    }
  }

  package var ranges: [Range]

  package init(_ ranges: [Range]) { self.ranges = ranges }

  package var attributes: Attributes {
    func number(_ value: Int?) -> AttributeValue { value.map { .int($0) } ?? .word("none") }
    return [("ranges", .list(ranges.map { .list([number($0.start), number($0.end), .int($0.step)]) }))]
  }

  package init(from reader: inout AttributeReader) throws {
    func number(_ value: AttributeValue) throws -> Int? {
      switch value {
      case .int(let number): return number
      case .word("none"): return nil
      default: throw KilnError(.badInput, "op 'slice': a range must be [start, end, step] with integers or none")
      }
    }
    ranges = try reader.list("ranges").map {
      guard case .list(let items) = $0, items.count == 3, case .int(let step) = items[2] else {
        throw KilnError(.badInput, "op 'slice': a range must be [start, end, step]")
      }
      return Range(start: try number(items[0]), end: try number(items[1]), step: step)
    }
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    let x = inputs[0]
    try Expect.that(ranges.count == x.rank, Self.name, "\(ranges.count) ranges for \(x.message)")
    for range in ranges { try Expect.that(range.step != 0, Self.name, "a step must not be 0") }
    return [TensorType(x.dtype, zip(ranges, x.dims).map { $0.count($1) })]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let shape = try Expect.shape(outputs[0], Self.name)
    let strides = inputs[0].shape.rowMajorStrides
    let offsets = ranges.indices.map { axis in
      let (start, count) = ranges[axis].resolved(inputs[0].shape[axis])
      return (0..<count).map { (start + $0 * ranges[axis].step) * strides[axis] }
    }
    return [inputs[0].arranged(shape, offsets)]
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int { 0 }

  package static var examples: [OpExample] {
    func r(_ start: Int?, _ end: Int?, _ step: Int = 1) -> Range { Range(start: start, end: end, step: step) }
    func f(_ dims: [Dim]) -> TensorType { TensorType(.float32, dims) }
    return [
      OpExample(Slice([r(1, 4)]), [f([7])]),
      OpExample(Slice([r(nil, nil, -1)]), [f([7])]),
      OpExample(Slice([.all, r(1, -1), r(1, -1), .all]), [f([2, 6, 5, 3])]),
      OpExample(Slice([.all, r(nil, nil, 2), r(-1, -6, -2)]), [f([1, 9, 17])]),
      OpExample(Slice([r(-100, 100, 3), r(5, 2)]), [f([4, 6])]),
      OpExample(Slice([r(0, 0), .all]), [TensorType(.int64, [4, 3])], range: -9...9),
      OpExample(Slice([.all, r(2, nil)]), [f([0, 5])]),
      OpExample(Slice([r(1, nil), r(-1, nil)]), [TensorType(.string, [3, 2])]),
      OpExample(Slice([r(3, nil, -2)]), [TensorType(.bool, [6])], range: 0...1),
      OpExample(Slice([]), [f([])]),
    ]
  }
}
