import CKernels
import Synchronization

/// The worker threads of one size, shared by every model of the process that asks for that size.
package struct ThreadPool: @unchecked Sendable {
  /// Nil for one thread.
  let handle: OpaquePointer?
  /// How many threads work on a prediction, the caller's included.
  package let count: Int

  /// The calling thread alone.
  package static let single = ThreadPool(handle: nil, count: 1)

  // A pool is never destroyed: a model may be predicting until the process ends.
  private static let pools = Mutex<[Int: ThreadPool]>([:])

  /// The pool of `count` threads; nil takes the number of processors that this process may use.
  package static func shared(_ count: Int? = nil) -> ThreadPool {
    let wanted = min(max(1, count ?? availableProcessors), 256)
    if wanted == 1 { return single }
    return pools.withLock { pools in
      if let found = pools[wanted] { return found }
      let handle = kiln_pool_create(Int32(wanted))
      let pool = ThreadPool(handle: handle, count: Int(kiln_pool_threads(handle)))
      pools[wanted] = pool
      return pool
    }
  }

  /// Runs independent jobs on all threads and waits for them.
  package func run(_ jobs: [@Sendable () -> Void]) {
    if jobs.isEmpty { return }
    let list = JobList(jobs)
    withExtendedLifetime(list) {
      var step = kiln_step(
        kernel: { params, _, part, _ in
          guard let params else { return }
          Unmanaged<JobList>.fromOpaque(params).takeUnretainedValue().jobs[Int(part)]()
        }, params: UnsafeRawPointer(Unmanaged.passUnretained(list).toOpaque()), first_operand: 0, operand_count: 0,
        parts: Int32(clamping: jobs.count))
      kiln_execute(&step, 1, nil, nil, handle)
    }
  }

  private final class JobList: Sendable {
    let jobs: [@Sendable () -> Void]

    init(_ jobs: [@Sendable () -> Void]) { self.jobs = jobs }
  }

  /// Processors that this process may run on, within the quota of its control group.
  package static let availableProcessors = Int(kiln_available_processors())
}
