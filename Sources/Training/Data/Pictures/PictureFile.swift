import CImages
import TensorModule

/// The pixels of a PNG or JPEG file.
package final class PictureFile {
  package let height: Int
  package let width: Int
  package let channels: Int
  /// height x width x channels, row-major; valid while the object lives.
  package let samples: UnsafeBufferPointer<UInt8>
  private var image: kiln_image

  /// Whose decoder is followed where they differ: in how colour becomes gray, alpha goes, and JPEG's transform rounds.
  package enum Manner: Sendable { case pillow, tensorFlow }

  package static let maximumPixels: UInt64 = 64_000_000
  package static let maximumFile = 256 << 20

  /// Decodes a file to 1, 3 or 4 channels.
  ///
  /// - Throws: `KilnError`: `badInput` for a file that is damaged, too large or no picture; `failed` without memory or library.
  package init(_ bytes: UnsafeRawBufferPointer, channels: Int, manner: Manner) throws {
    guard bytes.count <= PictureFile.maximumFile else {
      throw KilnError(.badInput, "is \(bytes.count >> 20) MiB long; at most \(PictureFile.maximumFile >> 20) are read")
    }
    var image = kiln_image()
    let start = bytes.bindMemory(to: UInt8.self).baseAddress
    let status: Int32
    switch manner {
    case .pillow: status = kiln_image_decode(start, bytes.count, Int32(channels), PictureFile.maximumPixels, &image)
    case .tensorFlow:
      let form = kiln_tensorflow_form(
        channels: Int32(channels), bits: 8, ratio: 1, fancy_upscaling: 1, dct: Int32(KILN_JPEG_FAST.rawValue))
      status = kiln_image_decode_tensorflow(start, bytes.count, form, PictureFile.maximumPixels, &image)
    }
    if let problem = PictureFile.problem(status, &image) {
      kiln_image_free(&image)
      throw problem
    }
    guard let pixels = image.pixels, Int(image.channels) == channels else {
      kiln_image_free(&image)
      throw KilnError(.internal, "a picture without its pixels")
    }
    (height, width, self.channels) = (Int(image.height), Int(image.width), channels)
    samples = UnsafeBufferPointer(start: pixels, count: Int(image.height) * Int(image.width) * channels)
    self.image = image
  }

  deinit { kiln_image_free(&image) }

  private static func problem(_ status: Int32, _ image: inout kiln_image) -> KilnError? {
    let message = withUnsafeBytes(of: &image.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    switch Int(status) {
    case Int(KILN_IMAGE_OK.rawValue): return nil
    case Int(KILN_IMAGE_TOO_LARGE.rawValue):
      return KilnError(.badInput, "\(image.width) x \(image.height) pixels is over the limit of 64 million")
    case Int(KILN_IMAGE_DAMAGED.rawValue): return KilnError(.badInput, "damaged picture: \(message)")
    case Int(KILN_IMAGE_NO_MEMORY.rawValue): return KilnError(.failed, "out of memory for the picture")
    case Int(KILN_IMAGE_NO_LIBRARY.rawValue): return KilnError(.failed, message)
    default: return KilnError(.badInput, "is neither a PNG nor a JPEG file")
    }
  }
}
