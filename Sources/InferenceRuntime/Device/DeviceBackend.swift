import GraphModule
import TensorModule

/// A device beside the processor, to which plans can give runs of their nodes.
package protocol DeviceBackend: AnyObject, Sendable {
  /// The graph with runs of nodes that the device takes in the form of `DeviceRun` nodes, nodes reordered as it sees fit; nil
  /// when the device takes none.
  ///
  /// - Parameters:
  ///   - graph: its shapes are all fixed.
  ///   - residents: the inputs and outputs that lie in the device's own memory; the graph of the placement does not have them.
  /// - Throws: `KilnError` when the device fails, or must take nodes that it cannot run.
  func place(_ graph: Graph, _ residents: DeviceResidents) throws -> DevicePlacement?

  /// Whether the processor takes over after an error, because the device failed and may be done without; says so once.
  func fallBack(after error: KilnError) -> Bool

  /// Whether `fallBack` may ever say so.
  var mayFallBack: Bool { get }

  /// Memory for residents; its contents are not set.
  func memory(byteCount: Int) throws -> any DeviceMemory

  /// Bytes to which places in such memory are aligned.
  var alignment: Int { get }
}

/// What a device makes of a graph.
package struct DevicePlacement: Sendable {
  package var graph: Graph
  package var program: any DeviceProgram

  package init(graph: Graph, program: any DeviceProgram) {
    self.graph = graph
    self.program = program
  }
}

/// What a device runs for one plan: a part for each `DeviceRun` node. Immutable.
package protocol DeviceProgram: AnyObject, Sendable {
  /// The memory of one prediction on the device.
  func workspace() throws -> any DeviceWorkspace
  /// The nodes of a part, for reports: in the order of their times.
  func nodes(of part: Int) -> [PlanReport.NodeEntry]
  /// Bytes of the device's memory for results.
  var arenaBytes: Int { get }
}

/// Used by one prediction at a time.
package protocol DeviceWorkspace: AnyObject {
  /// Where operand `index` of a part is read from, and result `index` is written to.
  func setInput(_ part: Int, _ index: Int, _ address: UnsafeRawPointer?)
  func setOutput(_ part: Int, _ index: Int, _ address: UnsafeMutableRawPointer?)
  /// Runs a part and waits for its results. Allocates nothing.
  func run(_ part: Int) throws
  /// Runs a part; gives the nanoseconds of each of its nodes, then those of its transfers.
  func timedRun(_ part: Int) throws -> (nodes: [Int64], transfers: Int64)
}

/// A run of nodes on a device, as one node of the graph that the processor's plan is made of. It is made when a plan is
/// made, so it has no text form.
package struct DeviceRun: OpDefinition {
  package static let name = "device_run"
  package static let summary = "nodes that run on a device"
  package static var examples: [OpExample] { [] }

  /// The part of the plan's device program.
  package var part: Int
  package var types: [TensorType]

  package init(part: Int, types: [TensorType]) {
    self.part = part
    self.types = types
  }

  package var attributes: Attributes { [("part", .int(part))] }

  package init(from reader: inout AttributeReader) throws {
    throw KilnError(.badInput, "op 'device_run' is made by plans only")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] { types }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    throw KilnError(.internal, "op 'device_run' runs in plans only")
  }
}
