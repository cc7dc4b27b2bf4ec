/// Integrals of the exponential kind in Double.
enum ErrorIntegrals {
  /// Rybicki's sum of Gaussians: e^−(x − nh)² / n over odd n.
  static func dawson(_ x: Double) -> Double {
    if x.isNaN { return x }
    let size = x.magnitude
    if size < 0.2 {
      let square = x * x
      // D' = 1 − 2xD gives the power series.
      var sum = 1.0
      for odd in stride(from: 13.0, through: 3, by: -2) { sum = 1 - 2 * square / odd * sum }
      return x * sum
    }
    if size > 50 {
      let inverse = 1 / (2 * size * size)
      let tail = 1 + inverse * (3 + inverse * 15)
      return (1 + inverse * tail) / (2 * x)
    }
    let h = 0.2
    let center = (size / h / 2).rounded() * 2
    var sum = 0.0
    for k in -40...40 {
      let n = center + Double(2 * k + 1)
      let distance = size - n * h
      sum += C.exp(-distance * distance) / n
    }
    return (x < 0 ? -sum : sum) / Double.pi.squareRoot()
  }

  /// Ei(x): the power series, or the asymptotic one from 45.
  static func exponential(_ x: Double) -> Double {
    if x.isNaN || x < 0 { return .nan }
    if x == 0 { return -.infinity }
    if x > 45 {
      var (term, sum) = (1.0, 1.0)
      for k in 1...40 {
        term *= Double(k) / x
        sum += term
      }
      return C.exp(x) / x * sum
    }
    var (term, sum) = (1.0, 0.0)
    for k in 1...300 {
      term *= x / Double(k)
      sum += term / Double(k)
      if term < sum * 1e-18 { break }
    }
    return 0.57721566490153286 + C.log(x) + sum
  }

  /// The power series up to 1.5, then the auxiliary functions f and g as integrals over a Gaussian, by the trapezoidal rule.
  static func fresnel(_ x: Double) -> (cos: Double, sin: Double) {
    if x.isNaN { return (x, x) }
    let size = x.magnitude
    let sign: Double = x < 0 ? -1 : 1
    if size.isInfinite { return (sign * 0.5, sign * 0.5) }
    let half = Double.pi / 2 * size * size
    if size <= 1.5 {
      var (term, cosine, sine) = (size, 0.0, 0.0)
      for k in 0..<40 {
        let value = term / Double(2 * k + 1)
        let signed = k % 4 < 2 ? value : -value
        if k % 2 == 0 { cosine += signed } else { sine += signed }
        term *= half / Double(k + 1)
      }
      return (sign * cosine, sign * sine)
    }
    let step = Swift.min(0.08, 0.35 / size)
    var (f, g, u) = (0.5, 0.0, step)
    while half * u * u < 745 {
      let weight = C.exp(-half * u * u) / (u * u * u * u + 1)
      f += weight
      g += u * u * weight
      u += step
    }
    let scale = 2.0.squareRoot() / Double.pi * step
    let (c, s) = (C.cos(reduced(size)), C.sin(reduced(size)))
    let (ff, gg) = (f * scale, g * scale)
    return (sign * (0.5 + ff * s - gg * c), sign * (0.5 - ff * c - gg * s))
  }

  /// π x² / 2 modulo 2π.
  private static func reduced(_ x: Double) -> Double { Double.pi / 2 * C.fmod(x * x, 4) }

  /// Li₂(1 − x), by the identities that bring its argument into −1…½.
  static func spence(_ x: Double) -> Double {
    if x.isNaN || x < 0 { return .nan }
    let sixth = Double.pi * Double.pi / 6
    if x == 0 { return sixth }
    if x == .infinity { return .nan }
    // Li₂(z) with z = 1 − x.
    if x < 0.5 { return sixth - C.log(x) * C.log1p(-x) - series(x) }
    if x <= 2 { return series(1 - x) }
    let log = C.log(x)
    return -spence(1 / x) - log * log / 2
  }

  /// Li₂(z) for |z| ≤ 1: with u = −log(1 − z), Σ Bₙ uⁿ⁺¹ / (n + 1)!.
  private static func series(_ z: Double) -> Double {
    let u = -C.log1p(-z)
    let square = u * u
    // B₂ₖ / (2k + 1)!
    let numbers: [Double] = [
      0.027777777777777776, -0.0002777777777777778, 4.72411186696901e-06, -9.185773074661964e-08, 1.8978869988971e-09,
      -4.0647616451442256e-11, 8.921691020456452e-13, -1.9939295860721074e-14, 4.518980029619918e-16, -1.035651761218247e-17,
    ]
    var sum = 0.0
    for number in numbers.reversed() { sum = (sum + number) * square }
    return u * (1 - u / 4 + sum)
  }

  /// The inverse of Φ: an estimate of the tail, then Halley's steps on Φ itself.
  static func ndtri(_ p: Double) -> Double {
    if p.isNaN || p < 0 || p > 1 { return .nan }
    if p == 0 { return -.infinity }
    if p == 1 { return .infinity }
    let tail = Swift.min(p, 1 - p)
    let t = (-2 * C.log(tail)).squareRoot()
    let above = 2.515517 + t * (0.802853 + t * 0.010328)
    let below = 1 + t * (1.432788 + t * (0.189269 + t * 0.001308))
    var x = t - above / below
    for _ in 0..<6 {
      let error = 0.5 * C.erfc(x / 2.0.squareRoot()) - tail
      let density = C.exp(-x * x / 2) / (2 * Double.pi).squareRoot()
      guard density > 0 else { break }
      let newton = error / density
      x += newton / (1 - newton * x / 2)
    }
    return p < 0.5 ? -x : x
  }
}
