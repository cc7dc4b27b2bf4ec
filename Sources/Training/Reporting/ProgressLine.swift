#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The line that a terminal shows while an epoch runs, cut to its width.
package struct ProgressLine {
  private let epochCount: Int
  private let sampleCount: Int?
  private let batchSize: Int

  package init(epochCount: Int, sampleCount: Int?, batchSize: Int) {
    (self.epochCount, self.sampleCount, self.batchSize) = (epochCount, sampleCount, batchSize)
  }

  /// The line for a step.
  ///
  /// - Parameters:
  ///   - seconds: since the epoch began.
  ///   - resumedSamples: of the epoch that were taken before a stop.
  ///   - width: the columns of the terminal; the line is shorter.
  package func text(_ step: StepReport, seconds: Double, resumedSamples: Int = 0, width: Int) -> String {
    let rate = seconds > 0 ? Double(step.sampleCount - resumedSamples) / seconds : 0
    let head = "epoch \(step.epoch + 1)/\(epochCount)"
    let count = step.stepCount.map { "\(step.step + 1)/\($0)" } ?? "\(step.step + 1)"
    var tail: [String] = []
    if rate > 0 { tail.append("\(ReportText.number(rate, 3)) samples/s") }
    if rate > 0, let total = step.stepCount {
      let left = Double((total - step.step - 1) * batchSize) / rate
      let samples = sampleCount.map { Double(max(0, $0 - step.sampleCount)) / rate }
      tail.append("\(ReportText.duration(samples ?? left)) left")
    }
    let metrics = step.metrics.map { "\($0.name) \(ReportText.number($0.value, 4))" }
    let space = max(1, width - 1)
    // What matters least goes first: metrics after the loss, samples/s, the time left, the loss.
    var parts = metrics + tail
    func joined() -> String { ([head, count] + parts).joined(separator: "  ") }
    while joined().count > space, !parts.isEmpty {
      if metrics.count > 1, parts.count > tail.count + 1 {
        parts.remove(at: parts.count - tail.count - 1)
      } else if parts.count > 1 {
        parts.remove(at: min(1, parts.count - 1))
      } else {
        parts.removeLast()
      }
    }
    let room = space - joined().count - 2
    guard room >= 8, let total = step.stepCount, total > 0 else { return String(joined().prefix(space)) }
    let length = min(room, 24)
    let filled = min(length, length * (step.step + 1) / total)
    let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: length - filled)
    return ([head, bar, count] + parts).joined(separator: "  ")
  }
}

/// Numbers and times in reports.
package enum ReportText {
  /// A number in a few digits: `0.1234`, `12.34`, `1.2e-05`.
  package static func number(_ value: Double, _ digits: Int) -> String {
    guard value.isFinite else { return value.isNaN ? "nan" : value > 0 ? "inf" : "-inf" }
    if abs(value) >= 1000, abs(value) < 1e9 { return grouped(Int(value.rounded())) }
    return withVaList([Int32(digits), value]) { list in
      var buffer = [CChar](repeating: 0, count: 64)
      let length = vsnprintf(&buffer, buffer.count, "%.*g", list)
      return String(decoding: buffer.prefix(max(0, Int(length))).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
  }

  private static func grouped(_ value: Int) -> String {
    let digits = Array(String(value.magnitude))
    var out = value < 0 ? "-" : ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index) % 3 == 0 { out.append(",") }
      out.append(digit)
    }
    return out
  }

  /// `0:42`, `12:03`, `2:05:09`
  package static func duration(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds < 1e7 else { return "?" }
    let total = Int(max(0, seconds).rounded())
    func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
    let (hours, minutes) = (total / 3600, total / 60 % 60)
    return hours > 0 ? "\(hours):\(two(minutes)):\(two(total % 60))" : "\(minutes):\(two(total % 60))"
  }
}
