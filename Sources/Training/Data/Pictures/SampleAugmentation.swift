#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The changes that were drawn for one picture.
///
/// All movements are one affine map from the places of the result to those of the source, taken about the centre:
/// source = shift + R(angle) · S(scale, flips) · result. It is read once, bilinearly; beyond the border the picture is mirrored.
struct SampleAugmentation: Sendable {
  private var flips: (Double, Double) = (1, 1)
  private var angle = 0.0
  private var scale = 1.0
  /// In parts of the width and height.
  private var shift: (Double, Double) = (0, 0)
  private var brightness = 0.0
  private var contrast = 1.0

  /// Draws in a fixed order, so that what one kind draws does not depend on the amount of another.
  init(_ kinds: Augmentation, _ random: inout KeyedRandom) {
    let draws = (0..<10).map { _ in random.unit() }
    func centred(_ index: Int, _ amount: Double) -> Double { (2 * draws[index] - 1) * amount }
    flips = (kinds.flip && draws[0] < 0.5 ? -1 : 1, kinds.flipVertical && draws[1] < 0.5 ? -1 : 1)
    angle = centred(2, kinds.rotate) * .pi / 180
    let side = 1 - draws[3] * kinds.crop
    scale = side / (1 + centred(4, kinds.zoom))
    // What is cut out lies anywhere inside the picture.
    shift = (
      centred(5, (1 - side) / 2) + centred(6, kinds.translate), centred(7, (1 - side) / 2) + centred(8, kinds.translate))
    brightness = centred(9, kinds.brightness)
    contrast = kinds.contrast > 0 ? 1 + (2 * random.unit() - 1) * kinds.contrast : 1
  }

  private var moves: Bool { flips != (1, 1) || angle != 0 || scale != 1 || shift != (0, 0) }

  /// Changes a row-major picture in place.
  ///
  /// - Parameter range: the values that the picture may have.
  func apply(_ pixels: inout [Float], height: Int, width: Int, channels: Int, range: ClosedRange<Float>) {
    if moves { pixels = moved(pixels, height, width, channels) }
    if contrast != 1 { changeContrast(&pixels, channels, range) }
    if brightness != 0 {
      let delta = Float(brightness) * (range.upperBound - range.lowerBound)
      for index in pixels.indices { pixels[index] = min(max(pixels[index] + delta, range.lowerBound), range.upperBound) }
    }
  }

  private func changeContrast(_ pixels: inout [Float], _ channels: Int, _ range: ClosedRange<Float>) {
    let area = Double(pixels.count / channels)
    for channel in 0..<channels {
      var sum = 0.0
      for index in stride(from: channel, to: pixels.count, by: channels) { sum += Double(pixels[index]) }
      let mean = Float(sum / area)
      for index in stride(from: channel, to: pixels.count, by: channels) {
        pixels[index] = min(max((pixels[index] - mean) * Float(contrast) + mean, range.lowerBound), range.upperBound)
      }
    }
  }

  private func moved(_ source: [Float], _ height: Int, _ width: Int, _ channels: Int) -> [Float] {
    let (centreX, centreY) = (Double(width - 1) / 2, Double(height - 1) / 2)
    let (cosine, sine) = (cos(angle) * scale, sin(angle) * scale)
    let (shiftX, shiftY) = (shift.0 * Double(width), shift.1 * Double(height))
    var out = [Float](repeating: 0, count: source.count)
    var target = 0
    for row in 0..<height {
      let y = (Double(row) - centreY) * flips.1
      for column in 0..<width {
        let x = (Double(column) - centreX) * flips.0
        let sourceX = cosine * x - sine * y + shiftX + centreX
        let sourceY = sine * x + cosine * y + shiftY + centreY
        let (left, top) = (sourceX.rounded(.down), sourceY.rounded(.down))
        let (right, below) = (Float(sourceX - left), Float(sourceY - top))
        let columns = (Self.mirrored(Int(left), width), Self.mirrored(Int(left) + 1, width))
        let rows = (Self.mirrored(Int(top), height) * width, Self.mirrored(Int(top) + 1, height) * width)
        for channel in 0..<channels {
          func sample(_ line: Int, _ column: Int) -> Float { source[(line + column) * channels + channel] }
          let upper = sample(rows.0, columns.0) + (sample(rows.0, columns.1) - sample(rows.0, columns.0)) * right
          let lower = sample(rows.1, columns.0) + (sample(rows.1, columns.1) - sample(rows.1, columns.0)) * right
          out[target] = upper + (lower - upper) * below
          target += 1
        }
      }
    }
    return out
  }

  /// A place on a line that runs back and forth: … 1 0 | 0 1 2 … n-1 | n-1 … 0 | 0 …
  private static func mirrored(_ place: Int, _ length: Int) -> Int {
    let period = 2 * length
    let inside = ((place % period) + period) % period
    return inside < length ? inside : period - 1 - inside
  }
}
