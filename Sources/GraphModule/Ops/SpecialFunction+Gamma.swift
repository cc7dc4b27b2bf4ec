/// Incomplete gamma and beta functions and what belongs to them, in Double.
enum GammaFunctions {
  private static let maximumSteps = 200_000

  /// P(a, x).
  static func lower(_ a: Double, _ x: Double) -> Double {
    if a.isNaN || x.isNaN { return .nan }
    if x == 0 { return 0 }
    if a <= 0 || x < 0 { return .nan }
    if a.isInfinite { return x.isInfinite ? .nan : 0 }
    if x.isInfinite { return 1 }
    return x > 1 && x > a ? 1 - fraction(a, x) : series(a, x)
  }

  /// Q(a, x) = 1 − P(a, x).
  static func upper(_ a: Double, _ x: Double) -> Double {
    if a.isNaN || x.isNaN || a <= 0 || x < 0 { return .nan }
    if x == 0 { return 1 }
    if a.isInfinite { return x.isInfinite ? .nan : 1 }
    if x.isInfinite { return 0 }
    return x < 1 || x < a ? 1 - series(a, x) : fraction(a, x)
  }

  /// x^a e^−x / Γ(a).
  private static func factor(_ a: Double, _ x: Double) -> Double { C.exp(a * C.log(x) - x - C.lgamma(a)) }

  private static func series(_ a: Double, _ x: Double) -> Double {
    var (term, sum) = (1 / a, 1 / a)
    for step in 1...maximumSteps {
      term *= x / (a + Double(step))
      sum += term
      if term < sum * 1e-17 { break }
    }
    return sum * factor(a, x)
  }

  /// Lentz's evaluation of the continued fraction of Q.
  private static func fraction(_ a: Double, _ x: Double) -> Double {
    let tiny = 1e-300
    var b = x + 1 - a
    var c = 1 / tiny
    var d = 1 / (b.magnitude < tiny ? tiny : b)
    var h = d
    for step in 1...maximumSteps {
      let an = -Double(step) * (Double(step) - a)
      b += 2
      d = an * d + b
      if d.magnitude < tiny { d = tiny }
      c = b + an / c
      if c.magnitude < tiny { c = tiny }
      d = 1 / d
      let delta = d * c
      h *= delta
      if (delta - 1).magnitude < 1e-16 { break }
    }
    return h * factor(a, x)
  }

  /// Hurwitz's ζ(x, q), by Euler and Maclaurin's sum.
  static func zeta(_ x: Double, _ q: Double) -> Double {
    if x.isNaN || q.isNaN || x < 1 { return .nan }
    if x == 1 { return .infinity }
    if x == .infinity, q > 0 { return q > 1 ? 0 : q == 1 ? 1 : .infinity }
    if q <= 0 {
      if q == q.rounded(.down) { return x == x.rounded(.down) && C.fmod(x, 2) == 0 ? .infinity : .nan }
      // A power of a negative number needs a whole exponent.
      if x != x.rounded(.down) { return .nan }
    }
    if q < -100_000 { return .nan }
    var (sum, base, count) = (0.0, q, 0)
    while count < 12 || base <= 12 {
      sum += C.pow(base, -x)
      base += 1
      count += 1
    }
    sum += C.pow(base, 1 - x) / (x - 1) + 0.5 * C.pow(base, -x)
    // B₂ₖ / (2k)!
    let numbers: [Double] = [
      0.08333333333333333, -0.001388888888888889, 3.306878306878307e-05, -8.267195767195768e-07,
      2.08767569878681e-08, -5.284190138687493e-10, 1.3382536530684679e-11, -3.3896802963225827e-13,
    ]
    var term = x * C.pow(base, -x - 1)
    for (k, number) in numbers.enumerated() {
      sum += term * number
      let n = Double(2 * k + 1)
      term *= (x + n) * (x + n + 1) / (base * base)
    }
    return sum
  }

  /// (−1)ⁿ⁺¹ n! ζ(n + 1, x).
  static func polygamma(_ n: Double, _ x: Double) -> Double {
    if n.isNaN || x.isNaN || n < 0 || n != n.rounded(.down) { return .nan }
    if n == 0 { return ScalarFunction.digamma.evaluate(x) }
    let sign: Double = C.fmod(n, 2) == 0 ? -1 : 1
    return sign * C.exp(C.lgamma(n + 1)) * zeta(n + 1, x)
  }

  /// The regularised Iₓ(a, b), by Lentz's evaluation of its continued fraction.
  static func beta(_ a: Double, _ b: Double, _ x: Double) -> Double {
    if a.isNaN || b.isNaN || x.isNaN || a <= 0 || b <= 0 || x < 0 || x > 1 { return .nan }
    if x == 0 { return 0 }
    if x == 1 { return 1 }
    let front = C.exp(C.lgamma(a + b) - C.lgamma(a) - C.lgamma(b) + a * C.log(x) + b * C.log1p(-x))
    return x < (a + 1) / (a + b + 2) ? front * betaFraction(a, b, x) / a : 1 - front * betaFraction(b, a, 1 - x) / b
  }

  private static func betaFraction(_ a: Double, _ b: Double, _ x: Double) -> Double {
    let tiny = 1e-300
    func bounded(_ value: Double) -> Double { value.magnitude < tiny ? tiny : value }
    var c = 1.0
    var d = 1 / bounded(1 - (a + b) * x / (a + 1))
    var h = d
    for step in 1...maximumSteps {
      let m = Double(step)
      let place = a + 2 * m
      let even = m * (b - m) * x / ((place - 1) * place)
      d = 1 / bounded(1 + even * d)
      c = bounded(1 + even / c)
      h *= d * c
      let odd = -(a + m) * (a + b + m) * x / (place * (place + 1))
      d = 1 / bounded(1 + odd * d)
      c = bounded(1 + odd / c)
      let delta = d * c
      h *= delta
      if (delta - 1).magnitude < 1e-16 { break }
    }
    return h
  }
}
