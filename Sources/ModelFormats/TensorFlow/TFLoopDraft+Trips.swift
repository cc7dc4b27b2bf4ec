import GraphModule
import TensorModule

extension TFLoopDraft {
  /// A variable that each iteration adds the same number to.
  struct Counter {
    var start: Dim
    var step: Int
    var dtype: DType
  }

  /// The variables that count, by their number.
  func counters() -> [Int: Counter] {
    let producers = body.graph.producers()
    var found: [Int: Counter] = [:]
    for (index, role) in roles.enumerated() {
      guard case .carried(let type) = role, type.rank == 0, type.dtype == .int32 || type.dtype == .int64,
        let start = loop.initial[index].known?.elements.first, let producer = producers[next[index][0]]
      else { continue }
      let node = body.graph.nodes[producer]
      guard (node.op as? Elementwise)?.function == .add, node.inputs.count == 2 else { continue }
      for (variable, other) in [(0, 1), (1, 0)] where node.inputs[variable] == bodyInputs[index][0] {
        if let step = body.known(node.inputs[other])?.fixed?.first, step != 0, step.magnitude < 1 << 30 {
          found[index] = Counter(start: start, step: step, dtype: type.dtype)
        }
      }
    }
    return found
  }

  /// Splits the condition into parts, and finds the number of iterations where it follows from counters and limits.
  func findTrips() throws {
    let producers = condition.graph.producers()
    var open = [test]
    tests = []
    while let top = open.popLast() {
      if let producer = producers[top], (condition.graph.nodes[producer].op as? Elementwise)?.function == .and, tests.count < 64 {
        open += condition.graph.nodes[producer].inputs.reversed()
      } else if condition.known(top)?.fixed != [1] {
        tests.append(top)
      }
    }
    if tests.isEmpty { throw KilnError(.badInput, "the condition of a loop is always true: it never ends") }
    let bounds = tests.map { bound($0, producers) }
    let known = bounds.compactMap { $0 }
    if known.count == tests.count, let first = known.first {
      if known.allSatisfy({ $0 == first }) {
        trips = first
      } else if let least = known.compactMap(\.fixed).min(), known.allSatisfy({ $0.fixed != nil }) {
        trips = Dim(least)
      }
    }
    if trips == nil, let counted = try counted() { trips = Dim(counted) }
  }

  /// The number of iterations after which a part of the condition is false for the first time.
  func bound(_ test: ValueID, _ producers: [ValueID: Int]) -> Dim? {
    if condition.known(test)?.fixed == [0] { return 0 }
    guard let producer = producers[test] else { return nil }
    let node = condition.graph.nodes[producer]
    guard let function = (node.op as? Elementwise)?.function, node.inputs.count == 2 else { return nil }
    let counters = counters()
    func counter(_ id: ValueID) -> Counter? {
      if id == condition.graph.inputs.first { return Counter(start: 0, step: 1, dtype: .int64) }
      return conditionInputs.firstIndex { $0.first == id }.flatMap { counters[$0] }
    }
    let found: (Counter, Dim)?
    switch function {
    case .less, .notEqual:
      found = counter(node.inputs[0]).flatMap { counter in condition.known(node.inputs[1])?.elements.first.map { (counter, $0) } }
    case .lessEqual:
      found = counter(node.inputs[0]).flatMap { counter in condition.known(node.inputs[1])?.elements.first.map { (counter, $0 + 1) } }
    case .greater:
      found = counter(node.inputs[1]).flatMap { counter in condition.known(node.inputs[0])?.elements.first.map { (counter, $0) } }
    case .greaterEqual:
      found = counter(node.inputs[1]).flatMap { counter in condition.known(node.inputs[0])?.elements.first.map { (counter, $0 + 1) } }
    default: found = nil
    }
    guard let (counter, limit) = found, counter.step > 0, function != .notEqual || counter.step == 1 else { return nil }
    let distance = limit - counter.start
    if let fixed = distance.fixed {
      guard fixed >= 0 else { return function == .notEqual ? nil : 0 }
      return Dim(fixed).ceilDivided(by: counter.step)
    }
    // A length is not negative; a difference of lengths may be.
    guard counter.step == 1, distance.constant >= 0, distance.terms.allSatisfy({ $0.coefficient > 0 }) else { return nil }
    return distance
  }

  /// A test of a counter against the smaller of a length that bounds the loop anyway and another limit, against the other alone; nil when
  /// that is no limit.
  func shortened(_ test: ValueID, _ length: Dim, _ producers: [ValueID: Int]) throws -> ValueID? {
    guard let producer = producers[test] else { return test }
    let node = condition.graph.nodes[producer]
    guard (node.op as? Elementwise)?.function == .less, let value = condition.captures.first(where: { condition.capture(of: $0) == node.inputs[1] }),
      counters().contains(where: { conditionInputs[$0.key].first == node.inputs[0] && $0.value.start == 0 && $0.value.step == 1 })
    else { return test }
    guard let least = outer.producer(of: try outer.id(value)), (least.op as? Elementwise)?.function == .min else { return test }
    for (a, b) in [(least.inputs[0], least.inputs[1]), (least.inputs[1], least.inputs[0])] where outer.known(a)?.elements == [length] {
      if outer.known(b)?.elements == [length] { return nil }
      if let most = outer.producer(of: b), (most.op as? Elementwise)?.function == .max, most.inputs.contains(where: { outer.known($0)?.elements == [length] }) { return nil }
      let limit = try condition.id(.value(b, outer, name: outer.graph[b].name))
      return try condition.graph.addOne(Elementwise(.less), [node.inputs[0], limit], name: "test")
    }
    return test
  }

  /// The number of iterations, counted by running what the condition depends on, where that is constants and scalars.
  private func counted() throws -> Int? {
    let limit = 10_000
    let producers = body.graph.producers()
    /// The variables that a value depends on; nil when it depends on something that is not known.
    func variables(_ graph: Graph, _ start: [ValueID], _ inputs: [[ValueID]], _ producers: [ValueID: Int]) -> Set<Int>? {
      var owner: [ValueID: Int] = [:]
      for (index, ids) in inputs.enumerated() where ids.count == 1 { owner[ids[0]] = index }
      var stack = start
      var seen: Set<ValueID> = []
      var found: Set<Int> = []
      while let id = stack.popLast() {
        guard seen.insert(id).inserted, graph.constants[id] == nil else { continue }
        if let index = owner[id] { found.insert(index) } else if let producer = producers[id] {
          guard !(graph.nodes[producer].op is any ControlFlowOp) else { return nil }
          stack += graph.nodes[producer].inputs
        } else if id != graph.inputs.first {
          return nil
        }
        guard seen.count <= 256 else { return nil }
      }
      return found
    }
    guard var needed = variables(condition.graph, [test], conditionInputs, condition.graph.producers()) else { return nil }
    var open = Array(needed)
    while let index = open.popLast() {
      guard case .carried(let type) = roles[index], type.elementCount.fixed.map({ $0 <= 64 }) ?? false, loop.initial[index].evaluated != nil,
        let more = variables(body.graph, next[index], bodyInputs, producers)
      else { return nil }
      open += more.subtracting(needed)
      needed.formUnion(more)
    }
    let order = needed.sorted()
    func cut(_ graph: Graph, _ inputs: [[ValueID]], _ outputs: [ValueID]) -> Graph {
      var copy = graph
      copy.setInputs([graph.inputs[0]] + order.map { inputs[$0][0] })
      copy.outputs = outputs.enumerated().map { .init(name: "\($0)", value: $1) }
      return copy.compacted()
    }
    let condition = cut(condition.graph, conditionInputs, [test])
    let body = cut(body.graph, bodyInputs, order.map { next[$0][0] })
    var values = try order.map { index -> ReferenceTensor in
      guard let tensor = loop.initial[index].evaluated else { throw KilnError(.internal, "a variable is not known") }
      return ReferenceTensor(tensor)
    }
    guard (condition.nodes.count + body.nodes.count) <= 512 else { return nil }
    for trip in 0...limit {
      let number = ReferenceTensor(.int64, [], .integers([Int64(trip)]))
      guard let test = try? ReferenceBackend.run(condition, [number] + values), let goesOn = test.first?.integers.first else { return nil }
      if goesOn == 0 { return trip }
      guard let next = try? ReferenceBackend.run(body, [number] + values) else { return nil }
      values = next
    }
    return nil
  }
}
