#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The learning rate of each step, by the formulas of Keras's schedule classes (and PyTorch's `OneCycleLR`), in Double.
public enum LearningRateSchedule: Sendable, Hashable {
  case constant(Double)
  /// rate · decay ^ (step / steps); with stairs the exponent is rounded down.
  case exponential(rate: Double, steps: Double, decay: Double, hasStairs: Bool = false)
  /// `values[0]` up to and with step `boundaries[0]`, and so on; one value more than boundaries.
  case piecewise(boundaries: [Double], values: [Double])
  /// (rate - end) · (1 - step / steps) ^ power + end; with cycles `steps` grows to the next multiple.
  case polynomial(rate: Double, steps: Double, end: Double = 0.0001, power: Double = 1, isCyclic: Bool = false)
  /// rate / (1 + decay · step / steps)
  case inverseTime(rate: Double, steps: Double, decay: Double, hasStairs: Bool = false)
  /// From `target` (or `rate` without one) along half a cosine to `alpha` of it, after a straight line from `rate`.
  case cosine(rate: Double, steps: Double, alpha: Double = 0, warmupTarget: Double? = nil, warmupSteps: Double = 0)
  /// Cosines that start again, each `lengthFactor` as long and `heightFactor` as high as the one before.
  case cosineRestarts(rate: Double, steps: Double, lengthFactor: Double = 2, heightFactor: Double = 1, alpha: Double = 0)
  /// Up to `peak` along half a cosine, then down: from peak / divisor, to that / endDivisor.
  case oneCycle(peak: Double, steps: Int, rise: Double = 0.3, divisor: Double = 25, endDivisor: Double = 10_000)

  /// The learning rate of a step, counted from 0.
  public func rate(_ step: Int) -> Double {
    let step = Double(step)
    switch self {
    case .constant(let rate): return rate
    case .exponential(let rate, let steps, let decay, let hasStairs):
      return rate * pow(decay, hasStairs ? (step / steps).rounded(.down) : step / steps)
    case .piecewise(let boundaries, let values):
      return values[boundaries.firstIndex { step <= $0 } ?? values.count - 1]
    case .polynomial(let rate, let steps, let end, let power, let isCyclic):
      let length = isCyclic ? steps * (step == 0 ? 1 : (step / steps).rounded(.up)) : steps
      return (rate - end) * pow(1 - (isCyclic ? step : min(step, length)) / length, power) + end
    case .inverseTime(let rate, let steps, let decay, let hasStairs):
      return rate / (1 + decay * (hasStairs ? (step / steps).rounded(.down) : step / steps))
    case .cosine(let rate, let steps, let alpha, let target, let warmup):
      guard let target else { return Self.cosine(min(step, steps) / steps, rate, alpha) }
      let step = min(step, steps + warmup)
      if step < warmup { return (target - rate) * step / warmup + rate }
      return Self.cosine((step - warmup) / steps, target, alpha)
    case .cosineRestarts(let rate, let steps, let lengthFactor, let heightFactor, let alpha):
      return Self.restarted(step / steps, rate, lengthFactor, heightFactor, alpha)
    case .oneCycle(let peak, let steps, let rise, let divisor, let endDivisor):
      let (low, end) = (peak / divisor, peak / divisor / endDivisor)
      let (top, last) = (rise * Double(steps) - 1, Double(steps) - 1)
      let place = min(step, last)
      if place <= top { return Self.between(low, peak, top > 0 ? place / top : 1) }
      return Self.between(peak, end, last > top ? (place - top) / (last - top) : 1)
    }
  }

  private static func cosine(_ done: Double, _ rate: Double, _ alpha: Double) -> Double {
    rate * ((1 - alpha) * 0.5 * (1 + cos(.pi * done)) + alpha)
  }

  private static func restarted(_ done: Double, _ rate: Double, _ length: Double, _ height: Double, _ alpha: Double) -> Double {
    let (restarts, part): (Double, Double)
    if length == 1 {
      restarts = done.rounded(.down)
      part = done - restarts
    } else {
      restarts = (log(1 - done * (1 - length)) / log(length)).rounded(.down)
      let before = (1 - pow(length, restarts)) / (1 - length)
      part = (done - before) / pow(length, restarts)
    }
    return rate * ((1 - alpha) * 0.5 * pow(height, restarts) * (1 + cos(.pi * part)) + alpha)
  }

  /// Half a cosine from one number to another.
  private static func between(_ start: Double, _ end: Double, _ part: Double) -> Double {
    end + (start - end) / 2 * (1 + cos(.pi * part))
  }
}
