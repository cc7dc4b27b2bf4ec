/// Changes of a picture's size and layout.
package enum Resampling {
  /// Bilinear with half-pixel centres and without antialiasing: `tf.image.resize`, which is what Keras's
  /// `image_dataset_from_directory` does by default. Equal sizes copy.
  package static func bilinear(
    _ source: UnsafeBufferPointer<UInt8>, height: Int, width: Int, channels: Int, toHeight: Int, toWidth: Int
  ) -> [Float] {
    if height == toHeight, width == toWidth { return source.map(Float.init) }
    let rows = taps(from: height, to: toHeight)
    let columns = taps(from: width, to: toWidth)
    return [Float](unsafeUninitializedCapacity: toHeight * toWidth * channels) { out, count in
      for row in rows {
        let (top, bottom) = (row.low * width, row.high * width)
        for column in columns {
          for channel in 0..<channels {
            func sample(_ line: Int, _ x: Int) -> Float { Float(source[(line + x) * channels + channel]) }
            let above = sample(top, column.low) + (sample(top, column.high) - sample(top, column.low)) * column.weight
            let below = sample(bottom, column.low) + (sample(bottom, column.high) - sample(bottom, column.low)) * column.weight
            out.initializeElement(at: count, to: above + (below - above) * row.weight)
            count += 1
          }
        }
      }
    }
  }

  /// The two source positions of each target position, and the weight of the second.
  private static func taps(from: Int, to: Int) -> [(low: Int, high: Int, weight: Float)] {
    let scale = Float(from) / Float(to)
    return (0..<to).map { index in
      let position = (Float(index) + 0.5) * scale - 0.5
      let floor = position.rounded(.down)
      return (max(0, Int(floor)), min(from - 1, Int(floor) + 1), position - floor)
    }
  }

  /// Samples by pixel to samples by channel.
  package static func channelsFirst(_ pixels: [Float], channels: Int) -> [Float] {
    let area = pixels.count / channels
    return (0..<pixels.count).map { pixels[($0 % area) * channels + $0 / area] }
  }

  /// Samples by channel to samples by pixel.
  package static func channelsLast(_ pixels: some RandomAccessCollection<Float>, channels: Int) -> [Float] {
    let area = pixels.count / channels
    return (0..<pixels.count).map { pixels[pixels.index(pixels.startIndex, offsetBy: ($0 % channels) * area + $0 / channels)] }
  }
}
