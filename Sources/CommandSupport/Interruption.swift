import Synchronization
import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// What happens on SIGINT, SIGTERM and SIGHUP: the process ends at once, unless a piece of work asked to end it itself
/// (a file is half written, a child runs) and looks at `isPending`.
package enum Interruption {
  private static let signals = [SIGINT, SIGTERM, SIGHUP]
  private static let deferrals = Atomic<Int>(0)
  private static let received = Atomic<Int32>(0)

  /// Whether a signal came during `deferring`.
  package static var isPending: Bool { received.load(ordering: .acquiring) != 0 }

  static func install() {
    // The handler may run at any instruction: the atomics exist before it does.
    _ = (deferrals.load(ordering: .relaxed), received.load(ordering: .relaxed))
    for number in signals {
      signal(number) { number in
        if Interruption.deferrals.load(ordering: .acquiring) > 0 {
          Interruption.received.store(number, ordering: .releasing)
        } else {
          signal(number, SIG_DFL)
          raise(number)
        }
      }
    }
  }

  /// Runs work that looks at `isPending` and throws when it is; the process ends by that error.
  package static func watching<Result>(_ work: () throws -> Result) rethrows -> Result {
    deferrals.add(1, ordering: .acquiringAndReleasing)
    do {
      let result = try work()
      deferrals.subtract(1, ordering: .acquiringAndReleasing)
      // A signal that came too late for the work takes effect now.
      deferring {}
      return result
    } catch {
      deferrals.subtract(1, ordering: .acquiringAndReleasing)
      throw error
    }
  }

  /// Runs work that must not be cut off; a signal that came meanwhile takes effect after it.
  package static func deferring<Result>(_ work: () throws -> Result) rethrows -> Result {
    deferrals.add(1, ordering: .acquiringAndReleasing)
    defer {
      let left = deferrals.subtract(1, ordering: .acquiringAndReleasing).newValue
      let number = received.load(ordering: .acquiring)
      if left == 0, number != 0 {
        signal(number, SIG_DFL)
        raise(number)
      }
    }
    return try work()
  }
}
