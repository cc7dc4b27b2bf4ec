import TensorModule

/// Running sums or products along an axis.
package struct Cumulative: OpDefinition {
  package static let name = "cumulative"
  package static let summary =
    "the running sum, product or log of the sum of exponentials of x along the axis; exclusive leaves the element itself out, reverse runs from the end"

  package enum Kind: String, Sendable, CaseIterable {
    case sum, prod
    /// log Σ eˣ, of floats.
    case logSumExp = "log_sum_exp"
  }

  package var kind: Kind
  /// Counted from the end when negative.
  package var axis: Int
  package var exclusive: Bool
  package var reverse: Bool

  package init(_ kind: Kind, axis: Int, exclusive: Bool = false, reverse: Bool = false) {
    self.kind = kind
    self.axis = axis
    self.exclusive = exclusive
    self.reverse = reverse
  }

  package var attributes: Attributes {
    [
      ("kind", .word(kind.rawValue)), ("axis", .int(axis)), ("exclusive", .bool(exclusive)),
      ("reverse", .bool(reverse)),
    ]
  }

  package init(from reader: inout AttributeReader) throws {
    kind = try reader.choice("kind")
    axis = try reader.int("axis")
    exclusive = try reader.bool("exclusive")
    reverse = try reader.bool("reverse")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    if kind == .logSumExp { try Expect.float(inputs[0], Self.name, "the operand") } else { try Expect.number(inputs[0], Self.name, "the operand") }
    _ = try Expect.axis(axis, of: inputs[0], Self.name)
    return inputs
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let x = inputs[0]
    let (outer, length, inner) = Axes.split(x.shape, at: axis < 0 ? axis + x.shape.count : axis)
    func run<Number>(_ values: [Number], _ first: Number, _ combine: (Number, Number) -> Number) -> [Number] {
      var results = values
      for row in 0..<outer {
        for column in 0..<inner {
          var total = first
          for step in 0..<length {
            let at = (row * length + (reverse ? length - 1 - step : step)) * inner + column
            let next = combine(total, values[at])
            results[at] = exclusive ? total : next
            total = next
          }
        }
      }
      return results
    }
    switch x.storage {
    case .floats(let values):
      let results =
        switch kind {
        case .sum: run(values, 0, +)
        case .prod: run(values, 1, *)
        case .logSumExp: run(values, -.infinity, Self.logSum)
        }
      return [ReferenceTensor(x.dtype, x.shape, .floats(results))]
    case .integers(let values):
      return [try .wrapping(kind == .sum ? run(values, 0, &+) : run(values, 1, &*), x.dtype, x.shape)]
    case .strings: throw KilnError(.internal, "cumulative of strings")
    }
  }

  /// log(eᵃ + eᵇ).
  private static func logSum(_ a: Double, _ b: Double) -> Double {
    let (low, high) = (Swift.min(a, b), Swift.max(a, b))
    if a.isNaN || b.isNaN { return .nan }
    return low == -.infinity || high == .infinity ? high : high + C.log1p(C.exp(low - high))
  }

  package static var examples: [OpExample] {
    var list: [OpExample] = []
    for kind in Kind.allCases {
      for (exclusive, reverse) in [(false, false), (true, false), (false, true), (true, true)] {
        func op(_ axis: Int) -> Cumulative { Cumulative(kind, axis: axis, exclusive: exclusive, reverse: reverse) }
        list += [
          OpExample(op(0), [TensorType(.float32, [7])]),
          OpExample(op(1), [TensorType(.float32, [2, 5, 3])]),
          OpExample(op(-1), [TensorType(kind == .logSumExp ? .float64 : .int32, [3, 9])], range: -3...3),
          OpExample(op(0), [TensorType(.float32, [0, 2])]),
          OpExample(op(0), [TensorType(.float32, [1])]),
        ]
      }
    }
    return list
  }
}
