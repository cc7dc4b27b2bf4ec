import GraphModule
import TensorModule

/// A graph while its nodes are written into a block.
///
/// A value of the graph may lie in the file under several orders of its axes: `Form.order[i]` is the axis of the file's tensor that
/// is axis i of the value. Transposes of the graph only name another order; one is written where a node needs an order that
/// there is not yet. So the ops that ONNX has channels-first pass their results on as they are, and transposes remain where the
/// model's inputs, outputs or an op that joins axes ask for them.
final class ONNXGraphWriter {
  struct Form {
    var name: String
    var order: [Int]
  }

  let graph: Graph
  let draft: ONNXDraft
  let block: ONNXBlock
  let users: [ValueID: [Int]]
  private(set) var forms: [ValueID: [Form]] = [:]
  /// Where a symbol can be read off: an axis of a value.
  private var symbols: [String: (value: ValueID, axis: Int)] = [:]
  private var lengths: [Dim: String] = [:]
  /// Sequences that lie in the file in the opposite order of time.
  var reversed: [ValueID: Form] = [:]
  /// Products' operands that were flattened channels-first: the dims that they had, in the graph's order.
  var flattened: [ValueID: (name: String, dims: [Int], order: [Int])] = [:]

  init(_ graph: Graph, _ draft: ONNXDraft, _ block: ONNXBlock) {
    self.graph = graph
    self.draft = draft
    self.block = block
    users = graph.consumers()
  }

  // MARK: Nodes

  /// Writes every node.
  func writeNodes() {
    for node in graph.nodes {
      do { try ONNXWriterCatalog.write(ONNXNodeWriter(scope: self, node: node)) } catch let error as KilnError {
        draft.problems.append("\(KilnError.quoted(node.outputs.first.map { graph[$0].name } ?? node.op.opName)): \(error.message)")
      } catch { draft.problems.append("\(error)") }
      // What could not be written stands for itself, so that one run finds every problem.
      for output in node.outputs where forms[output] == nil { define(output, draft.unique(graph[output].name)) }
      if node.op is any DataDependentOp { for output in node.outputs { bindSymbols(output) } }
    }
  }

  /// Adds a node and gives the names of its results.
  func emit(
    _ op: String, _ inputs: [String], _ attributes: [(String, ONNXDraftAttribute)] = [], domain: String = "", results: Int = 1, named name: String
  ) -> [String] {
    let outputs = (0..<results).map { draft.unique($0 == 0 ? name : "\(name):\($0)") }
    block.nodes.append(
      ONNXDraftNode(op: op, domain: domain, inputs: inputs, outputs: outputs, attributes: attributes.map { (name: $0.0, value: $0.1) }))
    draft.uses(domain)
    return outputs
  }

  // MARK: Values

  func type(_ id: ValueID) -> TensorType { graph.type(of: id) }

  static func straight(_ rank: Int) -> [Int] { Array(0..<rank) }

  /// Batch, channels, then the other axes: what ONNX's windows take.
  static func channelsFirst(_ rank: Int) -> [Int] { rank < 2 ? straight(rank) : [0] + Array(2..<rank) + [1] }

  static func inverse(_ order: [Int]) -> [Int] {
    var result = order
    for (index, place) in order.enumerated() { result[place] = index }
    return result
  }

  func define(_ id: ValueID, _ name: String, order: [Int]? = nil) {
    define(id, [Form(name: name, order: order ?? ONNXGraphWriter.straight(type(id).rank))])
  }

  func define(_ id: ValueID, _ all: [Form]) { forms[id, default: []] += all }

  /// The symbols that are the dims of a value.
  func bindSymbols(_ id: ValueID) {
    for (axis, dim) in type(id).dims.enumerated() {
      if let symbol = dim.plainSymbol, symbols[symbol] == nil { symbols[symbol] = (id, axis) }
    }
  }

  func isConstant(_ id: ValueID) -> Bool { graph.constants[id] != nil }

  /// The form in which a value was made; constants and values without one come straight.
  func native(_ id: ValueID) throws -> Form {
    if let form = forms[id]?.first { return form }
    let order = ONNXGraphWriter.straight(type(id).rank)
    return Form(name: try name(id, order: order), order: order)
  }

  /// The name of a value's tensor with its axes in the graph's order.
  func name(_ id: ValueID) throws -> String { try name(id, order: ONNXGraphWriter.straight(type(id).rank)) }

  /// The name of a value's tensor with its axes in an order.
  func name(_ id: ValueID, order: [Int]) throws -> String {
    if let form = forms[id]?.first(where: { $0.order == order }) { return form.name }
    let value = graph[id]
    if let tensor = graph.constants[id] {
      let name = constant(tensor, value.name, order)
      define(id, name, order: order)
      return name
    }
    guard let from = forms[id]?.first else { throw KilnError(.internal, "\(KilnError.quoted(value.name)) is not written yet") }
    let name = try turned(from, value.type.dims, to: order, named: value.name)
    define(id, name, order: order)
    return name
  }

  /// A constant with its axes in an order.
  func constant(_ tensor: Tensor, _ name: String, _ order: [Int]) -> String {
    let permutation = ONNXGraphWriter.inverse(order)
    if permutation == ONNXGraphWriter.straight(order.count) { return draft.initializer(name, tensor) }
    if tensor.dtype == .string {
      // Strings are few; the graph's own code turns them.
      let type = TensorType(.string, shape: permutation.map { tensor.shape[$0] })
      let turned = try? Transpose(permutation).reference([ReferenceTensor(tensor)], [type]).first?.tensor()
      return draft.initializer(name, turned ?? tensor)
    }
    return draft.initializer(name, tensor.dtype, permutation.map { tensor.shape[$0] }) { try tensor.transposed(permutation) }
  }

  /// A form's tensor with its axes in another order: a reshape where only axes of length 1 move.
  func turned(_ from: Form, _ dims: [Dim], to order: [Int], named name: String) throws -> String {
    if from.order == order { return from.name }
    let places = ONNXGraphWriter.inverse(order)
    let permutation = places.map { from.order[$0] }
    let source = ONNXGraphWriter.inverse(from.order).map { dims[$0] }
    let moved = permutation.filter { source[$0].fixed != 1 }
    let result = places.map { dims[$0] }
    let suffix = order == ONNXGraphWriter.straight(order.count) ? name : "\(name)_turned"
    if moved == moved.sorted() { return try reshaped(from.name, source, to: result, named: suffix) }
    return emit("Transpose", [from.name], [("perm", .ints(permutation))], named: suffix)[0]
  }

  // MARK: Sizes

  func ints(_ values: [Int]) throws -> String { try draft.numbers(values.map(Double.init), .int64, [values.count]) }

  /// A dim as an int64 vector of one element.
  func length(_ dim: Dim) throws -> String {
    if let fixed = dim.fixed { return try ints([fixed]) }
    if let name = lengths[dim] { return name }
    var sum: String?
    func join(_ op: String, _ left: String?, _ right: String) -> String {
      left.map { emit(op, [$0, right], named: "size/\(op.lowercased())")[0] } ?? right
    }
    for term in dim.terms {
      var product: String?
      for atom in term.atoms {
        switch atom {
        case .symbol(let symbol):
          guard let (id, axis) = symbols[symbol] else {
            throw KilnError(.unsupportedModel, "the size \(KilnError.quoted(symbol)) cannot be computed where it is needed")
          }
          let form = try native(id)
          let place = form.order[axis]
          let shape = emit("Shape", [form.name], [("start", .int(place)), ("end", .int(place + 1))], named: "size/\(symbol)")[0]
          product = join("Mul", product, shape)
        case .quotient(let inner, let divisor): product = join("Mul", product, emit("Div", [try length(inner), try ints([divisor])], named: "size/div")[0])
        }
      }
      var whole = product
      if term.coefficient != 1 || product == nil { whole = join("Mul", product, try ints([term.coefficient])) }
      if let whole { sum = join("Add", sum, whole) }
    }
    if dim.constant != 0 { sum = join("Add", sum, try ints([dim.constant])) }
    let name = try sum ?? ints([0])
    lengths[dim] = name
    return name
  }

  /// Dims as an int64 vector.
  func shape(_ dims: [Dim]) throws -> String {
    if dims.allSatisfy({ $0.fixed != nil }) { return try ints(dims.map { $0.fixed ?? 0 }) }
    return emit("Concat", try dims.map(length), [("axis", .int(0))], named: "size/shape")[0]
  }

  /// A Reshape from dims to others: its shape has numbers, 0 for a dim that stays, −1 for one that follows.
  func reshaped(_ value: String, _ source: [Dim], to dims: [Dim], named name: String) throws -> String {
    var open = 0
    let values = dims.enumerated().map { axis, dim -> Int in
      if let fixed = dim.fixed { return fixed }
      if axis < source.count, source[axis] == dim { return 0 }
      open += 1
      return -1
    }
    // With an axis of length 0 nothing follows from the number of elements, and 0 is a length.
    if dims.contains(0) { return emit("Reshape", [value, try shape(dims)], [("allowzero", .int(1))], named: name)[0] }
    return emit("Reshape", [value, open <= 1 ? try ints(values) : try shape(dims)], named: name)[0]
  }
}
