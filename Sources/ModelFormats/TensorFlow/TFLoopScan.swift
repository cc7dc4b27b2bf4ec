import GraphModule
import TensorModule

/// The graphs of a loop with its counters, reads of lists and writes to lists in the form that `loop` has for them: the number of the
/// iteration, slices of operands, and stacked results.
struct TFLoopScan {
  struct Sliced {
    var input: ValueID
    var operand: () throws -> ValueID
  }

  var body: Graph
  /// What is still to be tested before each iteration.
  var condition: Graph?
  var maxTrips: Int?
  /// The most iterations there are, where it is known.
  var trips: Dim?
  /// The number of iterations, when nothing but counters decides.
  var exactTrips: Dim?
  var sliced: [Sliced] = []
  /// The rows that lists get, one in each iteration, by the number of the variable.
  var stacked: [Int: ValueID] = [:]
  /// Variables that follow from the number of the iteration.
  var counters: [Int: TFLoopDraft.Counter]

  init(_ draft: TFLoopDraft, _ counters: [Int: TFLoopDraft.Counter]) throws {
    body = draft.body.graph
    self.counters = counters
    var test = draft.condition.graph
    let producers = test.producers()
    let bounds = draft.tests.map { draft.bound($0, producers) }
    var tests = draft.tests
    exactTrips = draft.trips
    if let fixed = draft.trips?.fixed {
      maxTrips = fixed
      trips = draft.trips
      tests = []
    } else if let least = bounds.compactMap({ $0?.fixed }).min() {
      maxTrips = least
      trips = Dim(least)
      tests = zip(tests, bounds).filter { $1?.fixed == nil }.map(\.0)
    }
    let symbolic = bounds.compactMap { $0 }.first { $0.fixed == nil }
    let bound = symbolic ?? trips
    if let bound {
      tests = try tests.compactMap { try draft.shortened($0, bound, producers) }
      test = draft.condition.graph
    }
    for (index, counter) in counters {
      replace(draft.bodyInputs[index][0], counter, &body, draft.body)
      replace(draft.conditionInputs[index][0], counter, &test, draft.condition)
    }
    // Lists and tensors that are read step by step.
    let steps = Set(counters.filter { $0.value.start == 0 && $0.value.step == 1 }.keys.map { draft.bodyInputs[$0][0] })
    if let length = symbolic ?? trips, !steps.isEmpty {
      slice(draft, length, steps)
      if !sliced.isEmpty {
        if symbolic == nil { maxTrips = nil } else { tests = tests.filter { draft.bound($0, producers) != length } }
      }
    }
    trips = trips ?? symbolic
    if let length = sliced.isEmpty ? maxTrips.map({ Dim($0) }) : symbolic ?? trips { stack(draft, length, steps) }
    if tests.isEmpty && (maxTrips != nil || !sliced.isEmpty) {
      condition = nil
    } else {
      var all: ValueID?
      for id in tests { all = try all.map { try test.addOne(Elementwise(.and), [$0, id], name: "test") } ?? id }
      if let all { test.outputs = [.init(name: "test", value: all)] } else {
        let yes = test.addConstant("always", try Tensor([true], shape: []))
        test.outputs = [.init(name: "test", value: yes)]
      }
      condition = test
    }
  }

  /// Computes a counter from the number of the iteration.
  private func replace(_ input: ValueID, _ counter: TFLoopDraft.Counter, _ graph: inout Graph, _ builder: TFBuilder) {
    var nodes: [Node] = []
    var value = graph.inputs[0]
    func add(_ op: any OpDefinition, _ operands: [ValueID], _ result: ValueID?) {
      let output = result ?? graph.declare("count", TensorType(.int64, []))
      nodes.append(Node(op: op, inputs: operands, outputs: [output], scope: ""))
      value = output
    }
    func constant(_ number: Int) -> ValueID { graph.addConstant("step", (try? Tensor(integers: [Int64(number)], dtype: .int64, shape: [])) ?? Tensor(strings: [""], shape: [])) }
    if counter.step != 1 { add(Elementwise(.mul), [value, constant(counter.step)], nil) }
    if let start = counter.start.fixed, start != 0 { add(Elementwise(.add), [value, constant(start)], nil) }
    if counter.dtype == .int64 { add(Elementwise(.identity), [value], input) } else { add(Cast(counter.dtype), [value], input) }
    graph.nodes.insert(contentsOf: nodes, at: 0)
    graph.setInputs(graph.inputs.filter { $0 != input })
  }

  /// The values that are the number of the iteration: in other shapes and types, and as positions that may count from the end.
  private static func places(_ body: Graph, _ steps: Set<ValueID>) -> Set<ValueID> {
    var found = steps
    let producers = body.producers()
    func isZero(_ id: ValueID) -> Bool { body.constants[id].map { $0.dtype.isInteger && $0.count == 1 && $0.integers == [0] } ?? false }
    func isNegativeTest(_ id: ValueID) -> Bool {
      guard let node = producers[id].map({ body.nodes[$0] }) else { return false }
      return (node.op as? Elementwise)?.function == .less && found.contains(node.inputs[0]) && isZero(node.inputs[1])
    }
    for node in body.nodes {
      guard let output = node.outputs.first, body.type(of: output).elementCount == 1 else { continue }
      switch node.op {
      case is Cast, is Reshape, is Slice, is BroadcastTo: if found.contains(node.inputs[0]), body.type(of: output).dtype.isInteger { found.insert(output) }
      case let op as Elementwise where op.function == .identity: if found.contains(node.inputs[0]) { found.insert(output) }
      case let op as Elementwise where op.function == .select: if isNegativeTest(node.inputs[0]), found.contains(node.inputs[2]) { found.insert(output) }
      default: continue
      }
    }
    return found
  }

  /// Reads of one position after another become slices.
  private mutating func slice(_ draft: TFLoopDraft, _ length: Dim, _ steps: Set<ValueID>) {
    let places = TFLoopScan.places(body, steps)
    let outside = Dictionary(draft.body.captures.compactMap { value in draft.body.capture(of: value).map { ($0, value) } }) { first, _ in first }
    var inputs: [ValueID: [Int: ValueID]] = [:]
    var kept: [Node] = []
    for node in body.nodes {
      guard let gather = node.op as? Gather, gather.batchDims == 0, places.contains(node.inputs[1]), let value = outside[node.inputs[0]],
        value.type.dims[gather.axis] == length
      else {
        kept.append(node)
        continue
      }
      let known = inputs[node.inputs[0]]?[gather.axis]
      var dims = value.type.dims
      dims.remove(at: gather.axis)
      let input = known ?? body.declare("\(body[node.outputs[0]].name)/slice", TensorType(value.type.dtype, dims))
      let isSame = body.type(of: node.outputs[0]).dims == dims
      kept.append(
        Node(op: isSame ? Elementwise(.identity) as any OpDefinition : Reshape(body.type(of: node.outputs[0]).dims), inputs: [input], outputs: node.outputs, scope: node.scope))
      if known != nil { continue }
      inputs[node.inputs[0], default: [:]][gather.axis] = input
      let outer = draft.outer
      let axis = gather.axis
      let name = draft.loop.name
      sliced.append(
        Sliced(input: input) {
          let id = try outer.id(value)
          if axis == 0 { return id }
          let order = [axis] + (0..<value.type.rank).filter { $0 != axis }
          return try outer.graph.addOne(Transpose(order), [id], name: "\(name)/slices")
        })
    }
    body.nodes = kept
  }

  /// Writes to one position after another of a fresh list become stacked results.
  private mutating func stack(_ draft: TFLoopDraft, _ length: Dim, _ steps: Set<ValueID>) {
    let producers = body.producers()
    let consumers = body.consumers()
    let results = draft.next.flatMap { $0 }
    for (index, role) in draft.roles.enumerated() {
      guard case .list(_, false) = role, case .list(let list) = draft.loop.initial[index].kind, list.rows == nil, list.items == nil, list.slots.isEmpty,
        list.length == length, let input = draft.bodyInputs[index].first, let after = draft.next[index].first,
        let producer = producers[after], body.nodes[producer].op is SetItem, body.nodes[producer].inputs[0] == input,
        consumers[input]?.count == 1, consumers[after] == nil, steps.contains(body.nodes[producer].inputs[1]), !results.contains(input),
        results.filter({ $0 == after }).count == 1,
        condition == nil || condition?.consumers()[draft.conditionInputs[index][0]] == nil
      else { continue }
      stacked[index] = body.nodes[producer].inputs[2]
      body.setInputs(body.inputs.filter { $0 != input })
    }
  }
}
