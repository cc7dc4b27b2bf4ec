import GPURuntime
import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Where a model runs, and how.
public struct DeviceOptions: Sendable {
  public enum Choice: String, Sendable, CaseIterable {
    /// The GPU where it has kernels and is worth the transfers, the processor for the rest, and for all when there is no GPU.
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

  /// The device, opened; nil for the processor alone.
  ///
  /// - Throws: `KilnError` (`failed`) when there must be a GPU and there is none.
  func backend() throws -> GPUBackend? {
    if choice == .cpu { return nil }
    let options = GPUBackend.Options(
      precision: precision == .fp16 ? .float16 : .float32, isStrict: choice == .gpu,
      rules: placements.filter { $0.choice != .auto }.map(Self.rule), ignoresCost: ignoresCost || getenv("KILN_GPU_COST").map { String(cString: $0) } == "0",
      report: report)
    do { return try GPUBackend(GPUDevice.chosen(), options: options) } catch let error as KilnError {
      if choice == .gpu { throw error }
      report?("warning: the model runs on the processor: \(error.message)")
      return nil
    }
  }

  /// A scope means all that lies in it.
  private static func rule(_ scope: String, _ choice: Choice) -> PlacementRule {
    PlacementRule(scope: scope, isDevice: choice == .gpu) { Glob.matches(scope, $0) || Glob.matches(scope + "/*", $0) }
  }
}
