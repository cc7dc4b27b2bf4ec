import TensorModule

extension TextForm {
  /// Reads a graph back. Everything is checked: names, types against the ops' inference, attributes, limits.
  ///
  /// - Parameter resolve: gives the tensor of a constant whose values are not in the text, by its name; of a constant in a
  ///   subgraph, by its `Graph.storedName`.
  /// - Throws: `KilnError` (`badInput`) with the line number.
  package static func parse(
    _ text: String, resolve: (String, TensorType) throws -> Tensor = { name, _ in
      throw KilnError(.badInput, "the values of constant \(KilnError.quoted(name)) are missing")
    }
  ) throws -> Graph {
    var scanner = TextScanner(text)
    do {
      try scanner.keyword("graph")
      var count = 0
      let graph = try parseGraph(&scanner, Nesting(depth: 0, index: 0), &count, resolve)
      try scanner.expectEnd()
      return graph
    } catch let error as KilnError {
      throw error.inside("line \(scanner.line)")
    }
  }

  /// Where in the text a graph stands: how deep, and as which one in order of their beginnings.
  private struct Nesting {
    var depth: Int
    var index: Int
  }

  private typealias Resolve = (String, TensorType) throws -> Tensor

  /// The graph after its keyword.
  private static func parseGraph(
    _ scanner: inout TextScanner, _ nesting: Nesting, _ count: inout Int, _ resolve: Resolve
  ) throws -> Graph {
    guard nesting.depth <= Graph.maximumDepth else {
      throw KilnError(.badInput, "graphs are nested deeper than \(Graph.maximumDepth)")
    }
    var graph = Graph(name: try scanner.quotedString())
    try scanner.expect("{")
    while !scanner.accept("}") {
      if scanner.peek("%") {
        try parseNode(&scanner, &graph, nesting, &count, resolve)
        continue
      }
      switch try scanner.bareWord() {
      case "meta":
        let key = try scanner.word()
        try scanner.expect("=")
        graph.metadata[key] = try scanner.quotedString()
      case "input":
        let (name, type) = try declaration(&scanner)
        try graph.addInput(name, type)
      case "const":
        let (name, type) = try declaration(&scanner)
        guard let shape = type.shape, graph.value(named: name) == nil else {
          throw KilnError(.badInput, "constant \(KilnError.quoted(name)) has no fixed type, or exists already")
        }
        let tensor = scanner.accept("=") ? try literal(&scanner, type.dtype, shape)
          : try resolve(Graph.storedName(name, subgraph: nesting.index), type)
        guard tensor.dtype == type.dtype, tensor.shape == shape else {
          throw KilnError(
            .badInput,
            "constant \(KilnError.quoted(name)): expected \(type.message), found \(tensor.dtype.name)\(tensor.shape.shapeText)")
        }
        _ = graph.addConstant(name, tensor)
      case "state":
        let value = try reference(&scanner, graph)
        try scanner.expect("=")
        graph.states.append(State(value: value, next: try reference(&scanner, graph)))
      case "output":
        let name = try scanner.quotedString()
        try scanner.expect("=")
        graph.outputs.append(Graph.Output(name: name, value: try reference(&scanner, graph)))
      case let other: throw KilnError(.badInput, "expected meta, input, const, state, output or a node, found '\(KilnError.escaped(other))'")
      }
    }
    return graph
  }

  private static func parseNode(
    _ scanner: inout TextScanner, _ graph: inout Graph, _ nesting: Nesting, _ count: inout Int, _ resolve: Resolve
  ) throws {
    var results: [(name: String, type: TensorType)] = []
    repeat { results.append(try declaration(&scanner)) } while scanner.accept(",")
    try scanner.expect("=")
    let opName = try scanner.bareWord()
    guard let definition = OpCatalog.op(named: opName) else {
      throw KilnError(.badInput, "unknown op '\(KilnError.escaped(opName))'")
    }
    try scanner.expect("(")
    var operands: [ValueID] = []
    if !scanner.accept(")") {
      repeat { operands.append(try reference(&scanner, graph)) } while scanner.accept(",")
      try scanner.expect(")")
    }
    var attributes: Attributes = []
    if scanner.accept("{") {
      repeat {
        let name = try scanner.bareWord()
        try scanner.expect(":")
        attributes.append((name, try attribute(&scanner, depth: 0, nesting, &count, resolve)))
      } while scanner.accept(",")
      try scanner.expect("}")
    }
    let scope = scanner.accept("@") ? try scanner.word() : ""
    let device = scanner.acceptWord("on") ? try scanner.word() : ""
    var reader = try AttributeReader(op: opName, attributes)
    let op = try definition.init(from: &reader)
    try reader.finish()
    let inferred = try op.infer(operands.map(graph.type(of:)))
    guard inferred.count == results.count else {
      throw KilnError(.badInput, "op '\(opName)' makes \(inferred.count) results, found \(results.count)")
    }
    var outputs: [ValueID] = []
    for (result, type) in zip(results, inferred) {
      guard result.type == type else {
        throw KilnError(.badInput, "\(KilnError.quoted(result.name)) is declared \(result.type) where '\(opName)' makes \(type)")
      }
      guard graph.value(named: result.name) == nil else {
        throw KilnError(.badInput, "two values have the name \(KilnError.quoted(result.name))")
      }
      outputs.append(graph.declare(result.name, type))
    }
    graph.nodes.append(Node(op: op, inputs: operands, outputs: outputs, scope: scope, device: device))
  }

  private static func declaration(_ scanner: inout TextScanner) throws -> (String, TensorType) {
    try scanner.expect("%")
    let name = try scanner.word()
    try scanner.expect(":")
    return (name, try type(&scanner))
  }

  private static func reference(_ scanner: inout TextScanner, _ graph: Graph) throws -> ValueID {
    try scanner.expect("%")
    let name = try scanner.word()
    guard let id = graph.value(named: name) else {
      throw KilnError(.badInput, "no value has the name \(KilnError.quoted(name))")
    }
    return id
  }

  private static func type(_ scanner: inout TextScanner) throws -> TensorType {
    let word = try scanner.bareWord()
    guard let dtype = DType(name: word) else { throw KilnError(.badInput, "unknown dtype '\(KilnError.escaped(word))'") }
    return TensorType(dtype, try dims(&scanner, open: "[", close: "]"))
  }

  private static func dims(_ scanner: inout TextScanner, open: Character, close: Character) throws -> [Dim] {
    try scanner.expect(open)
    var dims: [Dim] = []
    if scanner.accept(close) { return dims }
    repeat { dims.append(try sum(&scanner, depth: 0)) } while scanner.accept(",")
    try scanner.expect(close)
    return dims
  }

  private static func sum(_ scanner: inout TextScanner, depth: Int) throws -> Dim {
    guard depth < 32 else { throw KilnError(.badInput, "a dim is nested too deeply") }
    var total: Dim = 0
    var negative = scanner.accept("-")
    while true {
      let term = try product(&scanner, depth: depth)
      total = negative ? total - term : total + term
      if scanner.accept("+") { negative = false } else if scanner.accept("-") { negative = true } else { return total }
    }
  }

  private static func product(_ scanner: inout TextScanner, depth: Int) throws -> Dim {
    var value: Dim = 1
    repeat {
      if let number = try scanner.integer() {
        value = value * Dim(number)
        continue
      }
      let name = try scanner.word()
      if name == "floor", scanner.accept("(") {
        try scanner.expect("(")
        let inner = try sum(&scanner, depth: depth + 1)
        try scanner.expect(")")
        try scanner.expect("/")
        guard let divisor = try scanner.integer(), divisor >= 2 else {
          throw KilnError(.badInput, "a dim is divided by what is not a number above 1")
        }
        try scanner.expect(")")
        value = value * inner.floorDivided(by: divisor)
      } else {
        value = value * .symbol(name)
      }
    } while scanner.accept("*")
    return value
  }

  private static func attribute(
    _ scanner: inout TextScanner, depth: Int, _ nesting: Nesting, _ count: inout Int, _ resolve: Resolve
  ) throws -> AttributeValue {
    guard depth < 16 else { throw KilnError(.badInput, "an attribute is nested too deeply") }
    if scanner.peek("\"") { return .string(try scanner.quotedString()) }
    if scanner.peek("<") { return .dims(try dims(&scanner, open: "<", close: ">")) }
    if scanner.accept("[") {
      var items: [AttributeValue] = []
      if scanner.accept("]") { return .list(items) }
      repeat { items.append(try attribute(&scanner, depth: depth + 1, nesting, &count, resolve)) } while scanner.accept(",")
      try scanner.expect("]")
      return .list(items)
    }
    if let number = try scanner.number() { return number }
    switch try scanner.bareWord() {
    case "true": return .bool(true)
    case "false": return .bool(false)
    case "nan": return .float(.nan)
    case "inf": return .float(.infinity)
    case "graph" where scanner.peek("\""):
      count += 1
      return .graph(try parseGraph(&scanner, Nesting(depth: nesting.depth + 1, index: count), &count, resolve))
    case let word: return .word(word)
    }
  }

  private static func literal(_ scanner: inout TextScanner, _ dtype: DType, _ shape: Shape) throws -> Tensor {
    if dtype == .string { return Tensor(strings: try texts(&scanner, shape), shape: shape) }
    var count = 0
    let list = try attribute(&scanner, depth: 14, Nesting(depth: Graph.maximumDepth, index: 0), &count) { name, _ in
      throw KilnError(.badInput, "no constant \(KilnError.quoted(name))")
    }
    guard case .list(let items) = list, items.count == checkedProduct(shape) else {
      throw wrongCount(shape)
    }
    if dtype.isFloat {
      let values: [Double] = try items.map {
        switch $0 {
        case .float(let value): value
        case .int(let value): Double(value)
        default: throw wrongItem
        }
      }
      return try Tensor(converting: values, to: dtype, shape: shape)
    }
    return try Tensor(
      integers: items.map { if case .int(let value) = $0 { Int64(value) } else { throw wrongItem } }, dtype: dtype, shape: shape)
  }

  private static func texts(_ scanner: inout TextScanner, _ shape: Shape) throws -> [ByteString] {
    var items: [ByteString] = []
    try scanner.expect("[")
    if !scanner.accept("]") {
      repeat {
        guard scanner.peek("\"") else { throw wrongItem }
        items.append(try scanner.byteString())
      } while scanner.accept(",")
      try scanner.expect("]")
    }
    guard items.count == checkedProduct(shape) else { throw wrongCount(shape) }
    return items
  }

  private static func wrongCount(_ shape: Shape) -> KilnError {
    KilnError(.badInput, "a constant's values do not fill its shape \(shape.shapeText)")
  }

  private static var wrongItem: KilnError { KilnError(.badInput, "a constant's value does not fit its dtype") }
}
