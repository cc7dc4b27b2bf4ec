import GraphModule
import TensorModule

/// One node of the graph while it is written: its operands by name, the nodes that it becomes.
struct ONNXNodeWriter {
  let scope: ONNXGraphWriter
  let node: Node

  /// The name of the node's result, which what it is made of begins with.
  var label: String { node.outputs.first.map { scope.graph[$0].name } ?? node.op.opName }

  func unsupported(_ message: String) -> KilnError { KilnError(.unsupportedModel, message) }

  // MARK: Operands and results

  func type(_ index: Int) -> TensorType { scope.type(node.inputs[index]) }
  func resultType(_ index: Int = 0) -> TensorType { scope.type(node.outputs[index]) }

  /// An operand with its axes in the graph's order.
  func x(_ index: Int) throws -> String { try scope.name(node.inputs[index]) }

  func x(_ index: Int, order: [Int]) throws -> String { try scope.name(node.inputs[index], order: order) }

  func constant(_ index: Int) -> Tensor? { scope.graph.constants[node.inputs[index]] }

  func define(_ index: Int, _ name: String, order: [Int]? = nil) { scope.define(node.outputs[index], name, order: order) }

  func isUsed(_ index: Int) -> Bool {
    let id = node.outputs[index]
    return scope.users[id] != nil || scope.graph.outputs.contains { $0.value == id }
  }

  // MARK: Nodes

  func emit(_ op: String, _ inputs: [String], _ attributes: [(String, ONNXDraftAttribute)] = [], results: Int = 1) -> [String] {
    scope.emit(op, inputs, attributes, results: results, named: "\(label)/\(op)")
  }

  func one(_ op: String, _ inputs: String..., attributes: [(String, ONNXDraftAttribute)] = []) -> String { emit(op, inputs, attributes)[0] }

  /// The last node: the result gets its own name, when it lies as in the graph.
  func finish(_ op: String, _ inputs: [String], _ attributes: [(String, ONNXDraftAttribute)] = [], order: [Int]? = nil) {
    let straight = order == nil || order == ONNXGraphWriter.straight(order?.count ?? 0)
    define(0, scope.emit(op, inputs, attributes, named: straight ? label : "\(label)_turned")[0], order: order)
  }

  func ints(_ values: [Int]) throws -> String { try scope.ints(values) }
  func scalar(_ value: Double, _ dtype: DType) throws -> String { try scope.draft.numbers([value], dtype, []) }

  func cast(_ name: String, _ dtype: DType) -> String { one("Cast", name, attributes: [("to", .int(ONNXDataType(dtype).number))]) }

  func transpose(_ name: String, _ permutation: [Int]) -> String {
    permutation == ONNXGraphWriter.straight(permutation.count) ? name : one("Transpose", name, attributes: [("perm", .ints(permutation))])
  }

  func squeeze(_ name: String, _ axes: [Int]) throws -> String { one("Squeeze", name, try ints(axes)) }
  func unsqueeze(_ name: String, _ axes: [Int]) throws -> String { one("Unsqueeze", name, try ints(axes)) }

  func slice(_ name: String, axis: Int, _ start: Int, _ end: Int, step: Int = 1) throws -> String {
    one("Slice", name, try ints([start]), try ints([end]), try ints([axis]), try ints([step]))
  }

  /// A name with its axis reversed.
  func reverse(_ name: String, _ axes: [Int]) throws -> String {
    one(
      "Slice", name, try ints(axes.map { _ in -1 }), try ints(axes.map { _ in ONNXNodeWriter.lowest }), try ints(axes),
      try ints(axes.map { _ in -1 }))
  }

  /// Ends of slices that reach to the last or before the first element.
  static let highest = Int(Int32.max)
  static let lowest = -Int(Int32.max)

  /// The function of the epilogue: + bias (when the op itself has none) + residual, then the activation.
  func epilogue(_ epilogue: Epilogue, _ name: String, order: [Int], dtype: DType, bias: String? = nil) throws {
    var result = name
    let steps = (bias == nil ? 0 : 1) + (epilogue.residual ? 1 : 0) + (epilogue.activation.function == .identity ? 0 : 1)
    guard steps > 0 else { return define(0, result, order: order) }
    if let bias { result = one("Add", result, bias) }
    if let index = epilogue.residualIndex() { result = one("Add", result, try x(index, order: order)) }
    let activation = epilogue.activation
    define(0, try function(activation.function, activation.parameters, [result], dtype), order: order)
  }

  // MARK: Orders of axes

  /// The order of axes for operands that broadcast together that needs the fewest transposes.
  func commonOrder(_ operands: [Int], rank: Int) throws -> [Int] {
    let straight = ONNXGraphWriter.straight(rank)
    var candidates: [[Int]] = []
    for index in operands where !scope.isConstant(node.inputs[index]) && type(index).rank == rank {
      for form in scope.forms[node.inputs[index]] ?? [] where !candidates.contains(form.order) { candidates.append(form.order) }
    }
    if candidates.count <= 1 { return candidates.first ?? straight }
    func cost(_ order: [Int]) -> Int {
      operands.reduce(0) { sum, index in
        let id = node.inputs[index]
        let dims = type(index).dims
        if scope.isConstant(id) || dims.allSatisfy({ $0.fixed == 1 }) { return sum }
        if dims.count < rank { return sum + (order == straight ? 0 : 1) }
        return sum + ((scope.forms[id] ?? []).contains { $0.order == order } ? 0 : 1)
      }
    }
    // The last of equals is not the straight one, which what follows a window would have to turn again.
    return candidates.sorted { ($0 == straight ? 0 : 1, 0) > ($1 == straight ? 0 : 1, 0) }.min { cost($0) < cost($1) } ?? straight
  }

  /// An operand that broadcasts to `rank` axes in an order.
  func spread(_ index: Int, rank: Int, order: [Int]) throws -> String {
    let (id, type) = (node.inputs[index], type(index))
    if order == ONNXGraphWriter.straight(rank) || type.dims.allSatisfy({ $0.fixed == 1 }) && type.rank < rank { return try x(index) }
    if type.rank == rank { return try x(index, order: order) }
    let dims = [Dim](repeating: 1, count: rank - type.rank) + type.dims
    if let tensor = constant(index), let shape = TensorType(type.dtype, dims).shape {
      return scope.constant(tensor.reshaped(shape), scope.graph[id].name, order)
    }
    let wide = try scope.reshaped(try x(index), type.dims, to: dims, named: "\(label)/Reshape")
    return try scope.turned(ONNXGraphWriter.Form(name: wide, order: ONNXGraphWriter.straight(rank)), dims, to: order, named: "\(label)/wide")
  }
}
