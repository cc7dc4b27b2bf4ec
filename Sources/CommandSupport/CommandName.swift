import Synchronization

/// The program's name in errors and warnings.
package enum CommandName {
  private static let storage = Mutex<String>("")

  /// Set to speak for another program, which started this one.
  package static var current: String {
    get { storage.withLock { $0 } }
    set { storage.withLock { $0 = newValue } }
  }
}
