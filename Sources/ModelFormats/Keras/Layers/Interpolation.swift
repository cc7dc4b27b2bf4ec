import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The ways in which Keras resizes images, as weights from the positions of one axis to its new positions.
enum Interpolation: String, CaseIterable {
  case nearest, bilinear, bicubic, area, lanczos3, lanczos5, gaussian, mitchellcubic

  /// The weights [size, length] of one axis, as TensorFlow's `tf.image.resize` has them; pixel centres are at halves.
  ///
  /// - Parameter antialias: kernels are as wide as the new pixels when an image becomes smaller.
  func weights(from length: Int, to size: Int, antialias: Bool = false) -> [Double] {
    weights(from: length, to: size, step: Double(length) / Double(size), antialias: antialias)
  }

  /// The weights of `tf.image.scale_and_translate`, by the interpolation's kernel.
  func weights(from length: Int, to size: Int, scale: Double, translation: Double, antialias: Bool) -> [Double] {
    var result = [Double](repeating: 0, count: size * length)
    guard let (radius, function) = antialiasKernel, scale != 0 else { return result }
    for position in 0..<size {
      let step = 1 / Float(scale)
      antialiased(
        position, step, -step * Float(translation), radius, { result[position * length + $0] += $1 }, length, widens: antialias, function)
    }
    return result
  }

  private func weights(from length: Int, to size: Int, step scale: Double, antialias: Bool) -> [Double] {
    var result = [Double](repeating: 0, count: size * length)
    for position in 0..<size {
      let row = position * length
      func add(_ source: Int, _ weight: Double) { result[row + source] += weight }
      let centre = (Double(position) + 0.5) * scale
      if antialias, let (radius, function) = antialiasKernel {
        antialiased(position, 1 / (Float(size) / Float(length)), 0, radius, add, length, function)
        continue
      }
      switch self {
      case .nearest: add(min(Int(centre), length - 1), 1)
      case .bilinear:
        let place = centre - 0.5
        let low = place.rounded(.down)
        let first = min(max(Int(low), 0), length - 1)
        let second = min(max(Int(low) + 1, 0), length - 1)
        add(first, 1 - (place - low))
        add(second, place - low)
      case .bicubic:
        // TensorFlow takes the weights from a table of 1024 steps, and leaves positions outside out.
        let place = centre - 0.5
        let low = place.rounded(.down)
        let step = rint((place - low) * 1024) / 1024
        spread(Int(low) - 1, [1 + step, step, 1 - step, 2 - step].map(Interpolation.keys), add, length)
      case .area:
        let (start, end) = (Double(position) * scale, Double(position + 1) * scale)
        var source = Int(start.rounded(.down))
        while source < length, Double(source) < end {
          add(source, (min(Double(source + 1), end) - max(Double(source), start)) / scale)
          source += 1
        }
      case .lanczos3, .lanczos5, .gaussian, .mitchellcubic:
        guard let (radius, function) = antialiasKernel else { continue }
        antialiased(position, 1 / (Float(size) / Float(length)), 0, radius, add, length, widens: false, function)
      }
    }
    return result
  }

  /// Weights from `first` on; those inside the axis are brought to the sum 1.
  private func spread(_ first: Int, _ weights: [Double], _ add: (Int, Double) -> Void, _ length: Int) {
    let inside = weights.indices.filter { (0..<length).contains(first + $0) }
    let sum = inside.reduce(0) { $0 + weights[$1] }
    guard sum != 0 else { return }
    for index in inside { add(first + index, weights[index] / sum) }
  }

  /// Weights by a kernel as wide as the steps of the new positions. In Float, as TensorFlow has it: rounding decides which
  /// pixels lie on the kernel's edge, and which integer a result in the middle of two becomes.
  private func antialiased(
    _ position: Int, _ step: Float, _ start: Float, _ radius: Float, _ add: (Int, Double) -> Void, _ length: Int,
    widens: Bool = true, _ function: (Float) -> Float
  ) {
    let centre = (Float(position) + 0.5) * step + start
    // A pixel whose centre lies outside the image takes nothing.
    guard centre >= 0, centre <= Float(length) else { return }
    let scale = widens ? max(step, 1) : 1
    let inverse = 1 / scale
    let reach = radius * scale
    let first = max(Int((centre - reach - 0.5).rounded(.up)), 0)
    let last = min(Int((centre + reach - 0.5).rounded(.down)), length - 1)
    guard first <= last else { return }
    let weights = (first...last).map { source in
      let distance = abs((Float(source) + 0.5 - centre) * inverse)
      return distance >= radius ? 0 : function(distance)
    }
    let sum = weights.reduce(0, +)
    guard sum != 0 else { return }
    let factor = 1 / sum
    for (index, weight) in weights.enumerated() { add(first + index, Double(weight * factor)) }
  }

  /// The kernel that antialiasing widens, and its radius; nil where antialiasing changes nothing.
  private var antialiasKernel: (Float, (Float) -> Float)? {
    switch self {
    case .nearest, .area: nil
    case .bilinear: (1, { max(0, 1 - $0) })
    case .bicubic: (2, Interpolation.keys)
    case .lanczos3: (3, { Interpolation.lanczos($0, 3) })
    case .lanczos5: (5, { Interpolation.lanczos($0, 5) })
    case .gaussian: (1.5, { exp(-$0 * $0 / 0.5) })
    case .mitchellcubic: (2, Interpolation.mitchell)
    }
  }

  /// Keys's cubic with a = −½.
  private static func keys<Number: BinaryFloatingPoint>(_ x: Number) -> Number {
    x <= 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0
  }

  private static func lanczos(_ x: Float, _ radius: Float) -> Float {
    if x <= 1e-3 { return 1 }
    return radius * sin(Float.pi * x) * sin(Float.pi * x / radius) / (Float.pi * Float.pi * x * x)
  }

  private static func mitchell(_ x: Float) -> Float {
    if x >= 2 { return 0 }
    if x >= 1 { return ((-7 / 18 * x + 2) * x - 10 / 3) * x + 16 / 9 }
    return (7 / 6 * x - 2) * x * x + 8 / 9
  }
}
