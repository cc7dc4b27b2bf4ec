import CKernels
import GraphModule
import TensorModule

/// A graph bound to concrete shapes, kernels, packed weights and memory offsets. Immutable; running it allocates nothing
/// unless a node has no fast kernel.
///
/// Steps address their operands as (base, offset). Base 0 is the call's arena, base 1 the lowest address among weights,
/// then one base for each input and one for each output: those are read and written in place.
package final class Plan: @unchecked Sendable {
  /// A run of native steps, or what runs between two of them.
  struct Segment {
    var firstStep: Int32
    var stepCount: Int32
    /// An index in `hostActions`, or −1.
    var host: Int32
  }

  package let inputs: [TensorSpec]
  package let outputs: [TensorSpec]
  package let report: PlanReport
  package let arenaBytes: Int
  package let stepCount: Int

  let steps: UnsafePointer<kiln_step>
  let operands: UnsafePointer<kiln_operand>
  let segments: [Segment]
  let hostActions: [HostAction]
  /// The number of string values that host steps hand to each other.
  let stringSlotCount: Int
  /// Where string inputs and outputs live, by position; nil for other dtypes.
  let inputStrings: [Int?]
  let outputStrings: [Int?]
  let weightsBase: UnsafeRawPointer?
  /// One for each error flag; the flags lie behind the arena's planned part.
  let flagErrors: [KilnError]
  /// Inputs that steps write over; only those that the builder was told may be.
  let overwrittenInputs: Set<Int>
  /// Outputs that lie in the memory of the input whose place they take.
  let inPlaceOutputs: Set<Int>
  /// How many iterations of loops one prediction may take.
  let maximumIterations: Int
  /// What `DeviceRun` nodes run.
  package let deviceProgram: (any DeviceProgram)?
  private let memory: ParameterMemory
  private let weights: [RuntimeMemory]
  private let constants: [Tensor]

  static let arenaBase: Int32 = 0
  static let weightBase: Int32 = 1
  static let firstInputBase: Int32 = 2

  var baseCount: Int { Int(Plan.firstInputBase) + inputs.count + outputs.count }

  /// Whether nothing is left to the slow path, so that a prediction allocates nothing.
  package var isNative: Bool { hostActions.allSatisfy(\.isNative) }

  /// Bytes of the arena with the error flags behind it.
  var workspaceBytes: Int { arenaBytes + flagErrors.count * MemoryLayout<Int32>.stride }

  init(_ parts: Parts) {
    inputs = parts.inputs
    outputs = parts.outputs
    report = parts.report
    arenaBytes = parts.report.arenaBytes
    stepCount = parts.stepCount
    steps = parts.steps
    operands = parts.operands
    segments = parts.segments
    hostActions = parts.hostActions
    overwrittenInputs = parts.overwrittenInputs
    inPlaceOutputs = parts.inPlaceOutputs
    maximumIterations = parts.maximumIterations
    stringSlotCount = parts.stringSlotCount
    inputStrings = parts.inputStrings
    outputStrings = parts.outputStrings
    weightsBase = parts.weightsBase
    flagErrors = parts.flagErrors
    deviceProgram = parts.deviceProgram
    memory = parts.memory
    weights = parts.weights
    constants = parts.constants
  }

  /// What the builder hands over.
  struct Parts {
    var inputs: [TensorSpec]
    var outputs: [TensorSpec]
    var report: PlanReport
    var stepCount: Int
    var steps: UnsafePointer<kiln_step>
    var operands: UnsafePointer<kiln_operand>
    var segments: [Segment]
    var hostActions: [HostAction]
    var overwrittenInputs: Set<Int>
    var inPlaceOutputs: Set<Int>
    var maximumIterations: Int
    var stringSlotCount: Int
    var flagErrors: [KilnError]
    var inputStrings: [Int?]
    var outputStrings: [Int?]
    var weightsBase: UnsafeRawPointer?
    var deviceProgram: (any DeviceProgram)?
    var memory: ParameterMemory
    var weights: [RuntimeMemory]
    var constants: [Tensor]
  }
}
