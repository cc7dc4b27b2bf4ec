import CKernels
import TensorModule

/// The memory of one running prediction: the arena and the table of bases. Used by one call at a time.
package final class Workspace: @unchecked Sendable {
  let bases: UnsafeMutablePointer<UnsafeMutableRawPointer?>
  let baseCount: Int
  /// String values of the slow path.
  var strings: [Tensor?]
  private let arena: RuntimeMemory

  private let inputCount: Int
  private let flags: UnsafeMutablePointer<Int32>

  init(_ plan: Plan) throws {
    inputCount = plan.inputs.count
    arena = try RuntimeMemory(byteCount: plan.arenaBytes + plan.flagErrors.count * MemoryLayout<Int32>.stride)
    flags = (arena.base + plan.arenaBytes).bindMemory(to: Int32.self, capacity: plan.flagErrors.count)
    flags.initialize(repeating: 0, count: plan.flagErrors.count)
    baseCount = plan.baseCount
    bases = .allocate(capacity: plan.baseCount)
    bases.initialize(repeating: nil, count: plan.baseCount)
    bases[Int(Plan.arenaBase)] = arena.base
    bases[Int(Plan.weightBase)] = UnsafeMutableRawPointer(mutating: plan.weightsBase)
    strings = [Tensor?](repeating: nil, count: plan.stringSlotCount)
  }

  deinit { bases.deallocate() }

  /// Where input `index` is read from.
  package func setInput(_ index: Int, _ address: UnsafeMutableRawPointer?) {
    bases[Int(Plan.firstInputBase) + index] = address
  }

  /// Where output `index` is written to.
  package func setOutput(_ index: Int, _ address: UnsafeMutableRawPointer?) {
    bases[Int(Plan.firstInputBase) + inputCount + index] = address
  }

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
}
