import TensorModule

/// What `--schedule` asks for: a name, and numbers after it (`cosine,alpha=0.1`).
public struct ScheduleOption: Sendable, Hashable {
  public enum Name: String, Sendable, CaseIterable {
    case cosine, step, exponential
    case oneCycle = "one-cycle"
    case plateau
  }

  public let name: Name
  private let numbers: [String: Double]

  /// The numbers that each schedule takes, and what they are otherwise.
  private static let usual: [Name: [(key: String, value: Double)]] = [
    .cosine: [("alpha", 0), ("warmup", 0)], .step: [("factor", 0.1), ("drops", 2)], .exponential: [("end", 0.01)],
    .oneCycle: [("rise", 0.3), ("divisor", 25), ("end-divisor", 10_000)],
    .plateau: [("factor", 0.1), ("patience", 10), ("min-delta", 0.0001), ("cooldown", 0), ("min-rate", 0)],
  ]

  /// - Throws: `KilnError` (`usage`) for an unknown name or number.
  public init(_ text: String) throws {
    let parts = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    guard let name = Name(rawValue: parts.first ?? "") else {
      throw KilnError(
        .usage, "--schedule: unknown \(KilnError.quoted(parts.first ?? ""))",
        hint: "known: " + Name.allCases.map(\.rawValue).joined(separator: ", "))
    }
    let known = ScheduleOption.usual[name] ?? []
    var numbers = Dictionary(uniqueKeysWithValues: known.map { ($0.key, $0.value) })
    for part in parts.dropFirst() {
      let pair = part.split(separator: "=", maxSplits: 1).map(String.init)
      guard pair.count == 2, numbers[pair[0]] != nil, let value = Double(pair[1]), value.isFinite, value >= 0 else {
        throw KilnError(
          .usage, "--schedule \(name.rawValue): expected a number of 0 or more for one of \(known.map(\.key).joined(separator: ", ")), found \(KilnError.quoted(part))")
      }
      numbers[pair[0]] = value
    }
    if name == .plateau, let factor = numbers["factor"], factor >= 1 {
      throw KilnError(.usage, "--schedule plateau: factor must be under 1, found \(factor)")
    }
    if name == .oneCycle, let rise = numbers["rise"], let divisor = numbers["divisor"], let end = numbers["end-divisor"],
      !(rise > 0 && rise < 1 && divisor > 0 && end > 0)
    {
      throw KilnError(.usage, "--schedule one-cycle: rise must be between 0 and 1, divisors over 0")
    }
    if name == .exponential, numbers["end"] == 0 { throw KilnError(.usage, "--schedule exponential: end must be over 0") }
    (self.name, self.numbers) = (name, numbers)
  }

  private func number(_ key: String) -> Double { numbers[key] ?? 0 }

  /// The learning rate over a whole training.
  ///
  /// - Parameters:
  ///   - rate: the highest.
  ///   - steps: of all epochs.
  public func schedule(rate: Double, steps: Int) -> LearningRateSchedule {
    let total = Double(max(1, steps))
    switch name {
    case .cosine:
      let warmup = number("warmup")
      return warmup > 0
        ? .cosine(rate: 0, steps: max(1, total - warmup), alpha: number("alpha"), warmupTarget: rate, warmupSteps: warmup)
        : .cosine(rate: rate, steps: total, alpha: number("alpha"))
    case .step:
      let drops = max(0, Int(number("drops")))
      var (boundaries, values) = ([Double](), [rate])
      for drop in 0..<drops {
        // The first of the steps after it has the lower rate.
        boundaries.append((total * Double(drop + 1) / Double(drops + 1)).rounded(.down) - 1)
        values.append((values.last ?? rate) * number("factor"))
      }
      return .piecewise(boundaries: boundaries, values: values)
    case .exponential: return .exponential(rate: rate, steps: total, decay: number("end"))
    case .oneCycle:
      return .oneCycle(
        peak: rate, steps: max(1, steps), rise: number("rise"), divisor: number("divisor"), endDivisor: number("end-divisor"))
    case .plateau: return .constant(rate)
    }
  }

  /// The rule of `plateau`, which looks at each epoch; nil for the other schedules.
  public func plateau(monitor: String = "val_loss") -> ReduceOnPlateau? {
    guard name == .plateau else { return nil }
    return ReduceOnPlateau(
      monitor: Monitor(monitor, minDelta: number("min-delta")), factor: number("factor"), patience: Int(number("patience")),
      cooldown: Int(number("cooldown")), minRate: number("min-rate"))
  }
}
