import CKernels
import TensorModule

/// The memory of one running prediction: the arena and the table of bases. Used by one call at a time.
package final class Workspace: @unchecked Sendable {
  let bases: UnsafeMutablePointer<UnsafeMutableRawPointer?>
  let baseCount: Int
  /// String values of the slow path.
  var strings: [Tensor?]
  /// The workspaces of the plans that this one runs: they lie in its arena.
  let nested: [Workspace]
  /// Notes times, when someone asked for them.
  private(set) var recorder: StepRecorder?
  /// The memory on the plan's device.
  let device: (any DeviceWorkspace)?
  /// Nil in the workspace of a nested plan.
  private let arena: RuntimeMemory?

  private let inputCount: Int
  private let flags: UnsafeMutablePointer<Int32>
  /// How many more iterations the loops of this prediction may take; shared with the nested plans.
  private let iterations: UnsafeMutablePointer<Int>

  convenience init(_ plan: Plan) throws {
    let arena = try RuntimeMemory(byteCount: plan.workspaceBytes)
    let iterations = UnsafeMutablePointer<Int>.allocate(capacity: 1)
    iterations.initialize(to: plan.maximumIterations)
    do { try self.init(plan, arena: arena, base: arena.base, iterations) } catch {
      iterations.deallocate()
      throw error
    }
    clearFlags(plan)
  }

  private init(_ plan: Plan, arena: RuntimeMemory?, base: UnsafeMutableRawPointer, _ iterations: UnsafeMutablePointer<Int>) throws {
    device = try plan.deviceProgram?.workspace()
    nested = try plan.hostActions.flatMap(\.nestedPlans).map {
      try Workspace($0.plan, arena: nil, base: base + Int($0.offset), iterations)
    }
    self.arena = arena
    self.iterations = iterations
    inputCount = plan.inputs.count
    flags = (base + plan.arenaBytes).bindMemory(to: Int32.self, capacity: plan.flagErrors.count)
    baseCount = plan.baseCount
    bases = .allocate(capacity: plan.baseCount)
    bases.initialize(repeating: nil, count: plan.baseCount)
    bases[Int(Plan.arenaBase)] = base
    bases[Int(Plan.weightBase)] = UnsafeMutableRawPointer(mutating: plan.weightsBase)
    strings = [Tensor?](repeating: nil, count: plan.stringSlotCount)
  }

  deinit {
    bases.deallocate()
    if arena != nil { iterations.deallocate() }
  }

  /// Clears the flags of a plan; those of a nested plan lie in memory that has other uses in between.
  @inline(__always)
  func clearFlags(_ plan: Plan) {
    if !plan.flagErrors.isEmpty { flags.initialize(repeating: 0, count: plan.flagErrors.count) }
  }

  /// Has what runs in this workspace timed from now on; nil ends it.
  func record(_ recorder: StepRecorder?) {
    self.recorder = recorder
    for (index, inner) in nested.enumerated() { inner.record(recorder?.nested[index]) }
  }

  func allowIterations(_ count: Int) { iterations.pointee = count }

  /// Counts one iteration of a loop.
  ///
  /// - Throws: `KilnError` (`failed`) when the prediction has had its iterations, or its task was cancelled.
  @inline(__always)
  func countIteration() throws {
    iterations.pointee -= 1
    if iterations.pointee < 0 { throw KilnError(.failed, "the loops of this prediction did not end within their limit of iterations") }
    if iterations.pointee & 63 == 0, Task.isCancelled { throw KilnError(.failed, "the prediction was cancelled") }
  }

  /// Where input `index` is read from.
  package func setInput(_ index: Int, _ address: UnsafeMutableRawPointer?) {
    bases[Int(Plan.firstInputBase) + index] = address
  }

  /// Where output `index` is written to.
  package func setOutput(_ index: Int, _ address: UnsafeMutableRawPointer?) {
    bases[Int(Plan.firstInputBase) + inputCount + index] = address
  }

  func inputAddress(_ index: Int) -> UnsafeMutableRawPointer? { bases[Int(Plan.firstInputBase) + index] }

  func outputAddress(_ index: Int) -> UnsafeMutableRawPointer? { bases[Int(Plan.firstInputBase) + inputCount + index] }

  /// Throws when a kernel met wrong data, and clears the flags.
  func checkFlags(_ errors: [KilnError]) throws {
    for index in 0..<errors.count where flags[index] != 0 {
      flags.update(repeating: 0, count: errors.count)
      throw errors[index]
    }
  }

  func address(_ base: Int32, _ offset: Int64) -> UnsafeMutableRawPointer? {
    guard base >= 0, Int(base) < baseCount else { return nil }
    return bases[Int(base)].map { $0 + Int(offset) }
  }
  @inline(__always)
  func address(_ place: kiln_operand) -> UnsafeMutableRawPointer? { address(place.base, place.offset) }
}
