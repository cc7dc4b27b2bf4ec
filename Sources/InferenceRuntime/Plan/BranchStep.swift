import CKernels
import GraphModule
import TensorModule

/// A branch whose graphs are plans: the chosen one runs in a part of the outer plan's arena.
struct BranchStep: Sendable {
  var name: String
  var op: Branch
  var branches: [Plan]
  /// Index of the first graph's workspace in that of the outer plan.
  var nested = 0
  /// All graphs use the same part of the arena.
  var arena: Int64 = 0
  var selector: kiln_operand
  var selectorType: DType
  var captures: [kiln_operand]
  var results: [kiln_operand]

  func run(_ outer: Workspace, _ pool: ThreadPool) throws {
    guard let address = outer.address(selector) else { throw KilnError(.internal, "a branch has no selector", at: [name]) }
    let index = op.index(Self.integer(address, selectorType))
    let inner = outer.nested[nested + index]
    inner.clearFlags(branches[index])
    for capture in captures.indices { inner.setInput(capture, outer.address(captures[capture])) }
    for result in results.indices { inner.setOutput(result, outer.address(results[result])) }
    try Executor.run(branches[index], inner, pool)
  }

  static func integer(_ address: UnsafeRawPointer, _ dtype: DType) -> Int64 {
    switch dtype {
    case .bool: address.load(as: UInt8.self) != 0 ? 1 : 0
    case .uint8: Int64(address.load(as: UInt8.self))
    case .int8: Int64(address.load(as: Int8.self))
    case .int16: Int64(address.loadUnaligned(as: Int16.self))
    case .int32: Int64(address.loadUnaligned(as: Int32.self))
    default: address.loadUnaligned(as: Int64.self)
    }
  }
}
