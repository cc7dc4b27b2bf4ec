import TensorModule

/// An uncompressed BMP file of 8, 24 or 32 bits a pixel, read as TensorFlow's `DecodeBmp` does: palettes are not looked at.
struct Bitmap {
  /// height, width, channels.
  let shape: Shape
  let pixels: [UInt8]

  /// - Parameter channels: what is wanted; 0 takes the file's own.
  init(_ bytes: [UInt8], channels wanted: Int, maximumPixels: Int) throws {
    func wrong(_ message: String) -> KilnError { KilnError(.badInput, "op '\(DecodePicture.name)': the BMP picture \(message)") }
    func number(_ offset: Int, _ count: Int) throws -> Int {
      guard offset + count <= bytes.count else { throw wrong("ends too early") }
      return bytes[offset..<offset + count].reversed().reduce(0) { $0 << 8 | Int($1) }
    }
    func signed(_ offset: Int) throws -> Int { Int(Int32(truncatingIfNeeded: try number(offset, 4))) }
    let (start, width, rows, bits) = (try number(10, 4), try signed(18), try signed(22), try number(28, 2))
    let height = abs(rows)
    guard [8, 24, 32].contains(bits) else { throw wrong("has \(bits) bits a pixel; 8, 24 and 32 are read") }
    let channels = bits / 8
    guard wanted == 0 || wanted == channels else { throw wrong("has \(channels) channels, not \(wanted)") }
    guard width > 0, height > 0, width <= maximumPixels, height <= maximumPixels / width else {
      throw wrong("has \(width) x \(height) pixels, over the limit of \(maximumPixels >> 20) million")
    }
    // Rows are filled up to four bytes.
    let stride = (channels * width + 3) / 4 * 4
    guard start <= bytes.count, stride * (height - 1) + channels * width <= bytes.count - start else { throw wrong("ends too early") }
    var out: [UInt8] = []
    out.reserveCapacity(height * width * channels)
    for y in 0..<height {
      let row = start + (rows < 0 ? y : height - 1 - y) * stride
      for x in 0..<width {
        let pixel = bytes[row + x * channels..<row + (x + 1) * channels]
        // Colours stand as blue, green, red.
        if channels >= 3 { out += [pixel[pixel.startIndex + 2], pixel[pixel.startIndex + 1], pixel[pixel.startIndex]] }
        if channels != 3 { out.append(pixel[pixel.endIndex - 1]) }
      }
    }
    shape = [height, width, channels]
    pixels = out
  }
}
