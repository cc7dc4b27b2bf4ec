import GraphModule
import TensorModule

/// An input or output of a plan: its name and its fixed type.
package struct TensorSpec: Sendable, Hashable {
  package var name: String
  package var dtype: DType
  package var shape: Shape

  package var byteCount: Int { shape.elementCount * dtype.byteCount }
}

/// What a plan is built for, besides the graph and its shapes.
package struct PlanOptions: Sendable {
  /// Threads that share a step's work.
  package var threads: Int
  /// Only algorithms whose rounding is that of plain sums (no Winograd).
  package var exact: Bool
  /// Every node runs its op's definition: slow, for bisecting a wrong result.
  package var referenceOnly: Bool
  /// How many iterations the loops of one prediction may take in all.
  package var maximumIterations: Int
  /// How many bytes the results of one prediction may take at a time; nil for what the machine has left when the plan is made.
  package var memoryLimit: Int?
  /// The device that takes a share of the nodes.
  package var device: (any DeviceBackend)?
  /// What of the graph's inputs and outputs lies in memory of that device.
  package var residents = DeviceResidents()

  /// How weights are kept in layers that take as long as reading their weights.
  package var weights: WeightForm
  /// Weights stay where the model file has them, and are not transformed, even where that takes longer.
  package var lowMemory: Bool
  /// How often the plan will run, when that is known to be a few times; nil for many times.
  package var expectedRuns: Int?

  package static let defaultIterations = 100_000_000

  package init(
    threads: Int = 1, exact: Bool = false, referenceOnly: Bool = false, maximumIterations: Int = defaultIterations,
    memoryLimit: Int? = nil, weights: WeightForm = .float32, lowMemory: Bool = false, expectedRuns: Int? = nil,
    device: (any DeviceBackend)? = nil
  ) {
    self.weights = weights
    self.lowMemory = lowMemory
    self.expectedRuns = expectedRuns
    self.threads = threads
    self.exact = exact
    self.referenceOnly = referenceOnly
    self.maximumIterations = maximumIterations
    self.memoryLimit = memoryLimit
    self.device = device
  }
}

/// What a plan does for each node: for `kinfer profile` and `doctor`, and for tests.
package struct PlanReport: Sendable {
  package struct NodeEntry: Sendable {
    /// The name of the node's first result.
    package var name: String
    package var scope: String
    /// Where the source file wants the node to run; empty when it does not say.
    package var device = ""
    package var op: String
    /// The kernel, or `alias` when nothing runs, or `reference` for the slow path.
    package var kernel: String
    /// Why that kernel.
    package var reason = ""
    package var outputType: String
    package var flops: Int
    /// Bytes of all operands and results.
    package var bytes: Int
    package var parts: Int
    /// The node's steps in the plan; empty for aliases and for nodes on the slow path.
    package var steps: Range<Int>
    /// Whether the result took over the memory of an operand.
    package var inPlace: Bool
    /// The index of what runs the node between native steps, or −1.
    package internal(set) var host = -1
    /// The nodes of a run on a device.
    package var deviceNodes: [NodeEntry] = []

    package init(
      name: String, scope: String, device: String, op: String, kernel: String, outputType: String, flops: Int, bytes: Int, parts: Int,
      steps: Range<Int>, inPlace: Bool
    ) {
      self.name = name
      self.scope = scope
      self.device = device
      self.op = op
      self.kernel = kernel
      self.outputType = outputType
      self.flops = flops
      self.bytes = bytes
      self.parts = parts
      self.steps = steps
      self.inPlace = inPlace
    }

    package var isFallback: Bool { kernel == PlanReport.referenceKernel }
  }

  package static let referenceKernel = "reference"
  /// The kernel of a run on a device.
  package static let deviceKernel = "device"

  package var nodes: [NodeEntry] = []
  package var arenaBytes = 0
  /// The most bytes alive at one time: no arena could be smaller.
  package var arenaLowerBound = 0
  /// What the usual offline packing, the largest buffer first, would take.
  package var arenaGreedyBytes = 0

  package var flops: Int { nodes.reduce(0) { $0 + $1.flops } }
  /// The nodes without a fast kernel.
  package var fallbacks: [NodeEntry] { nodes.filter(\.isFallback) }
}
