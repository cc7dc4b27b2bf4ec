import GraphModule
import InferenceRuntime
import TensorModule

/// The device's share of a plan: kernels with their arguments, in parts between which the processor works. Immutable.
///
/// Values lie in one arena; a value that several parts use stays there. What a part reads from the processor lies side by side in
/// its *inbox*, what it gives in its *outbox*, so that each is one transfer.
final class GPUPlan: DeviceProgram {
  /// Bytes of the arena, or of memory that stays.
  struct Region: Hashable, Sendable {
    /// An index in `memories`, or −1 for the arena.
    var memory = -1
    var offset: Int
    var byteCount: Int
  }

  enum Argument: @unchecked Sendable {
    case absent
    case region(Region)
    case weights(GPUBuffer)
    case flag(Int)
    case int(Int32)
    case long(Int64)
    case float(Float)
    case double(Double)
  }

  struct Command: Sendable {
    enum Work: Sendable {
      case kernel(GPUProgram, String, [Argument], global: [Int], local: [Int])
      /// Operands and result of a product by CLBlast.
      case product(BlasProduct, GPUPrecision, [Argument])
      case copy(from: Region, to: Region)
      /// Flags to an outbox.
      case flags(to: Region)
    }

    var work: Work
    /// The node in its part, or −1 for moves between boxes.
    var node: Int
  }

  /// An operand or result of the part's `DeviceRun` node in a box.
  struct Piece: Sendable {
    var operand: Int
    var boxOffset: Int
    var byteCount: Int
  }

  struct Part: Sendable {
    var uploads: [Piece] = []
    var inbox = Region(offset: 0, byteCount: 0)
    var commands: Range<Int> = 0..<0
    var downloads: [Piece] = []
    var outbox = Region(offset: 0, byteCount: 0)
    /// Error flags that its kernels set, and where they lie in the outbox.
    var flags: Range<Int> = 0..<0
    var flagOffset = 0
    var nodes: [PlanReport.NodeEntry] = []
    var operandCount = 0
    var resultCount = 0
  }

  let context: GPUContext
  let failure: GPUFailure
  let commands: [Command]
  let parts: [Part]
  let arenaBytes: Int
  let flagErrors: [KilnError]
  /// What residents lie in. Runs then go through one queue with all others of the backend.
  let memories: [GPUMemory]

  init(
    _ context: GPUContext, _ failure: GPUFailure, _ commands: [Command], _ parts: [Part], arenaBytes: Int, flagErrors: [KilnError],
    memories: [GPUMemory]
  ) {
    self.memories = memories
    self.context = context
    self.failure = failure
    self.commands = commands
    self.parts = parts
    self.arenaBytes = arenaBytes
    self.flagErrors = flagErrors
  }

  func workspace() throws -> any DeviceWorkspace { try failure.noting { try GPUWorkspace(self) } }

  func nodes(of part: Int) -> [PlanReport.NodeEntry] { parts[part].nodes }
}
