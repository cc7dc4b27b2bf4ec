import GPURuntime
import TensorModule

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
  /// Gets one line when a GPU is missing or fails and the processor goes on.
  public var onWarning: (@Sendable (String) -> Void)?

  public init(
    _ choice: Choice = .cpu, precision: Precision = .fp32, placements: [(scope: String, choice: Choice)] = [],
    onWarning: (@Sendable (String) -> Void)? = nil
  ) {
    self.choice = choice
    self.precision = precision
    self.placements = placements
    self.onWarning = onWarning
  }

  /// The device, opened; nil for the processor alone.
  ///
  /// - Throws: `KilnError` (`failed`) when there must be a GPU and there is none.
  func backend() throws -> GPUBackend? {
    if choice == .cpu { return nil }
    let options = GPUBackend.Options(
      precision: precision == .fp16 ? .float16 : .float32, isStrict: choice == .gpu,
      rules: placements.filter { $0.choice != .auto }.map { PlacementRule(scope: $0.scope, isDevice: $0.choice == .gpu) }, onWarning: onWarning)
    do { return try GPUBackend(GPUDevice.chosen(), options: options) } catch let error as KilnError {
      if choice == .gpu { throw error }
      onWarning?("no GPU is used: \(error.message)")
      return nil
    }
  }
}
