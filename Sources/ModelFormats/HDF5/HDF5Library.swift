import CHDF5
import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The one door to libhdf5: set up once with every switch that files of strangers call for, one thread at a time.
enum HDF5Library {
  private static let lock = RecursiveLock()
  private static let isReady: Bool = kiln_h5_setup() == 0

  /// Runs `body` while no other thread is in the library.
  ///
  /// - Throws: `KilnError` (`failed`) when the library does not start, and what `body` throws.
  static func locked<Result>(_ body: () throws -> Result) throws -> Result {
    lock.lock()
    defer { lock.unlock() }
    guard isReady else { throw KilnError(.failed, "the HDF5 library does not start") }
    return try body()
  }

  /// For deinitialisers: closes something under the lock.
  static func closing(_ body: () -> Void) {
    lock.lock()
    body()
    lock.unlock()
  }
}

/// An identifier of libhdf5, closed when it goes out of scope.
struct HDF5Handle: ~Copyable {
  let id: hid_t

  /// Takes over an identifier that a call returned; nil when the call failed.
  init?(_ id: hid_t) {
    guard id >= 0 else { return nil }
    self.id = id
  }

  deinit {
    let id = id
    HDF5Library.closing { _ = H5Idec_ref(id) }
  }
}

private final class RecursiveLock: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

  init() {
    var attributes = pthread_mutexattr_t()
    pthread_mutexattr_init(&attributes)
    pthread_mutexattr_settype(&attributes, Int32(PTHREAD_MUTEX_RECURSIVE))
    pthread_mutex_init(mutex, &attributes)
    pthread_mutexattr_destroy(&attributes)
  }

  func lock() { pthread_mutex_lock(mutex) }
  func unlock() { pthread_mutex_unlock(mutex) }
}
