import TensorModule

/// One operation of the graph: a value type that holds its attributes and knows everything about itself.
///
/// Adding an op touches its own file and one line of `OpCatalog`; the conformance suite then tests it.
package protocol OpDefinition: Sendable {
  /// The name in the text form: `conv`, `softmax`. Lower case, underscores.
  static var name: String { get }
  /// One sentence, with the operands in order and their shapes.
  static var summary: String { get }
  /// Small cases for the conformance suite: odd sizes, size 0 and 1, every attribute value.
  static var examples: [OpExample] { get }

  /// All attributes, in a fixed order; `init(from:)` reads them back.
  var attributes: Attributes { get }
  init(from reader: inout AttributeReader) throws

  /// The types of the results.
  ///
  /// - Throws: `KilnError` (`badInput`) that names the operand and why. Must not trap, whatever the types.
  func infer(_ inputs: [TensorType]) throws -> [TensorType]

  /// The results in Double (integers in Int64): plain loops, the oracle of every backend.
  ///
  /// - Parameter outputs: what `infer` says for the shapes of `inputs`.
  func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor]

  /// Arithmetic work for operands of fixed shapes; a multiply-add counts as two.
  func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int
}

extension OpDefinition {
  /// One operation for each element of the results.
  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int {
    outputs.reduce(0) { $0 + ($1.elementCount.fixed ?? 0) }
  }

  /// The results by `reference`, or at once when they have no elements: a tensor without elements may still have an axis
  /// too long to walk along.
  package func evaluated(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let shapes = outputs.compactMap(\.shape)
    guard shapes.count == outputs.count, shapes.allSatisfy({ $0.contains(0) }) else { return try reference(inputs, outputs) }
    return zip(outputs, shapes).map { type, shape in
      ReferenceTensor(type.dtype, shape, type.dtype == .string ? .strings([]) : type.dtype.isFloat ? .floats([]) : .integers([]))
    }
  }

  /// The op's name, from an existential.
  package var opName: String { Self.name }

  /// Same op and same attributes.
  package func isEqual(to other: any OpDefinition) -> Bool {
    guard opName == other.opName else { return false }
    let a = attributes
    let b = other.attributes
    return a.count == b.count && zip(a, b).allSatisfy { $0.name == $1.name && $0.value == $1.value }
  }
}

/// A case of the conformance suite: an op and operand types; values are drawn from a seed.
package struct OpExample: Sendable {
  package var op: any OpDefinition
  package var inputs: [TensorType]
  /// The values to draw: standard normal when nil; else uniform in the range (integers, positive numbers).
  package var range: ClosedRange<Double>?
  /// Fixed values of some operands (indices, boundaries), by operand index.
  package var fixed: [Int: [Double]]
  /// Fixed texts of some operands, by operand index.
  package var texts: [Int: [ByteString]]

  package init(
    _ op: any OpDefinition, _ inputs: [TensorType], range: ClosedRange<Double>? = nil, fixed: [Int: [Double]] = [:],
    texts: [Int: [ByteString]] = [:]
  ) {
    self.op = op
    self.inputs = inputs
    self.range = range
    self.fixed = fixed
    self.texts = texts
  }
}

/// Helpers for `infer`.
package enum Expect {
  /// Throws unless there are `range` operands.
  package static func count(_ inputs: [TensorType], _ range: ClosedRange<Int>, _ op: String) throws {
    guard range.contains(inputs.count) else {
      let wanted = range.lowerBound == range.upperBound ? "\(range.lowerBound)" : "\(range)"
      throw KilnError(.badInput, "op '\(op)' takes \(wanted) operands, found \(inputs.count)")
    }
  }

  package static func rank(_ type: TensorType, _ range: ClosedRange<Int>, _ op: String, _ operand: String) throws {
    guard range.contains(type.rank) else {
      let wanted = range.lowerBound == range.upperBound ? "\(range.lowerBound)" : "\(range)"
      throw KilnError(.badInput, "op '\(op)': \(operand) must have rank \(wanted), found \(type.message)")
    }
  }

  package static func float(_ type: TensorType, _ op: String, _ operand: String) throws {
    guard type.dtype.isFloat else {
      throw KilnError(.badInput, "op '\(op)': \(operand) must be a float tensor, found \(type.message)")
    }
  }

  /// Throws when two dims are both numbers and differ. A symbol may turn out equal: it is checked again when bound.
  package static func equal(_ a: Dim, _ b: Dim, _ op: String, _ what: @autoclosure () -> String) throws {
    DimEqualities.note(a, b)
    if let x = a.fixed, let y = b.fixed, x != y {
      throw KilnError(.badInput, "op '\(op)': \(what()) must be equal, found \(x) and \(y)")
    }
  }

  /// Throws unless the condition holds.
  package static func that(_ condition: Bool, _ op: String, _ message: @autoclosure () -> String) throws {
    guard condition else { throw KilnError(.badInput, "op '\(op)': \(message())") }
  }

  /// The axis counted from the front.
  package static func axis(_ axis: Int, of type: TensorType, _ op: String) throws -> Int {
    guard let positive = type.axis(axis) else {
      throw KilnError(.badInput, "op '\(op)': axis \(axis) is out of range for \(type.message)")
    }
    return positive
  }
}

/// NumPy broadcasting of dims.
package enum Broadcast {
  /// The dims that two operands broadcast to. A symbol against a number other than 1 is taken to be that number, two
  /// different symbols to be equal; both are checked again when the symbols are bound.
  package static func dims(_ left: [Dim], _ right: [Dim], _ op: String) throws -> [Dim] {
    var out: [Dim] = []
    let rank = max(left.count, right.count)
    for axis in 0..<rank {
      let a = axis < rank - left.count ? 1 : left[axis - (rank - left.count)]
      let b = axis < rank - right.count ? 1 : right[axis - (rank - right.count)]
      if a.fixed == 1 { out.append(b) } else if b.fixed == 1 || a == b { out.append(a) } else {
        try Expect.equal(a, b, op, "operands \(TensorType(.float32, left).message) and \(TensorType(.float32, right).message) do not broadcast: dims")
        out.append(a.fixed != nil ? a : b)
      }
    }
    return out
  }

  package static func dims(_ all: [[Dim]], _ op: String) throws -> [Dim] {
    try all.dropFirst().reduce(all.first ?? []) { try dims($0, $1, op) }
  }
}
