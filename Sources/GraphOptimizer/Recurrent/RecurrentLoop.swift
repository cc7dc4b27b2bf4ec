import GraphModule
import TensorModule

/// A loop over the slices of a sequence whose body is a recurrent cell: what it is as an `RNN`.
struct RecurrentLoop {
  /// What a result of the loop is.
  enum Result {
    case h
    case c
    /// All outputs, time first.
    case sequence
    /// The last output, [batch, units], or with an axis of length 1 before.
    case last(isRow: Bool)
  }

  var cell: RecurrentCell
  var results: [Result]
  var mask: RecurrentMask?
  var zeroOutputForMask = false
  /// The operands of the loop that are the input, the mask, the lengths and the initial states.
  var input: Int
  var maskOperand: Int?
  var h: Int
  var c: Int?

  private let loop: Loop

  /// Nil when the loop is something else.
  ///
  /// - Parameter isZero: whether an operand of the loop is all zeros.
  init?(_ loop: Loop, isZero: (Int) -> Bool) {
    guard loop.sliced > 0, loop.carried > 0, loop.maxTrips == nil else { return nil }
    let parts = RecurrentBody(loop)
    let (reader, graph, carried, slicedInputs, outputs) = (parts.reader, loop.body, parts.carried, parts.sliced, parts.outputs)
    self.loop = loop
    func masked(_ id: ValueID) -> (mask: RecurrentMask, new: ValueID, other: ValueID)? { parts.masked(id) }
    guard let found = parts.cells().first, let place = slicedInputs.firstIndex(of: found.cell.input) else { return nil }
    cell = found.cell
    h = found.h
    c = found.c
    mask = found.mask
    input = loop.carried + place
    let newH = parts.next(found.h).value
    let isInitialZero = isZero(found.h)

    /// How an output that is not a state treats masked steps; nil when it is no output of the cell.
    var zeros: Bool?
    func isOutput(_ id: ValueID, held: Int?) -> Bool {
      guard let mask = found.mask else { return id == newH }
      if id == outputs[found.h] {
        // The state is what was put out before only when it began with zeros.
        guard isInitialZero, zeros != true else { return false }
        zeros = false
        return true
      }
      guard let parts = masked(id), parts.mask == mask, parts.new == newH else { return false }
      if let held, parts.other == carried[held], isZero(held) {
        guard zeros != true else { return false }
        zeros = false
        return true
      }
      if let other = carried.firstIndex(of: parts.other), other != found.h, other != found.c, isZero(other), outputs[other] == id {
        guard zeros != true else { return false }
        zeros = false
        return true
      }
      let isNothing = reader.number(parts.other) == 0 || graph.inputs.firstIndex(of: parts.other).map { $0 > loop.carried + loop.sliced && isZero($0 - 1) } ?? false
      guard isNothing, zeros != false else { return false }
      zeros = true
      return true
    }
    var results: [Result] = []
    for index in carried.indices {
      if index == found.h {
        results.append(.h)
      } else if index == found.c {
        results.append(.c)
      } else if let node = reader.node(outputs[index]), node.op is SetItem, reader.plain(node.inputs[0]) == carried[index],
        graph.type(of: carried[index]).dims.first?.fixed == 1, reader.number(node.inputs[1]) == 0, isOutput(reader.plain(node.inputs[2]), held: nil)
      {
        results.append(.last(isRow: true))
      } else if isZero(index), isOutput(outputs[index], held: index) {
        results.append(.last(isRow: false))
      } else {
        return nil
      }
    }
    for index in loop.carried..<outputs.count {
      guard isOutput(outputs[index], held: nil) else { return nil }
      results.append(.sequence)
    }
    self.results = results
    zeroOutputForMask = zeros ?? false
    if let mask {
      switch mask.source {
      case .slice(let id): maskOperand = slicedInputs.firstIndex(of: id).map { loop.carried + $0 }
      case .lengths(let id): maskOperand = graph.inputs.firstIndex(of: id).map { $0 - 1 }
      }
      if maskOperand == nil { return nil }
    }
    if loop.condition != nil, !endsWithLengths { return nil }
  }

  /// The operand of the loop that the condition compares the number of the iteration with; nil when it does something else.
  var limitOperand: Int? { RecurrentLoop.limitOperand(loop) }

  static func limitOperand(_ loop: Loop) -> Int? {
    guard let condition = loop.condition, let output = condition.outputs.first else { return nil }
    let reader = BodyReader(condition)
    guard let node = reader.node(output.value), (node.op as? Elementwise)?.function == .less else { return nil }
    var counter = reader.plain(node.inputs[0])
    while let cast = reader.node(counter), cast.op is Cast { counter = reader.plain(cast.inputs[0]) }
    guard counter == condition.inputs.first, let place = condition.inputs.firstIndex(of: reader.plain(node.inputs[1])), place > loop.carried else { return nil }
    return place - 1 + loop.sliced
  }

  /// Whether the condition may be the one that ends the loop after the longest sample.
  private var endsWithLengths: Bool {
    guard case .lengths? = mask?.source, limitOperand != nil else { return false }
    // Rows that are not reached are zeros.
    return zeroOutputForMask || !results.contains { if case .sequence = $0 { true } else { false } }
  }
}
