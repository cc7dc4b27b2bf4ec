import GraphModule
import TensorModule

/// A loop or branch that runs its graphs on tensors, with plans for the shapes that come up: for strings and for sizes
/// that depend on the data. Allocates.
struct InterpretedStep: Sendable {
  enum Op: Sendable {
    case loop(Loop)
    case branch(Branch)
  }

  var op: Op
  var name: String
  /// One for each subgraph, in the op's order.
  var plans: [PlanCache]
  var inputs: [HostStep.Operand]
  var outputs: [HostStep.Operand]
  var outputTypes: [TensorType]

  func run(_ workspace: Workspace) throws {
    let operands = try inputs.map { try HostStep.read($0, workspace, name) }
    let results: [Tensor]
    do { results = try self.results(operands, workspace) } catch let error as KilnError { throw error.inside(name) }
    for (index, place) in outputs.enumerated() {
      try HostStep.write(results[index], place, workspace, name)
    }
  }

  private func results(_ operands: [Tensor], _ workspace: Workspace) throws -> [Tensor] {
    switch op {
    case .branch(let op):
      let index = op.index(operands[0].integers[0])
      return try plans[index].run(Array(operands.dropFirst()))
    case .loop(let op): return try run(op, operands, workspace)
    }
  }

  private func run(_ op: Loop, _ operands: [Tensor], _ workspace: Workspace) throws -> [Tensor] {
    var values = Array(operands[..<op.carried])
    let slices = Array(operands[op.carried..<op.carried + op.sliced])
    let captures = Array(operands[(op.carried + op.sliced)...])
    let bound = min(slices.first?.shape.first ?? Int.max, op.maxTrips ?? Int.max)
    var rows = [[Tensor]](repeating: [], count: op.stacked)
    var count = 0
    guard let body = plans.last else { throw KilnError(.internal, "a loop has no body") }
    while count < bound {
      let number = try Tensor(integers: [Int64(count)], dtype: .int64, shape: [])
      if op.condition != nil, try plans[0].run([number] + values + captures)[0].integers[0] == 0 { break }
      try workspace.countIteration()
      let slice = slices.map { $0.row(count) }
      let results = try body.run([number] + values + slice + captures)
      values = Array(results[..<op.carried])
      for index in rows.indices { rows[index].append(results[op.carried + index]) }
      count += 1
    }
    let stacks = try zip(rows, outputTypes[op.carried...]).map { rows, type in
      try Tensor.stack(rows, type.dtype, type.shape ?? [])
    }
    return values + stacks + [try Tensor(integers: [Int64(count)], dtype: .int64, shape: [])]
  }
}

extension Tensor {
  /// Row `index` along axis 0.
  func row(_ index: Int) -> Tensor {
    let shape = Array(self.shape.dropFirst())
    let size = shape.elementCount
    if dtype == .string { return Tensor(strings: Array(strings[index * size..<(index + 1) * size]), shape: shape) }
    return Tensor(dtype: dtype, shape: shape, address: address + index * size * dtype.byteCount, owner: self)
  }

  /// Rows one after the other; what they leave of `shape` is 0 or an empty string.
  static func stack(_ rows: [Tensor], _ dtype: DType, _ shape: Shape) throws -> Tensor {
    if dtype == .string {
      let items = rows.flatMap(\.strings)
      return Tensor(strings: items + [ByteString](repeating: ByteString(""), count: max(0, shape.elementCount - items.count)), shape: shape)
    }
    return try Tensor(dtype: dtype, shape: shape) { memory in
      var offset = 0
      for row in rows where row.byteCount > 0 && row.byteCount <= memory.count - offset {
        guard let base = memory.baseAddress else { continue }
        (base + offset).copyMemory(from: row.address, byteCount: row.byteCount)
        offset += row.byteCount
      }
    }
  }
}
