import GraphModule
import TensorModule

/// A part of a device's program between two runs of the processor's steps.
struct DeviceStep: Sendable {
  var part: Int
  var name: String
  var inputs: [HostStep.Operand] = []
  var outputs: [HostStep.Operand] = []

  func run(_ workspace: Workspace) throws {
    let device = try bind(workspace)
    do { try device.run(part) } catch let error as KilnError { throw error.code == .badInput ? error : error.inside(name) }
  }

  /// - Returns: the nanoseconds of each node.
  func timedRun(_ workspace: Workspace) throws -> (nodes: [Int64], transfers: Int64) { try bind(workspace).timedRun(part) }

  private func bind(_ workspace: Workspace) throws -> any DeviceWorkspace {
    guard let device = workspace.device else { throw KilnError(.internal, "a plan has no device", at: [name]) }
    for (index, operand) in inputs.enumerated() { device.setInput(part, index, UnsafeRawPointer(try Self.address(operand, workspace))) }
    for (index, operand) in outputs.enumerated() { device.setOutput(part, index, try Self.address(operand, workspace)) }
    return device
  }

  private static func address(_ operand: HostStep.Operand, _ workspace: Workspace) throws -> UnsafeMutableRawPointer? {
    switch operand {
    case .constant(let tensor): UnsafeMutableRawPointer(mutating: tensor.address)
    case .memory(_, let base, let offset): workspace.address(base, offset)
    case .strings: throw KilnError(.internal, "a device takes no strings")
    }
  }
}
