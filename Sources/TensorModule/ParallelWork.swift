import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Work on files that takes more than one thread.
package enum ParallelWork {
  /// Threads that help the calling one at most.
  private static let helpers = 3
  /// Bytes from which starting threads pays.
  private static let worthThreads = 4 << 20

  /// Does `body` for 0 to count − 1, in order of their beginning, on as many threads as there are processors; returns when all are done.
  ///
  /// - Parameter bytes: how much is read or written; of little the calling thread does all.
  /// - Throws: the error of the first that failed in time; no further ones are begun then.
  package static func forEach(_ count: Int, bytes: Int, _ body: @Sendable (Int) throws -> Void) throws {
    let processors = max(Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))), 1)
    try forEach(count, threads: bytes < worthThreads ? 1 : min(processors, helpers + 1), body)
  }

  /// Does `body` for 0 to count − 1, in order of their beginning, on so many threads, the calling one among them.
  package static func forEach(_ count: Int, threads: Int, _ body: @Sendable (Int) throws -> Void) throws {
    if threads < 2 {
      for index in 0..<count { try body(index) }
      return
    }
    let state = Mutex<(next: Int, error: (any Error)?)>((0, nil))
    withoutActuallyEscaping(body) { body in
      let turn: @Sendable () -> Void = { [count] in
        while true {
          let index = state.withLock { state -> Int? in
            guard state.next < count, state.error == nil else { return nil }
            state.next += 1
            return state.next - 1
          }
          guard let index else { return }
          do { try body(index) } catch { state.withLock { if $0.error == nil { $0.error = error } } }
        }
      }
      let started = (0..<max(min(threads, count) - 1, 0)).compactMap { _ in SystemThread.start(turn) }
      turn()
      for thread in started { pthread_join(thread, nil) }
    }
    if let error = state.withLock({ $0.error }) { throw error }
  }

  /// Does one thing while the calling thread does another; both are done on return.
  ///
  /// - Throws: the error of either, `second`'s before `first`'s.
  package static func both(_ first: @Sendable () throws -> Void, _ second: () throws -> Void) throws {
    let failure = Mutex<(any Error)?>(nil)
    try withoutActuallyEscaping(first) { first in
      let turn: @Sendable () -> Void = {
        do { try first() } catch { failure.withLock { $0 = error } }
      }
      let thread = SystemThread.start(turn)
      defer {
        if let thread { pthread_join(thread, nil) }
      }
      try second()
      if thread == nil { turn() }
    }
    if let error = failure.withLock({ $0 }) { throw error }
  }
}
