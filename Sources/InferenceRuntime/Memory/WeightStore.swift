import Synchronization
import TensorModule

/// Weights in the layouts that kernels read, shared by all plans of one model: each constant is packed once per layout.
package final class WeightStore: Sendable {
  /// What tells two packings apart: the constant, the layout, and the numbers that the layout depends on.
  package struct Key: Hashable, Sendable {
    let constant: ObjectIdentifier
    let layout: String
    let parameters: [Int]
  }

  private struct Entry {
    let memory: RuntimeMemory
    // Keeps the identifier in the key from being given to another tensor.
    let constant: Tensor
  }

  private let entries = Mutex<[Key: Entry]>([:])

  package init() {}

  /// The packed form of `constant`, made by `pack` when it is asked for the first time.
  ///
  /// - Parameter byteCount: the size of the memory that `pack` fills.
  package func packed(
    _ constant: Tensor, layout: String, parameters: [Int], byteCount: Int, pack: (UnsafeMutableRawPointer) throws -> Void
  ) throws -> RuntimeMemory {
    let key = Key(constant: ObjectIdentifier(constant), layout: layout, parameters: parameters)
    return try entries.withLock { entries in
      if let found = entries[key] { return found.memory }
      let memory = try RuntimeMemory(byteCount: byteCount)
      try pack(memory.base)
      entries[key] = Entry(memory: memory, constant: constant)
      return memory
    }
  }

  /// Bytes of all packed weights.
  package var byteCount: Int { entries.withLock { $0.values.reduce(0) { $0 + $1.memory.byteCount } } }
}
