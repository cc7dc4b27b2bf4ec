import CKernels
import GraphModule
import TensorModule

/// A node without a fast kernel: it runs its op's definition on tensors. Supports every op and dtype; slow, allocates.
struct HostStep: Sendable {
  enum Operand: Sendable {
    case constant(Tensor)
    /// Numbers in memory.
    case memory(TensorType, base: Int32, offset: Int64)
    /// Strings, in the call's slot.
    case strings(slot: Int)
  }

  var op: any OpDefinition
  var name: String
  var inputs: [Operand]
  var outputs: [Operand]
  var outputTypes: [TensorType]

  func run(_ workspace: Workspace) throws {
    let operands = try inputs.map { ReferenceTensor(try HostStep.read($0, workspace, name)) }
    let results: [ReferenceTensor]
    do { results = try op.evaluated(operands, outputTypes) } catch let error as KilnError {
      throw error.inside(name)
    }
    for (result, place) in zip(results, outputs) { try HostStep.write(try result.tensor(), place, workspace, name) }
  }

  static func write(_ tensor: Tensor, _ place: Operand, _ workspace: Workspace, _ name: String) throws {
    switch place {
    case .strings(let slot): workspace.strings[slot] = tensor
    case .memory(let type, let base, let offset):
      guard TensorType(tensor.dtype, shape: tensor.shape) == type, let target = workspace.address(base, offset) else {
        throw KilnError(
          .internal, "\(type) was promised and \(tensor.dtype.name)\(tensor.shape.shapeText) was made", at: [name])
      }
      target.copyMemory(from: tensor.address, byteCount: tensor.byteCount)
    case .constant: break
    }
  }

  static func read(_ operand: Operand, _ workspace: Workspace, _ name: String) throws -> Tensor {
    switch operand {
    case .constant(let tensor): return tensor
    case .strings(let slot):
      guard let tensor = workspace.strings[slot] else {
        throw KilnError(.internal, "strings are read before they are made", at: [name])
      }
      return tensor
    case .memory(let type, let base, let offset):
      guard let shape = type.shape, let address = workspace.address(base, offset) else {
        throw KilnError(.internal, "an operand has no memory", at: [name])
      }
      return Tensor(dtype: type.dtype, shape: shape, address: UnsafeRawPointer(address), owner: workspace)
    }
  }
}
