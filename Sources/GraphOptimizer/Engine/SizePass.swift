import GraphModule
import TensorModule

/// Makes sizes that are computed in the graph static where they can be known: what `shape_of` gives is followed through
/// arithmetic on short integer vectors as dims over the inputs' symbols, and ops with a shape operand become those with
/// dims in their attributes. Data sizes that turn out to be dims are replaced everywhere.
package struct SizePass {
  private var graph: Graph
  /// What is known of short integer tensors: one dim for each element, nil where it depends on data.
  private var known: [ValueID: [Dim?]] = [:]
  private var bindings: [String: Dim] = [:]
  private(set) var changes: [Node] = []

  /// Elements up to which a tensor may hold sizes.
  private static let longest = 64

  /// Whether there is something to do.
  package static func applies(to graph: Graph) -> Bool {
    graph.nodes.contains { $0.op is ShapeOf || $0.op is any DataDependentOp }
  }

  package static func run(_ graph: Graph) throws -> (graph: Graph, changes: [Node]) {
    var pass = SizePass(graph: graph)
    try pass.run()
    return (pass.changes.isEmpty ? graph : pass.graph.compacted(), pass.changes)
  }

  private init(graph: Graph) { self.graph = graph }

  private mutating func run() throws {
    for (id, tensor) in graph.constants where tensor.dtype.isInteger && tensor.count <= Self.longest && tensor.shape.count <= 1 {
      known[id] = tensor.integers.map { Dim(Int(clamping: $0)) }
    }
    let nodes = graph.nodes
    graph.nodes = []
    for original in nodes {
      var node = original
      if !bindings.isEmpty { node.op = try rebound(node.op) }
      if let replacement = try staticOp(node) {
        node = replacement
        changes.append(original)
      }
      let types = try node.op.infer(node.inputs.map(graph.type(of:)))
      for (output, type) in zip(node.outputs, types) { graph.setType(type, of: output) }
      if let values = values(node), node.outputs.count == 1 {
        known[node.outputs[0]] = values
        let numbers = values.compactMap { $0?.fixed }
        let type = graph.type(of: node.outputs[0])
        if numbers.count == values.count, let shape = type.shape, shape.elementCount == numbers.count,
          !numbers.contains(where: { $0.magnitude >= Dim.limit })
        {
          graph.replaceConstant(
            node.outputs[0], with: try Tensor(integers: numbers.map(Int64.init), dtype: type.dtype, shape: shape))
          changes.append(original)
          continue
        }
      }
      graph.nodes.append(node)
    }
  }

  /// The op with data sizes replaced that are dims by now.
  private func rebound(_ op: any OpDefinition) throws -> any OpDefinition {
    let attributes = op.attributes
    guard attributes.contains(where: { $0.value.dimSymbols.contains { bindings[$0] != nil } }) else { return op }
    func replaced(_ value: AttributeValue) -> AttributeValue {
      switch value {
      case .dims(let dims): .dims(dims.map { $0.substituting(bindings) })
      case .list(let items): .list(items.map(replaced))
      default: value
      }
    }
    var reader = try AttributeReader(op: op.opName, attributes.map { ($0.name, replaced($0.value)) })
    return try type(of: op).init(from: &reader)
  }

  // MARK: Ops with a shape operand

  private mutating func staticOp(_ node: Node) throws -> Node? {
    var result = node
    switch node.op {
    case let op as DynamicReshape:
      guard var sizes = known[node.inputs[1]] else { return nil }
      let count = graph.type(of: node.inputs[0]).elementCount
      if let open = sizes.firstIndex(of: .some(Dim(-1))) {
        let rest = sizes.enumerated().reduce(Dim(1) as Dim?) { product, size in
          size.offset == open ? product : product.flatMap { product in size.element.map { product * $0 } }
        }
        sizes[open] = rest.flatMap { count.exactlyDivided(by: $0) }
      }
      guard let dims = complete(sizes) else { return nil }
      result.op = Reshape(dims)
      result.inputs = [node.inputs[0]]
      bind(op.dims, dims)
    case let op as DynamicBroadcastTo:
      guard let dims = known[node.inputs[1]].flatMap(complete) else { return nil }
      result.op = BroadcastTo(dims)
      result.inputs = [node.inputs[0]]
      bind(op.dims, dims)
    case let op as DynamicSlice:
      guard let starts = numbers(node.inputs[1]), let ends = numbers(node.inputs[2]) else { return nil }
      let type = graph.type(of: node.inputs[0])
      let slice = op.slice(starts, ends, rank: type.rank)
      let dims = try slice.infer([type])[0].dims
      result.op = slice
      result.inputs = [node.inputs[0]]
      bind(op.dims, dims)
    case let op as DynamicRange:
      let operands = node.inputs.compactMap { graph.constants[$0] }
      guard operands.count == 3, let made = try? op.results(operands.map { ReferenceTensor($0) })[0], made.count <= 1 << 16
      else { return nil }
      bind(op.dims, [Dim(made.count)])
      let constant = graph.addConstant("\(graph[node.outputs[0]].name)/range", try made.tensor())
      if made.count <= Self.longest, made.dtype.isInteger { known[constant] = made.integers.map { Dim(Int(clamping: $0)) } }
      result.op = Elementwise(.identity)
      result.inputs = [constant]
    default: return nil
    }
    // An op that refuses stays as it was, and fails when it runs.
    return (try? result.op.infer(result.inputs.map(graph.type(of:)))) == nil ? nil : result
  }

  private func complete(_ sizes: [Dim?]) -> [Dim]? {
    let dims = sizes.compactMap { $0 }
    return dims.count == sizes.count && dims.allSatisfy { ($0.fixed ?? 0) >= 0 } ? dims : nil
  }

  private func numbers(_ id: ValueID) -> [Int64]? {
    guard let sizes = known[id] else { return nil }
    let fixed = sizes.compactMap { $0?.fixed }
    return fixed.count == sizes.count ? fixed.map(Int64.init) : nil
  }

  private mutating func bind(_ declared: [Dim], _ dims: [Dim]) {
    for (old, new) in zip(declared, dims) {
      if let symbol = old.plainSymbol, old != new, !graph.symbols.contains(symbol) { bindings[symbol] = new }
    }
  }

  // MARK: Arithmetic

  /// The elements of a node's result, as far as they are known; nil for a result that is no short vector of integers.
  private func values(_ node: Node) -> [Dim?]? {
    guard let result = node.outputs.first.map(graph.type(of:)), result.dtype.isInteger, result.rank <= 1,
      let count = result.elementCount.fixed, count <= Self.longest
    else { return nil }
    func operand(_ index: Int) -> [Dim?]? { node.inputs.indices.contains(index) ? known[node.inputs[index]] : nil }
    switch node.op {
    case is ShapeOf: return graph.type(of: node.inputs[0]).dims
    case is Cast, is Reshape: return operand(0)
    case is BroadcastTo:
      guard let x = operand(0) else { return nil }
      if x.count == count { return x }
      return x.count == 1 ? [Dim?](repeating: x[0], count: count) : nil
    case is Concat:
      let parts = node.inputs.indices.map(operand)
      return parts.contains { $0 == nil } ? nil : parts.flatMap { $0 ?? [] }
    case let op as Slice:
      guard let x = operand(0), op.ranges.count == 1 else { return nil }
      let (start, length) = op.ranges[0].resolved(x.count)
      return (0..<length).map { x[start + $0 * op.ranges[0].step] }
    case let op as Gather:
      guard op.axis == 0, op.batchDims == 0, let x = operand(0), let indices = numbers(node.inputs[1]) else { return nil }
      return indices.contains { $0 < 0 || $0 >= x.count } ? nil : indices.map { x[Int($0)] }
    case let op as Reduce:
      guard let x = operand(0), op.axes == [0] || x.count == 1 else { return nil }
      let function: ScalarFunction
      switch op.kind {
      case .sum: function = .add
      case .prod: function = .mul
      case .max: function = .max
      case .min: function = .min
      default: return nil
      }
      guard var total = x.first ?? (op.kind == .prod ? 1 : op.kind == .sum ? 0 : nil) else { return nil }
      for item in x.dropFirst() {
        guard let item, let next = Self.combine(function, total, item) else { return nil }
        total = next
      }
      return [total]
    case let op as Elementwise:
      guard let a = operand(0) else { return nil }
      if op.function == .identity { return a }
      if op.function == .neg { return a.map { $0.map { $0 * -1 } } }
      guard node.inputs.count == 2, let b = operand(1) else { return nil }
      return (0..<count).map { index in
        guard let x = a.count == 1 ? a[0] : a[index], let y = b.count == 1 ? b[0] : b[index] else { return nil }
        return Self.combine(op.function, x, y)
      }
    default: return nil
    }
  }

  private static func combine(_ function: ScalarFunction, _ a: Dim, _ b: Dim) -> Dim? {
    switch function {
    case .add: return a + b
    case .sub: return a - b
    case .mul: return a * b
    case .floorDiv: return b.fixed.flatMap { $0 > 0 ? a.floorDivided(by: $0) : nil }
    case .max, .min:
      if a == b { return a }
      guard let x = a.fixed, let y = b.fixed else { return nil }
      return Dim(function == .max ? Swift.max(x, y) : Swift.min(x, y))
    default: return nil
    }
  }
}
