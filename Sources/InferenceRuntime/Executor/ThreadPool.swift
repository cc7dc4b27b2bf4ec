import CKernels
import Synchronization

/// The worker threads of one size, shared by every model of the process that asks for that size.
package struct ThreadPool: @unchecked Sendable {
  /// Nil for one thread.
  let handle: OpaquePointer?
  /// How many threads work on a prediction, the caller's included.
  package let count: Int

  // A pool is never destroyed: a model may be predicting until the process ends.
  private static let pools = Mutex<[Int: ThreadPool]>([:])

  /// The pool of `count` threads; nil takes the number of processors that this process may use.
  package static func shared(_ count: Int? = nil) -> ThreadPool {
    let wanted = min(max(1, count ?? availableProcessors), 256)
    if wanted == 1 { return ThreadPool(handle: nil, count: 1) }
    return pools.withLock { pools in
      if let found = pools[wanted] { return found }
      let handle = kiln_pool_create(Int32(wanted))
      let pool = ThreadPool(handle: handle, count: Int(kiln_pool_threads(handle)))
      pools[wanted] = pool
      return pool
    }
  }

  /// Processors that this process may run on, within the quota of its control group.
  package static let availableProcessors = Int(kiln_available_processors())
}
