import GPURuntime
import GraphModule
import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Where a model runs, and how.
public struct DeviceOptions: Sendable {
  public enum Choice: String, Sendable, CaseIterable {
    /// A GPU where it has kernels and is worth the transfers, the processor for the rest, and for all when there is no GPU. A
    /// processor's OpenCL driver (PoCL) is no GPU, unless `KILN_GPU` names it.
    case auto
    case cpu
    /// The GPU for every node; what cannot run there is an error.
    case gpu
  }

  /// How float32 values are stored on the GPU; arithmetic is float32.
  public enum Precision: String, Sendable, CaseIterable {
    case fp32, fp16
  }

  public var choice: Choice
  public var precision: Precision
  /// Scopes (`*` and `?` stand for any text and character) with the device that they are to run on; the last that matches counts.
  public var placements: [(scope: String, choice: Choice)]
  /// Nodes go to the GPU wherever a kernel exists, whatever it costs: for tests, whose models are small.
  package var ignoresCost = false
  /// Whether somebody asked for this choice. Where nobody did, small models do not look for a GPU, and that there is none is not told.
  public var isAsked = true
  /// Whether `auto` takes a processor's OpenCL driver too: for tests.
  package var acceptsProcessors = false
  /// How many batches run at once; nil leaves it to the device.
  package var lanes: Int?
  /// Gets one line (`note: …` or `warning: …`) when a part of the model stays on the processor, or a GPU is missing or fails.
  public var report: (@Sendable (String) -> Void)?

  public init(
    _ choice: Choice = .cpu, precision: Precision = .fp32, placements: [(scope: String, choice: Choice)] = [],
    report: (@Sendable (String) -> Void)? = nil
  ) {
    self.choice = choice
    self.precision = precision
    self.placements = placements
    self.report = report
  }

  /// What commands use when neither an option nor the environment names a device: a GPU, if there is one and the model is worth it.
  public static func standard(report: (@Sendable (String) -> Void)? = nil) -> DeviceOptions {
    var options = DeviceOptions(.auto, report: report)
    options.isAsked = false
    return options
  }

  /// The device, opened; nil for the processor alone.
  ///
  /// - Parameters:
  ///   - graph: what is to run; without it no model is too small.
  ///   - explain: gets the reason when `auto` leaves the whole model to the processor.
  /// - Throws: `KilnError` (`failed`) when there must be a GPU and there is none.
  func backend(for graph: Graph? = nil, exact: Bool = false, explain: (String) -> Void = { _ in }) throws -> GPUBackend? {
    if choice == .cpu { return nil }
    let warnings: (@Sendable (String) -> Void)? = report.map { report in { @Sendable line in if line.hasPrefix("warning") { report(line) } } }
    var options = GPUBackend.Options(
      precision: precision == .fp16 ? .float16 : .float32, isStrict: choice == .gpu,
      rules: placements.filter { $0.choice != .auto }.map(Self.rule), ignoresCost: ignoresCost || Self.variable("KILN_GPU_COST") == "0",
      exact: exact, tuning: .environment, report: isAsked ? report : warnings)
    options.lanes = lanes ?? Self.variable("KILN_GPU_LANES").flatMap { Int($0) }.map { min(max($0, 1), 8) }
    do {
      if choice == .auto, !acceptsProcessors {
        if !isAsked, !GPUHardware.mayBeHere { return nil }
        guard GPUHardware.mayBeHere else { throw KilnError(.failed, "no GPU is on this machine", hint: "--device gpu takes any OpenCL device") }
        if !isAsked, !options.ignoresCost, let graph, let reason = PlacementCost.reasonAgainstOpening(graph) {
          explain(reason)
          return nil
        }
      }
      return try GPUBackend(GPUDevice.chosen(acceptsProcessors: choice == .gpu || acceptsProcessors), options: options)
    } catch let error as KilnError {
      if choice == .gpu { throw error }
      explain(error.message)
      if isAsked { report?("warning: the model runs on the processor: \(error.message)") }
      return nil
    }
  }

  private static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

  /// - Throws: `KilnError` (`usage`) when a rule means no node of the graph, nor of those in its loops and branches.
  func check(_ graph: Graph) throws {
    if placements.isEmpty { return }
    var names: Set<String> = []
    var open = [graph]
    while let graph = open.popLast() {
      for node in graph.nodes {
        names.insert(node.scope)
        for output in node.outputs { names.insert(graph[output].name) }
        if let control = node.op as? any ControlFlowOp { open += control.subgraphs }
      }
    }
    for (scope, choice) in placements where !names.contains(where: Self.rule(scope, choice).matches) {
      throw KilnError(
        .usage, "the placement \(KilnError.quoted("\(scope)=\(choice.rawValue)")) matches no node of the model",
        hint: "kinfer profile lists the nodes and their scopes; * stands for any text")
    }
  }

  /// A scope means all that lies in it.
  private static func rule(_ scope: String, _ choice: Choice) -> PlacementRule {
    PlacementRule(scope: scope, isDevice: choice == .gpu) { Glob.matches(scope, $0) || Glob.matches(scope + "/*", $0) }
  }
}
