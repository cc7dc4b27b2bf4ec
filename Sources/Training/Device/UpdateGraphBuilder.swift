import GraphModule
import TensorModule

/// Writes an `UpdateGraph`. Variables that nothing tells apart are one piece: then a rule is a few passes over all weights.
struct UpdateGraphBuilder {
  typealias Value = UpdateGraph.Value

  let form: UpdateForm
  private let tape = GradientTape(Graph(name: "update"))
  private var inputs: [Value] = []
  private var known: [Value: GraphTerm] = [:]
  private var outputs: [(value: Value, term: GraphTerm)] = []

  var configuration: OptimizerConfiguration { form.configuration }

  /// Variables that are updated alike, side by side.
  struct Piece {
    var variables: Range<Int>
    var range: Range<Int>
    var hasRows: Bool
    /// Its gradient, and what is clipped of it.
    var gradient: GraphTerm
    var scale: GraphTerm?
    var usesRows: Bool
  }

  static func build(_ form: UpdateForm) throws -> UpdateGraph {
    var builder = UpdateGraphBuilder(form: form)
    return try builder.build()
  }

  private init(form: UpdateForm) { self.form = form }

  private mutating func build() throws -> UpdateGraph {
    let all = try input(.gradients(0..<form.layout.count), [form.layout.count])
    let isFinite = try all.unary(.isfinite).reduced(.all)
    for piece in try pieces() {
      if form.gathers { try gather(piece) } else { try update(piece) }
    }
    var first = 0
    while first < form.momenta.count {
      var end = first + 1
      while end < form.momenta.count, form.momenta[end] == form.momenta[first] { end += 1 }
      let range = form.statistics.offsets[first]..<form.statistics.range(end - 1).upperBound
      let moved = try input(.statistics(range), [range.count]), found = try input(.found(range), [range.count])
      give(.statistics(range), try moved * form.momenta[first] + found * (1 - form.momenta[first]))
      first = end
    }
    // Wrong numbers move nothing.
    let kept = try outputs.map { value, term in
      Graph.Output(name: "\(value)", value: try known[value].map { try isFinite.select(term, $0).id } ?? term.id)
    }
    var graph = tape.graph
    graph.outputs = kept + [Graph.Output(name: "finite", value: isFinite.id)]
    return UpdateGraph(graph: graph, inputs: inputs, outputs: outputs.map(\.value) + [.isFinite])
  }

  // MARK: Inputs and outputs

  mutating func input(_ value: Value, _ shape: Shape) throws -> GraphTerm {
    if let term = known[value] { return try term.reshaped(shape) }
    let id = try tape.graph.addInput("\(value)", TensorType(.float32, shape: shape))
    let term = GraphTerm(id: id, writer: GraphWriter(tape: tape, scope: "update"))
    inputs.append(value)
    known[value] = term
    return term
  }

  mutating func number(_ number: UpdateGraph.Number) throws -> GraphTerm { try input(.number(number), []) }

  mutating func give(_ value: Value, _ term: GraphTerm) { outputs.append((value, term)) }

  // MARK: Pieces

  private mutating func pieces() throws -> [Piece] {
    let layout = form.layout
    let isAlone = (configuration.clipNorm ?? 0) > 0 || [.lamb, .adafactor].contains(configuration.kind)
    var groups: [Range<Int>] = []
    for index in layout.shapes.indices where layout.size(index) > 0 {
      let standsAlone = isAlone || form.rows.contains(index) || form.constraints[index] != nil
      let last = groups.last.map { $0.upperBound - 1 }
      let joins = last.map { $0 == index - 1 && !form.rows.contains($0) && form.constraints[$0] == nil } ?? false
      if joins, !standsAlone, let group = groups.popLast() { groups.append(group.lowerBound..<index + 1) } else { groups.append(index..<index + 1) }
    }
    var pieces = try groups.map { group -> Piece in
      let range = layout.offsets[group.lowerBound]..<layout.range(group.upperBound - 1).upperBound
      var gradient = try input(.gradients(range), [range.count])
      if !form.gathers, let steps = configuration.accumulationSteps, steps > 0 {
        let share = 1 / Float(steps)
        gradient = try gradient * share + input(.accumulated(range), [range.count]) * share
      }
      let hasRows = form.rows.contains(group.lowerBound)
      return Piece(variables: group, range: range, hasRows: hasRows, gradient: gradient, usesRows: hasRows)
    }
    if !form.gathers { try clip(&pieces) }
    return pieces
  }

  /// Finds the factors of gradients that are too long.
  private mutating func clip(_ pieces: inout [Piece]) throws {
    func squares(_ piece: Piece) throws -> GraphTerm {
      // A table is as long as its rows.
      try (piece.hasRows ? input(.rows(piece.range), [piece.range.count]) : piece.gradient.squared()).reduced(.sum)
    }
    func scale(_ length: GraphTerm, _ most: Double) throws -> GraphTerm {
      try (length > Float(most)).select(length.constant(Float(most)) / length, length.constant(1))
    }
    if let most = configuration.clipNorm, most > 0 {
      for index in pieces.indices {
        pieces[index].scale = try scale(try squares(pieces[index]).root(), most)
        if configuration.kind == .adamax { pieces[index].usesRows = false }
      }
    } else if let most = configuration.globalClipNorm, most > 0, let first = pieces.first {
      var sum = try squares(first)
      for piece in pieces.dropFirst() { sum = try sum + squares(piece) }
      let factor = try scale(try sum.root(), most)
      for index in pieces.indices {
        pieces[index].scale = factor
        // Clipped by the length of all gradients a table is no longer rows.
        pieces[index].usesRows = false
      }
    }
  }

  // MARK: Updates

  private mutating func gather(_ piece: Piece) throws {
    let held = try input(.accumulated(piece.range), [piece.range.count])
    give(.accumulated(piece.range), try held + piece.gradient)
    if configuration.usesAverage { try finish(piece, try input(.weights(piece.range), [piece.range.count])) }
  }

  private mutating func update(_ piece: Piece) throws {
    if configuration.accumulationSteps ?? 0 > 0 {
      let held = try input(.accumulated(piece.range), [piece.range.count])
      give(.accumulated(piece.range), try held.constant(0).broadcast(held))
    }
    let limit = piece.scale == nil && !piece.usesRows ? Float(configuration.clipValue ?? 0) : 0
    var x = piece.gradient
    if let scale = piece.scale { x = try x * scale }
    if limit > 0 { x = try x.unary(.clip, Double(-limit), Double(limit)) }
    let rows = piece.usesRows ? try input(.rows(piece.range), [piece.range.count]) : nil
    let held = try input(.weights(piece.range), [piece.range.count])
    let weights = configuration.weightDecay.map { $0 != 0 } ?? false ? try held - held * number(.decay) : held
    let moved: GraphTerm
    if configuration.kind == .adafactor { moved = try adafactor(piece, weights, x, rows) } else {
      var squares = try rows ?? x.squared()
      if rows != nil, let scale = piece.scale { squares = try squares * scale * scale }
      moved = try rule(piece, weights, x, squares, isGiven: rows != nil)
    }
    try finish(piece, moved)
  }

  /// Averages and constraints.
  private mutating func finish(_ piece: Piece, _ moved: GraphTerm) throws {
    var moved = moved
    if configuration.usesAverage {
      let momentum = try number(.averageMomentum)
      let average = try input(.averages(piece.range), [piece.range.count]) * momentum + moved * (1 - momentum)
      give(.averages(piece.range), average)
      if configuration.averageOverwriteFrequency != nil { moved = try (number(.takesAverages) > 0.5).select(average, moved) }
    }
    if let constraint = form.constraints[piece.variables.lowerBound] {
      moved = try constraint.apply(moved.reshaped(form.layout.shapes[piece.variables.lowerBound])).reshaped([piece.range.count])
    }
    give(.weights(piece.range), moved)
  }

  mutating func slot(_ index: Int, _ piece: Piece) throws -> GraphTerm { try input(.slot(index, piece.range), [piece.range.count]) }

  /// The new state `index`.
  mutating func keep(_ index: Int, _ piece: Piece, _ term: GraphTerm) -> GraphTerm {
    give(.slot(index, piece.range), term)
    return term
  }
}

extension GraphTerm {
  /// The number for each element of another.
  func broadcast(_ other: GraphTerm) throws -> GraphTerm {
    GraphTerm(id: try writer.add(BroadcastTo(try writer.shape(other.id).map { Dim($0) }), [id]), writer: writer)
  }
}
