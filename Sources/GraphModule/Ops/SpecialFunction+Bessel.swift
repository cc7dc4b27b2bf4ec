/// Modified Bessel functions in Double.
enum Bessel {
  /// I of order 0 or 1, times e^−|x| when scaled: the power series, which has positive terms only; the asymptotic one from 40.
  static func i(_ order: Int, _ x: Double, scaled: Bool) -> Double {
    if x.isNaN { return x }
    let size = x.magnitude
    let sign: Double = order == 1 && x < 0 ? -1 : 1
    if size.isInfinite { return scaled ? sign * 0 : .nan }
    if size > 40 {
      let mu = Double(4 * order * order)
      var (term, sum) = (1.0, 1.0)
      for k in 1...14 {
        let odd = Double(2 * k - 1)
        term *= (odd * odd - mu) / (8 * Double(k) * size)
        sum += term
      }
      let factor = sum / (2 * Double.pi * size).squareRoot()
      return sign * (scaled ? factor : C.exp(size / 2) * factor * C.exp(size / 2))
    }
    var term = order == 0 ? 1.0 : size / 2
    var (sum, k) = (term, 1.0)
    while term > sum * 1e-17 {
      term *= size / 2 / k * (size / 2 / (k + Double(order)))
      sum += term
      k += 1
    }
    return sign * (scaled ? sum * C.exp(-size) : sum)
  }

  /// K of order 0 or 1, times e^x when scaled: ∫ e^(−x (cosh t − 1)) cosh(order · t) dt by the trapezoidal rule, whose error
  /// falls exponentially for such integrands.
  static func k(_ order: Int, _ x: Double, scaled: Bool) -> Double {
    if x.isNaN { return x }
    if x <= 0 { return .infinity }
    if x.isInfinite { return 0 }
    // For large x the integrand is a peak of width 1 / √x.
    let step = Swift.min(1.0 / 16, 1 / (4 * x.squareRoot()))
    var sum = 0.5
    var t = step
    for _ in 0..<20_000 {
      // cosh t − 1 = 2 sinh²(t / 2) keeps its digits.
      let half = C.sinh(t / 2)
      let exponent = -2 * x * half * half
      if exponent < -745 { break }
      let part = order == 0 ? C.exp(exponent) : C.exp(exponent) * C.cosh(t)
      sum += part
      t += step
      if part < sum * 1e-18 && exponent < -1 { break }
    }
    return sum * step * (scaled ? 1 : C.exp(-x))
  }
}
