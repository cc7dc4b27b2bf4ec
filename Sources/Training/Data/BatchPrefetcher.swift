import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Threads that make batches ahead of the one who takes them, in the order of their numbers.
final class BatchPrefetcher: @unchecked Sendable {
  typealias Work = @Sendable (Int) -> Result<Batch?, any Error>

  /// What the threads share; its lock guards all of it.
  private final class State: @unchecked Sendable {
    let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    var work: Work?
    /// Which epoch the numbers belong to; results of an older one are dropped.
    var generation = 0
    var nextToMake = 0
    var nextToTake = 0
    var end = 0
    var ready: [Int: Result<Batch?, any Error>] = [:]
    var isStopping = false
    let ahead: Int

    init(ahead: Int) {
      self.ahead = ahead
      pthread_mutex_init(lock, nil)
      pthread_cond_init(changed, nil)
    }

    deinit {
      pthread_mutex_destroy(lock)
      pthread_cond_destroy(changed)
      lock.deallocate()
      changed.deallocate()
    }

    func locked<Value>(_ body: () -> Value) -> Value {
      pthread_mutex_lock(lock)
      defer { pthread_mutex_unlock(lock) }
      return body()
    }

    func make() {
      pthread_mutex_lock(lock)
      while !isStopping {
        guard let work, nextToMake < end, nextToMake < nextToTake + ahead else {
          pthread_cond_wait(changed, lock)
          continue
        }
        let (number, made) = (nextToMake, generation)
        nextToMake += 1
        pthread_mutex_unlock(lock)
        let result = work(number)
        pthread_mutex_lock(lock)
        if made == generation {
          ready[number] = result
          pthread_cond_broadcast(changed)
        }
      }
      pthread_mutex_unlock(lock)
    }
  }

  private let state: State
  private var threads: [pthread_t] = []

  /// - Parameter threads: how many; as many batches again are made ahead.
  /// - Throws: `KilnError` (`failed`) when the system gives no thread.
  init(threads count: Int) throws {
    state = State(ahead: 2 * count)
    for _ in 0..<count {
      guard let thread = SystemThread.start({ [state] in state.make() }) else {
        if threads.isEmpty { throw KilnError(.failed, "no thread can be started to read data") }
        break
      }
      threads.append(thread)
    }
  }

  deinit {
    state.locked { state.isStopping = true }
    pthread_cond_broadcast(state.changed)
    for thread in threads { pthread_join(thread, nil) }
  }

  /// Begins making batches `first`..<`end`; those of an earlier call are dropped.
  func begin(_ first: Int, _ end: Int, _ work: @escaping Work) {
    state.locked {
      state.generation += 1
      (state.work, state.nextToMake, state.nextToTake, state.end) = (work, first, first, end)
      state.ready = [:]
    }
    pthread_cond_broadcast(state.changed)
  }

  /// Waits for the next batch; nil after the last.
  func next() -> Result<Batch?, any Error>? {
    pthread_mutex_lock(state.lock)
    defer { pthread_mutex_unlock(state.lock) }
    guard state.nextToTake < state.end else { return nil }
    while true {
      if let found = state.ready.removeValue(forKey: state.nextToTake) {
        state.nextToTake += 1
        pthread_cond_broadcast(state.changed)
        return found
      }
      pthread_cond_wait(state.changed, state.lock)
    }
  }
}
