import GraphModule
import TensorModule

extension TFLoopDraft {
  /// What the loop's node takes and gives while it is put together.
  private struct Assembly {
    var carried: [(initial: ValueID, bodyInput: ValueID, conditionInput: ValueID, next: ValueID)] = []
    var sliced: [(operand: ValueID, bodyInput: ValueID)] = []
    var stacked: [ValueID] = []
  }

  /// Adds the loop to the graph around it.
  ///
  /// - Returns: the variables after the last iteration.
  func emit() throws -> [TFValue] {
    try body.bindSymbols()
    try condition.bindSymbols()
    let counters = counters().filter { $0.value.start.fixed != nil }
    let scan = try TFLoopScan(self, counters)
    let room = try room(scan.trips)
    var assembly = Assembly()
    assembly.sliced = try scan.sliced.map { (try $0.operand(), $0.input) }
    /// For each variable, where its results are: numbers of carried values, or of stacked results.
    var places: [Int: [Int]] = [:]
    for (index, role) in roles.enumerated() where scan.counters[index] == nil {
      let initial: [ValueID]
      switch (role, loop.initial[index].kind) {
      case (.carried(let type), _):
        let id = try outer.id(loop.initial[index])
        initial = [id]
        guard outer.graph.type(of: id).rank == type.rank else { throw KilnError(.internal, "a variable changed its rank") }
      case (.list(let element, let grows), .list(let list)):
        if scan.stacked[index] != nil { continue }
        list.info.element = list.info.element ?? element
        if grows {
          let count = try list.count(outer)
          initial = [try roomy(list, element ?? [], room[index], index), count]
        } else {
          initial = [try list.buffer(outer, "\(loop.name)/variable_\(index)")]
        }
      default: continue
      }
      places[index] = initial.indices.map { assembly.carried.count + $0 }
      for (part, id) in initial.enumerated() {
        assembly.carried.append((id, bodyInputs[index][part], conditionInputs[index][part], next[index][part]))
      }
    }
    var rows: [Int: Int] = [:]
    for (index, row) in scan.stacked.sorted(by: { $0.key < $1.key }) {
      rows[index] = assembly.stacked.count
      assembly.stacked.append(row)
    }
    let results = try add(assembly, scan)
    let trips = results[results.count - 1]
    return try loop.initial.indices.map { index in
      let name = loop.resultNames[index] ?? "\(loop.name)/variable_\(index)"
      switch (roles[index], loop.initial[index].kind) {
      case (.carried, _):
        if let counter = scan.counters[index] { return try counted(counter, scan.exactTrips, trips, name) }
        guard let place = places[index]?.first else { throw KilnError(.internal, "a variable got lost") }
        return named(results[place], name)
      case (.list(let element, let grows), .list(let list)):
        var after = TFList(info: .init(dtype: list.info.dtype, size: list.info.size, element: element))
        after.isDynamic = list.isDynamic
        if let row = rows[index] {
          after.rows = named(results[assembly.carried.count + row], name)
        } else if let place = places[index] {
          after.rows = named(results[place[0]], name)
          after.grows = grows
          if grows { after.info = .init(dtype: list.info.dtype, size: named(results[place[1]], "\(name)/size"), element: element) }
        }
        return .list(after, outer, name: name)
      default: return loop.initial[index]
      }
    }
  }

  private func named(_ id: ValueID, _ name: String) -> TFValue {
    if outer.graph.value(named: name) == nil { outer.graph.rename(id, to: name) }
    return .value(id, outer, name: name)
  }

  /// A counter's last value.
  private func counted(_ counter: Counter, _ exact: Dim?, _ trips: ValueID, _ name: String) throws -> TFValue {
    if let exact { return .known(DimTensor(counter.dtype, [], [counter.start + exact * Dim(counter.step)]), outer, name: name) { trips } }
    var value = trips
    if counter.step != 1 {
      value = try outer.graph.addOne(Elementwise(.mul), [value, try outer.scalar(Double(counter.step), .int64)], name: "\(name)/count")
    }
    if counter.start != 0 { value = try outer.graph.addOne(Elementwise(.add), [value, try outer.scalar(of: counter.start)], name: "\(name)/count") }
    if counter.dtype != .int64 { value = try outer.graph.addOne(Cast(counter.dtype), [value], name: "\(name)/count") }
    return named(value, name)
  }

  private func add(_ assembly: Assembly, _ scan: TFLoopScan) throws -> [ValueID] {
    var inner = scan.body
    var test = scan.condition
    // Both subgraphs take the same captures in the same order.
    var captures: [(outer: ValueID, body: ValueID, condition: ValueID)] = []
    let all = body.captures + condition.captures.filter { value in !body.captures.contains { $0 === value } }
    for value in all {
      let operand = try outer.id(value)
      let type = value.type
      func input(_ builder: TFBuilder, _ graph: inout Graph) -> ValueID { builder.capture(of: value) ?? graph.declareInput(value.name, type) }
      let own = input(body, &inner)
      var given = own
      if var graph = test {
        given = input(condition, &graph)
        test = graph
      }
      captures.append((operand, own, given))
    }
    inner.setInputs([inner.inputs[0]] + assembly.carried.map(\.bodyInput) + assembly.sliced.map(\.bodyInput) + captures.map(\.body))
    inner.outputs = (assembly.carried.map(\.next) + assembly.stacked).enumerated().map { .init(name: "result_\($0)", value: $1) }
    if var graph = test {
      graph.setInputs([graph.inputs[0]] + assembly.carried.map(\.conditionInput) + captures.map(\.condition))
      test = graph
    }
    let op = Loop(
      carried: assembly.carried.count, sliced: assembly.sliced.count, maxTrips: scan.maxTrips, condition: test?.compacted(),
      body: inner.compacted())
    let operands = assembly.carried.map(\.initial) + assembly.sliced.map(\.operand) + captures.map(\.outer)
    let scope = loop.name.lastIndex(of: "/").map { String(loop.name[..<$0]) } ?? ""
    return try outer.graph.add(op, operands, name: "\(loop.name)/loop", scope: scope)
  }

  // MARK: Lists that grow

  /// How long the rows of the lists that grow must be: their length before, and what the iterations may add.
  private func room(_ bound: Dim?) throws -> [Int: Dim] {
    let growing = roles.indices.filter { if case .list(_, true) = roles[$0] { true } else { false } }
    if growing.isEmpty { return [:] }
    let trips = try bound ?? tripsByCounting()
    var found: [Int: Dim] = [:]
    for index in growing {
      guard case .list(let list) = loop.initial[index].kind else { continue }
      guard let before = list.grows ? list.rows?.type.dims.first : list.length else {
        throw KilnError(.unsupportedModel, "a list of unknown length that grows in a loop is not supported")
      }
      found[index] = before + trips * Dim(max(added[index], 1))
    }
    return found
  }

  /// A list's elements, with room for more.
  private func roomy(_ list: TFList, _ element: [Dim], _ room: Dim?, _ index: Int) throws -> ValueID {
    let name = "\(loop.name)/variable_\(index)"
    guard let room else { throw KilnError(.internal, "a list has no room") }
    let before = list.grows ? list.rows?.type.dims.first : list.length
    let more = room - (before ?? 0)
    let spare = try TFList.zeros(list.info.dtype, more, try outer.scalar(0, .int64), element, outer, name)
    if before == 0 { return spare }
    return try outer.graph.addOne(Concat(axis: 0), [try list.buffer(outer, name), spare], name: "\(name)/rows")
  }

  /// The number of iterations as a size that depends on the data, found by a loop over what the condition depends on.
  private func tripsByCounting() throws -> Dim {
    let refusal = KilnError(.unsupportedModel, "a list that grows in a loop whose number of iterations depends on it is not supported")
    let counting = try TFLoopScan(self, [:])
    var assembly = Assembly()
    // What the condition depends on, directly or through the body.
    let graphs = (condition: counting.condition ?? condition.graph, body: counting.body)
    func inputs(_ graph: Graph, _ start: [ValueID]) -> Set<ValueID> {
      let producers = graph.producers()
      var stack = start
      var seen: Set<ValueID> = []
      while let id = stack.popLast() {
        guard seen.insert(id).inserted, let node = producers[id] else { continue }
        stack += graph.nodes[node].inputs
      }
      return seen
    }
    var needed: [Int] = []
    var reached = inputs(graphs.condition, graphs.condition.outputs.map(\.value))
    var open = roles.indices.filter { conditionInputs[$0].contains(where: reached.contains) }
    while let index = open.popLast() {
      if needed.contains(index) { continue }
      needed.append(index)
      guard case .carried = roles[index] else { throw refusal }
      reached = inputs(graphs.body, next[index])
      open += roles.indices.filter { bodyInputs[$0].contains(where: reached.contains) && !needed.contains($0) }
    }
    for index in needed.sorted() {
      assembly.carried.append((try outer.id(loop.initial[index]), bodyInputs[index][0], conditionInputs[index][0], next[index][0]))
    }
    guard let trips = try add(assembly, counting).last else { throw refusal }
    let symbol = outer.sizes.fresh()
    let shape = try outer.graph.addOne(Reshape([1]), [trips], name: "\(loop.name)/trips")
    _ = try outer.addDynamic(DynamicBroadcastTo([symbol]), [try outer.scalar(0, .int32), shape], name: "\(loop.name)/trips", scope: "")
    return symbol
  }
}
