import Synchronization

/// A progress bar on stderr, drawn only when that is a terminal; at most ten times a second.
package struct ProgressBar: ~Copyable {
  private let total: Int
  private let unit: String
  private var done = 0
  private var lastDrawn: ContinuousClock.Instant?
  private static let visible = Atomic<Bool>(false)

  /// - Parameters:
  ///   - total: how many steps there are.
  ///   - unit: what a step is, in the plural (`samples`).
  package init(total: Int, unit: String) {
    self.total = total
    self.unit = unit
  }

  package mutating func advance(by steps: Int) {
    done += steps
    guard Console.isInteractive, total > 0 else { return }
    let now = ContinuousClock.now
    if let lastDrawn, now - lastDrawn < .milliseconds(100), done < total { return }
    lastDrawn = now
    let width = 30
    let filled = min(width, width * done / total)
    let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
    let tinted = Console.hasColor ? "\u{1B}[36m\(bar)\u{1B}[0m" : bar
    Console.raw("\r\u{1B}[K\(tinted) \(done)/\(total) \(unit)")
    ProgressBar.visible.store(true, ordering: .relaxed)
  }

  /// Draws a line of text in the bar's place, when stderr is a terminal.
  package static func show(_ line: String) {
    guard Console.isInteractive else { return }
    Console.raw("\r\u{1B}[K\(line)")
    visible.store(true, ordering: .relaxed)
  }

  /// Takes the bar off the screen.
  package static func clear() {
    if visible.exchange(false, ordering: .relaxed) { Console.raw("\r\u{1B}[K") }
  }

  deinit { ProgressBar.clear() }
}
