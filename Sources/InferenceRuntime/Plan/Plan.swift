import CKernels
import GraphModule
import TensorModule

/// A graph bound to concrete shapes, kernels, packed weights and memory offsets. Immutable; running it allocates nothing
/// unless a node has no fast kernel.
///
/// Steps address their operands as (base, offset). Base 0 is the call's arena, base 1 the lowest address among weights,
/// then one base for each input and one for each output: those are read and written in place.
package final class Plan: @unchecked Sendable {
  /// A run of native steps, or one node on the slow path.
  struct Segment {
    var firstStep: Int32
    var stepCount: Int32
    /// An index in `hostSteps`, or −1.
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
  let hostSteps: [HostStep]
  /// The number of string values that host steps hand to each other.
  let stringSlotCount: Int
  /// Where string inputs and outputs live, by position; nil for other dtypes.
  let inputStrings: [Int?]
  let outputStrings: [Int?]
  let weightsBase: UnsafeRawPointer?
  /// One for each error flag; the flags lie behind the arena's planned part.
  let flagErrors: [KilnError]
  private let memory: ParameterMemory
  private let weights: [RuntimeMemory]
  private let constants: [Tensor]

  static let arenaBase: Int32 = 0
  static let weightBase: Int32 = 1
  static let firstInputBase: Int32 = 2

  var baseCount: Int { Int(Plan.firstInputBase) + inputs.count + outputs.count }

  /// Whether nothing is left to the slow path, so that a prediction allocates nothing.
  package var isNative: Bool { hostSteps.isEmpty }

  init(_ parts: Parts) {
    inputs = parts.inputs
    outputs = parts.outputs
    report = parts.report
    arenaBytes = parts.report.arenaBytes
    stepCount = parts.stepCount
    steps = parts.steps
    operands = parts.operands
    segments = parts.segments
    hostSteps = parts.hostSteps
    stringSlotCount = parts.stringSlotCount
    inputStrings = parts.inputStrings
    outputStrings = parts.outputStrings
    weightsBase = parts.weightsBase
    flagErrors = parts.flagErrors
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
    var hostSteps: [HostStep]
    var stringSlotCount: Int
    var flagErrors: [KilnError]
    var inputStrings: [Int?]
    var outputStrings: [Int?]
    var weightsBase: UnsafeRawPointer?
    var memory: ParameterMemory
    var weights: [RuntimeMemory]
    var constants: [Tensor]
  }
}
