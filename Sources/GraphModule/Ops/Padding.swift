import TensorModule

/// How much a window op pads its spatial axes.
package enum Padding: Hashable, Sendable {
  case valid
  /// As TensorFlow's SAME: result length ceil(n / stride); an odd pad has its larger part at the end.
  case same
  /// Given amounts, one pair for each spatial axis.
  case explicit([Amount])

  package struct Amount: Hashable, Sendable {
    package var low: Int
    package var high: Int
    package init(_ low: Int, _ high: Int) {
      self.low = low
      self.high = high
    }
  }

  /// The result's length along spatial axis `index` for windows of `size` taken `stride` apart.
  package func outputLength(_ length: Dim, size: Int, stride: Int, dilation: Int, axis index: Int) -> Dim {
    let extent = Dim(size - 1) * Dim(dilation) + 1
    switch self {
    case .same: return length.ceilDivided(by: stride)
    case .valid: return (length - extent).floorDivided(by: stride) + 1
    case .explicit(let amounts):
      return (length + Dim(amounts[index].low) + Dim(amounts[index].high) - extent).floorDivided(by: stride) + 1
    }
  }

  /// The amounts along spatial axis `index` for a known length.
  package func amount(_ length: Int, size: Int, stride: Int, dilation: Int, axis index: Int) -> Amount {
    switch self {
    case .valid: return Amount(0, 0)
    case .explicit(let amounts): return amounts[index]
    case .same:
      let output = (length + stride - 1) / stride
      let total = Swift.max(0, (output - 1) * stride + (size - 1) * dilation + 1 - length)
      return Amount(total / 2, total - total / 2)
    }
  }

  var attribute: AttributeValue {
    switch self {
    case .valid: .word("valid")
    case .same: .word("same")
    case .explicit(let amounts): .list(amounts.map { .ints([$0.low, $0.high]) })
    }
  }

  init(attribute: AttributeValue, op: String) throws {
    switch attribute {
    case .word("valid"): self = .valid
    case .word("same"): self = .same
    case .list(let items):
      self = .explicit(
        try items.map {
          guard case .list(let pair) = $0, pair.count == 2, case .int(let low) = pair[0], case .int(let high) = pair[1] else {
            throw KilnError(.badInput, "op '\(op)': padding must be valid, same or pairs of integers")
          }
          return Amount(low, high)
        })
    default: throw KilnError(.badInput, "op '\(op)': padding must be valid, same or pairs of integers")
    }
  }

  /// Throws unless there is one non-negative pair for each of `rank` spatial axes.
  func check(rank: Int, _ op: String) throws {
    if case .explicit(let amounts) = self {
      try Expect.that(
        amounts.count == rank && amounts.allSatisfy { (0...Window.limit).contains($0.low) && (0...Window.limit).contains($0.high) },
        op, "padding must be \(rank) pairs of numbers from 0")
    }
  }
}

/// Checks of window sizes, strides and dilations.
enum Window {
  static let limit = 1 << 24

  static func check(_ values: [Int], rank: Int, _ op: String, _ what: String) throws {
    try Expect.that(values.count == rank, op, "\(what) must have \(rank) numbers, found \(values.count)")
    for value in values { try Expect.that((1...limit).contains(value), op, "\(what) must be 1 or more, found \(value)") }
  }

  /// Throws when a length is a number and negative: the window does not fit.
  static func checkOutput(_ dims: [Dim], _ op: String, _ input: TensorType) throws {
    for dim in dims {
      if let length = dim.fixed, length < 0 || (length == 0 && !input.dims.contains(0)) {
        throw KilnError(.badInput, "op '\(op)': the window does not fit in \(input.message)")
      }
    }
  }
}
