import CZlib
import TensorModule

/// PNG files of 8-bit samples.
package enum PNGWriter {
  /// The file of a picture.
  ///
  /// - Parameters:
  ///   - samples: height x width x channels, row-major.
  ///   - channels: 1 (gray), 2 (gray and alpha), 3 (RGB) or 4 (RGBA).
  package static func encode(_ samples: [UInt8], height: Int, width: Int, channels: Int) throws -> [UInt8] {
    guard (1...4).contains(channels), height > 0, width > 0, checkedProduct([height, width, channels]) == samples.count,
      let high = UInt32(exactly: height), let wide = UInt32(exactly: width)
    else { throw KilnError(.internal, "\(samples.count) samples are no picture of \(width) x \(height) x \(channels)") }
    var rows: [UInt8] = []
    rows.reserveCapacity(samples.count + height)
    for row in 0..<height {
      // Filter 0: the samples as they are.
      rows.append(0)
      rows += samples[row * width * channels..<(row + 1) * width * channels]
    }
    var size = compressBound(uLong(rows.count))
    var packed = [UInt8](repeating: 0, count: Int(size))
    guard compress2(&packed, &size, rows, uLong(rows.count), 6) == Z_OK else { throw KilnError(.failed, "out of memory for a picture") }
    let head = bigEndian(wide) + bigEndian(high) + [8, [0, 4, 2, 6][channels - 1], 0, 0, 0]
    return [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A] + chunk("IHDR", head) + chunk("IDAT", Array(packed.prefix(Int(size)))) + chunk("IEND", [])
  }

  private static func chunk(_ name: String, _ data: [UInt8]) -> [UInt8] {
    let body = Array(name.utf8) + data
    return bigEndian(UInt32(data.count)) + body + bigEndian(body.withUnsafeBytes { ZipArchive.crc32($0) })
  }

  private static func bigEndian(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }

  /// A picture of any range as 8-bit samples in channels-last order: least to 0, greatest to 255; values that are 0…255 already stay.
  ///
  /// - Parameter layout: how the row of a batch is laid out.
  static func samples(_ row: [Float], _ layout: (height: Int, width: Int, channels: Int, isChannelsFirst: Bool)) -> [UInt8] {
    let pixels = layout.isChannelsFirst ? Resampling.channelsLast(row, channels: layout.channels) : row
    let finite = pixels.filter(\.isFinite)
    let (low, high) = (finite.min() ?? 0, finite.max() ?? 0)
    let isBytes = low >= 0 && high > 1.5 && high <= 255
    // -1…1 and 0…1 are whole ranges, whichever part of them the picture uses.
    let (from, to): (Float, Float) = isBytes ? (0, 255) : low >= 0 && high <= 1 ? (0, 1) : low >= -1 && high <= 1 ? (-1, 1) : (low, high)
    return pixels.map { value in
      guard value.isFinite, to > from else { return 0 }
      return UInt8(min(max((value - from) / (to - from) * 255, 0), 255).rounded())
    }
  }
}
