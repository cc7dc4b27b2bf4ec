import CKernels
import Synchronization
import TensorModule

/// Weights in the layouts that kernels read, shared by all plans of one model: each constant is packed once per layout.
///
/// Memory is handed out when a plan is made and filled by `fill`, all constants at once on all threads. One plan at a time
/// is made with a store, and used only after its `fill`.
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

  private struct State {
    var entries: [Key: Entry] = [:]
    var jobs: [(byteCount: Int, run: @Sendable () -> Void)] = []
  }

  /// Constants from here on give the memory that mirrors them back: less would take more of their neighbours' pages along.
  private static let largeBytes = 1 << 20

  private let state = Mutex(State())

  package init() {}

  /// The packed form of `constant`, made by `pack` when it is asked for the first time.
  ///
  /// - Parameters:
  ///   - byteCount: the size of the memory that `pack` fills.
  ///   - pack: runs in the next `fill`, on any thread.
  package func packed(
    _ constant: Tensor, layout: String, parameters: [Int], byteCount: Int,
    pack: @escaping @Sendable (UnsafeMutableRawPointer) -> Void
  ) throws -> RuntimeMemory {
    let key = Key(constant: ObjectIdentifier(constant), layout: layout, parameters: parameters)
    return try state.withLock { state in
      if let found = state.entries[key] { return found.memory }
      let memory = try RuntimeMemory(byteCount: byteCount)
      state.entries[key] = Entry(memory: memory, constant: constant)
      state.jobs.append((byteCount, {
        pack(memory.base)
        // The file's own pages of a large constant are not read again by what reads the packed form.
        if constant.byteCount >= WeightStore.largeBytes { constant.releaseMapping(0..<constant.count) }
      }))
      return memory
    }
  }

  /// Packs everything that was asked for since the last time.
  package func fill(_ pool: ThreadPool) {
    var jobs = state.withLock { state in
      defer { state.jobs = [] }
      return state.jobs
    }
    // Threads take jobs in turn; equal sizes side by side keep them even.
    jobs.sort { $0.byteCount > $1.byteCount }
    pool.run(jobs.map(\.run))
  }

  /// Bytes of all packed weights.
  package var byteCount: Int { state.withLock { $0.entries.values.reduce(0) { $0 + $1.memory.byteCount } } }
}
