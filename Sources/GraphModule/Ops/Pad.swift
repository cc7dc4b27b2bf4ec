import TensorModule

/// A tensor made longer at the ends of its axes.
package struct Pad: OpDefinition {
  package static let name = "pad"
  package static let summary =
    "x with low[i] elements put before and high[i] after axis i: a constant, or reflected (the edge once), symmetric (the edge twice) or the edge repeated"

  package enum Mode: String, Sendable, CaseIterable {
    case constant, reflect, symmetric, edge
  }

  package var mode: Mode
  package var low: [Int]
  package var high: [Int]
  /// What `constant` puts in; strings are padded with empty ones.
  package var value: Double

  package init(_ mode: Mode = .constant, low: [Int], high: [Int], value: Double = 0) {
    self.mode = mode
    self.low = low
    self.high = high
    self.value = value
  }

  package var attributes: Attributes {
    [("mode", .word(mode.rawValue)), ("low", .ints(low)), ("high", .ints(high)), ("value", .float(value))]
  }

  package init(from reader: inout AttributeReader) throws {
    mode = try reader.choice("mode")
    low = try reader.ints("low")
    high = try reader.ints("high")
    value = try reader.float("value")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    let x = inputs[0]
    try Expect.that(
      low.count == x.rank && high.count == x.rank, Self.name,
      "\(low.count) low and \(high.count) high amounts for \(x.message)")
    for amount in low + high {
      try Expect.that((0...Window.limit).contains(amount), Self.name, "amounts must be 0 or more, found \(amount)")
    }
    if x.dtype == .string {
      try Expect.that(value == 0, Self.name, "strings are padded with empty strings only")
    } else {
      try Expect.holds(x.dtype, value, Self.name, "the value")
    }
    for (index, dim) in x.dims.enumerated() {
      guard let length = dim.fixed, mode != .constant else { continue }
      let most = mode == .reflect ? max(length - 1, 0) : mode == .symmetric ? length : length > 0 ? Window.limit : 0
      try Expect.that(
        low[index] <= most && high[index] <= most, Self.name,
        "\(mode.rawValue) padding of axis \(index) of \(x.message) is at most \(most)")
    }
    return [TensorType(x.dtype, x.dims.indices.map { x.dims[$0] + Dim(low[$0]) + Dim(high[$0]) })]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let shape = try Expect.shape(outputs[0], Self.name)
    let from = inputs[0].shape
    let strides = from.rowMajorStrides
    let offsets = shape.indices.map { axis in
      (0..<shape[axis]).map { position in
        let source = self.source(position - low[axis], from[axis])
        return source < 0 ? -1 : source * strides[axis]
      }
    }
    return [inputs[0].arranged(shape, offsets, fill: value)]
  }

  /// The position that a position in or around an axis of `length` takes its element from, or -1.
  func source(_ position: Int, _ length: Int) -> Int {
    if (0..<length).contains(position) { return position }
    switch mode {
    case .constant: return -1
    case .reflect: return position < 0 ? -position : 2 * (length - 1) - position
    case .symmetric: return position < 0 ? -position - 1 : 2 * length - 1 - position
    case .edge: return position < 0 ? 0 : length - 1
    }
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int { 0 }

  package static var examples: [OpExample] {
    func f(_ dims: [Dim]) -> TensorType { TensorType(.float32, dims) }
    var list = Mode.allCases.flatMap { mode in
      [
        OpExample(Pad(mode, low: [2], high: [1]), [f([5])]),
        OpExample(Pad(mode, low: [0, 1, 2, 0], high: [0, 2, 0, 0]), [f([2, 5, 3, 7])]),
        OpExample(Pad(mode, low: [0, 1], high: [0, 1]), [f([0, 3])]),
        OpExample(Pad(mode, low: [1, 0], high: [2, 0]), [TensorType(.int32, [3, 2])], range: -9...9),
        OpExample(Pad(mode, low: [], high: []), [f([])]),
      ]
    }
    list += [
      OpExample(Pad(low: [1, 1], high: [0, 3], value: -1.5), [f([4, 17])]),
      OpExample(Pad(low: [2], high: [0], value: -.infinity), [f([3])]),
      OpExample(Pad(low: [2], high: [3]), [f([0])]),
      OpExample(Pad(.edge, low: [4], high: [3]), [f([1])]),
      OpExample(Pad(low: [1], high: [1]), [TensorType(.string, [2])]),
      OpExample(Pad(low: [1], high: [1], value: 1), [TensorType(.bool, [3])], range: 0...1),
      OpExample(Pad(low: [1], high: [1], value: 255), [TensorType(.uint8, [3])], range: 0...9),
    ]
    return list
  }
}
