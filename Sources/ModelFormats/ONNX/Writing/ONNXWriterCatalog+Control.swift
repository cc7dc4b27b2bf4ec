import GraphModule
import TensorModule

extension ONNXWriterCatalog {
  static let control: [Row] = [
    .written(Branch.self, "If, nested for more than two graphs") { op, w in
      let captures = Array(w.node.inputs.dropFirst())
      guard op.branches.count > 1 else {
        return try w.scope.inline(op.branches[0], captures.map { try w.scope.everyForm($0) }, results: w.node.outputs)
      }
      let selector = try w.x(0)
      let isBool = w.type(0).dtype == .bool
      /// The results' names, of graph `index` or one behind it.
      func choose(_ index: Int, _ scope: ONNXGraphWriter) throws -> [String] {
        let condition =
          isBool ? selector : scope.emit("Equal", [selector, try w.scalar(Double(index), w.type(0).dtype)], named: "\(w.label)/is_\(index)")[0]
        let (first, second) = isBool ? (op.branches[1], op.branches[0]) : (op.branches[index], op.branches[index + 1])
        let then = try block(first, captures, w)
        let otherwise: ONNXBlock
        if !isBool, index + 2 < op.branches.count {
          otherwise = ONNXBlock(w.scope.draft.unique("\(w.label)/else"))
          let names = try choose(index + 1, ONNXGraphWriter(Graph(name: "else"), w.scope.draft, otherwise))
          otherwise.outputs = zip(names, w.node.outputs).map { ONNXDraftValue(name: $0, type: w.scope.type($1), namesDims: false) }
        } else {
          otherwise = try block(second, captures, w)
        }
        return scope.emit(
          "If", [condition], [("then_branch", .graph(then)), ("else_branch", .graph(otherwise))], results: w.node.outputs.count, named: w.label)
      }
      for (index, name) in try choose(0, w.scope).enumerated() { w.define(index, name) }
    },
    .written(Loop.self, "Loop") { op, w in try ONNXLoopWriter(op: op, writer: w).write() },
  ]

  /// A branch's graph, which reads what is around it by name.
  private static func block(_ graph: Graph, _ captures: [ValueID], _ w: ONNXNodeWriter) throws -> ONNXBlock {
    let block = ONNXBlock(w.scope.draft.unique("\(w.label)/\(graph.name)"))
    let scope = ONNXGraphWriter(graph, w.scope.draft, block)
    for (input, capture) in zip(graph.inputs, captures) { scope.define(input, try w.scope.everyForm(capture)) }
    for input in graph.inputs { scope.bindSymbols(input) }
    scope.writeNodes()
    for output in graph.outputs { try scope.addOutput(try scope.name(output.value), scope.type(output.value)) }
    return block
  }
}

/// Writes a loop.
struct ONNXLoopWriter {
  let op: Loop
  let writer: ONNXNodeWriter

  private var scope: ONNXGraphWriter { writer.scope }

  func write() throws {
    let inputs = writer.node.inputs
    let carried = Array(inputs[..<op.carried])
    let sliced = Array(inputs[op.carried..<op.carried + op.sliced])
    let captures = Array(inputs[(op.carried + op.sliced)...])
    let countsTrips = writer.isUsed(writer.node.outputs.count - 1)
    var start = ""
    if let condition = op.condition {
      let first = [ONNXGraphWriter.Form(name: try writer.scalar(0, .int64), order: [])]
      start = try scope.inlined(condition, [first] + (carried + captures).map { try scope.everyForm($0) })[0]
    }
    let block = ONNXBlock(scope.draft.unique("\(writer.label)/\(op.body.name)"))
    let body = ONNXGraphWriter(op.body, scope.draft, block)
    func input(_ name: String, _ type: TensorType) -> String {
      let unique = scope.draft.unique("\(writer.label)/\(name)")
      block.inputs.append(ONNXDraftValue(name: unique, type: type, namesDims: false))
      return unique
    }
    let number = input("iteration", TensorType(.int64, []))
    let goesOn = input("condition", TensorType(.bool, []))
    var parameters = op.body.inputs[...]
    func bind(_ forms: [ONNXGraphWriter.Form]) { if let id = parameters.popFirst() { body.define(id, forms) } }
    bind([ONNXGraphWriter.Form(name: number, order: [])])
    for id in carried {
      let type = scope.type(id)
      bind([ONNXGraphWriter.Form(name: input(scope.graph[id].name, type), order: ONNXGraphWriter.straight(type.rank))])
    }
    for id in sliced {
      let row = body.emit("Gather", [try scope.name(id), number], [("axis", .int(0))], named: "\(writer.label)/row")[0]
      bind([ONNXGraphWriter.Form(name: row, order: ONNXGraphWriter.straight(scope.type(id).rank - 1))])
    }
    for id in captures { bind(try scope.everyForm(id)) }
    for id in op.body.inputs { body.bindSymbols(id) }
    body.writeNodes()
    let results = op.body.outputs.map(\.value)
    let next = body.emit("Add", [number, try writer.scalar(1, .int64)], named: "\(writer.label)/next")[0]
    if let condition = op.condition {
      let values = try results[..<op.carried].map { try body.everyForm($0) }
      let outer = try captures.map { try scope.everyForm($0) }
      try body.addOutput(try body.inlined(condition, [[ONNXGraphWriter.Form(name: next, order: [])]] + values + outer)[0], TensorType(.bool, []))
    } else {
      try body.addOutput(goesOn, TensorType(.bool, []))
    }
    for id in results[..<op.carried] { try body.addOutput(try body.name(id), body.type(id)) }
    if countsTrips {
      _ = input("trips", TensorType(.int64, []))
      try body.addOutput(next, TensorType(.int64, []))
    }
    for id in results[op.carried...] { try body.addOutput(try body.name(id), body.type(id)) }
    let initial = try carried.map { try scope.name($0) } + (countsTrips ? [try writer.scalar(0, .int64)] : [])
    let names = writer.emit(
      "Loop", [try trips(sliced), start] + initial, [("body", .graph(block))], results: results.count + (countsTrips ? 1 : 0))
    for index in 0..<op.carried { writer.define(index, names[index]) }
    if countsTrips { writer.define(writer.node.outputs.count - 1, names[op.carried]) }
    for index in op.carried..<results.count {
      let name = names[index + (countsTrips ? 1 : 0)]
      writer.define(index, op.condition == nil ? name : try filled(name, index))
    }
  }

  /// The most iterations, as a scalar; no name where only the condition ends the loop.
  private func trips(_ sliced: [ValueID]) throws -> String {
    let fixed = try op.maxTrips.map { try writer.scalar(Double($0), .int64) }
    guard let first = sliced.first else { return fixed ?? "" }
    let rows = try writer.squeeze(try scope.length(scope.type(first).dims[0]), [0])
    return fixed.map { writer.one("Min", rows, $0) } ?? rows
  }

  /// Stacked rows with zeros for those that were not reached.
  private func filled(_ name: String, _ index: Int) throws -> String {
    let type = writer.resultType(index)
    let have = writer.one("Shape", name, attributes: [("start", .int(0)), ("end", .int(1))])
    let missing = writer.one("Sub", try scope.length(type.dims[0]), have)
    let zeros = try writer.ints([Int](repeating: 0, count: type.rank))
    let others = type.rank > 1 ? [try writer.ints([Int](repeating: 0, count: type.rank - 1))] : []
    let pads = writer.emit("Concat", [zeros, missing] + others, [("axis", .int(0))])[0]
    return writer.one("Pad", name, pads)
  }
}

extension ONNXGraphWriter {
  /// All forms of a value, for a graph that reads it; a constant has one.
  func everyForm(_ id: ValueID) throws -> [Form] {
    if forms[id] == nil { _ = try name(id) }
    return forms[id] ?? []
  }

  /// Writes a graph's nodes here and gives its outputs' names, with their axes as in the graph.
  func inlined(_ graph: Graph, _ inputs: [[Form]]) throws -> [String] {
    let inner = inside(graph, inputs)
    return try graph.outputs.map { try inner.name($0.value) }
  }

  /// Writes a graph's nodes here; its outputs become values of this one.
  func inline(_ graph: Graph, _ inputs: [[Form]], results: [ValueID]) throws {
    let inner = inside(graph, inputs)
    for (output, id) in zip(graph.outputs, results) { define(id, try inner.everyForm(output.value)) }
  }

  private func inside(_ graph: Graph, _ inputs: [[Form]]) -> ONNXGraphWriter {
    let inner = ONNXGraphWriter(graph, draft, block)
    for (id, forms) in zip(graph.inputs, inputs) { inner.define(id, forms) }
    for id in graph.inputs { inner.bindSymbols(id) }
    inner.writeNodes()
    return inner
  }

  /// Makes a tensor an output of the block: by another name unless a node of the block makes it and it is none yet.
  func addOutput(_ name: String, _ type: TensorType) throws {
    let isFree = block.nodes.contains { $0.outputs.contains(name) } && !block.outputs.contains { $0.name == name }
    let output = isFree ? name : emit("Identity", [name], named: "\(name)_result")[0]
    block.outputs.append(ONNXDraftValue(name: output, type: type, namesDims: false))
  }
}
