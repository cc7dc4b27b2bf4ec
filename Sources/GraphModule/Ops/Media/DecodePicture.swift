import CImages
import TensorModule

/// A picture file as pixels, as in `tf.io.decode_png`, `decode_jpeg`, `decode_bmp` and `decode_image`.
package struct DecodePicture: DataDependentOp {
  /// What a file may be.
  package enum Format: String, Sendable, CaseIterable {
    /// PNG or JPEG.
    case pngOrJPEG = "png_or_jpeg"
    case bmp
    case any
  }

  /// What pixels are.
  package enum Samples: String, Sendable, CaseIterable {
    /// 0 to 255, uint8.
    case bytes
    /// 0 to 65535, int32.
    case words
    /// 0 to 1, float32.
    case unit

    var dtype: DType {
      switch self {
      case .bytes: .uint8
      case .words: .int32
      case .unit: .float32
      }
    }
  }

  package static let name = "decode_picture"
  package static let summary =
    "the pixels [height, width, channels] of the picture file that x, one text, holds; channels 0 takes the file's own, a JPEG is made smaller by ratio; `dims` declares the result; at most 32 million pixels"

  package var format: Format
  package var samples: Samples
  package var channels: Int
  package var ratio: Int
  /// Whether colours of a JPEG that are stored coarser are interpolated.
  package var fancyUpscaling: Bool
  /// Whether the inverse transform of a JPEG is libjpeg's fast one.
  package var fastTransform: Bool
  package var dims: [Dim]

  package static let maximumPixels = 1 << 25

  package init(
    _ format: Format, _ samples: Samples = .bytes, channels: Int = 0, ratio: Int = 1, fancyUpscaling: Bool = true,
    fastTransform: Bool = true, dims: [Dim]
  ) {
    (self.format, self.samples, self.channels, self.ratio) = (format, samples, channels, ratio)
    (self.fancyUpscaling, self.fastTransform, self.dims) = (fancyUpscaling, fastTransform, dims)
  }

  package var attributes: Attributes {
    [
      ("format", .word(format.rawValue)), ("samples", .word(samples.rawValue)), ("channels", .int(channels)), ("ratio", .int(ratio)),
      ("fancy_upscaling", .bool(fancyUpscaling)), ("fast_transform", .bool(fastTransform)), ("dims", .dims(dims)),
    ]
  }

  package init(from reader: inout AttributeReader) throws {
    format = try reader.choice("format")
    samples = try reader.choice("samples")
    channels = try reader.int("channels")
    ratio = try reader.int("ratio")
    fancyUpscaling = try reader.bool("fancy_upscaling")
    fastTransform = try reader.bool("fast_transform")
    dims = try reader.dims("dims")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    try Expect.strings(inputs[0], Self.name, "the operand")
    try Expect.that(inputs[0].elementCount.fixed ?? 1 == 1, Self.name, "the operand must be one text, found \(inputs[0].message)")
    try Expect.that((0...4).contains(channels), Self.name, "channels must be from 0 to 4, found \(channels)")
    try Expect.that([1, 2, 4, 8].contains(ratio), Self.name, "ratio must be 1, 2, 4 or 8, found \(ratio)")
    try SizeOperand.declared(dims, Self.name)
    try Expect.that(dims.count == 3, Self.name, "dims must be height, width and channels")
    return [TensorType(samples.dtype, dims)]
  }

  package func results(_ inputs: [ReferenceTensor]) throws -> [ReferenceTensor] {
    guard let bytes = inputs[0].texts.first?.bytes, inputs[0].count == 1 else {
      throw KilnError(.badInput, "op '\(Self.name)': the operand holds \(inputs[0].count) texts, expected one")
    }
    if format != .pngOrJPEG, bytes.starts(with: [0x42, 0x4D]) {
      let bitmap = try Bitmap(bytes, channels: channels, maximumPixels: Self.maximumPixels)
      return [try tensor(bitmap.pixels.map(Int64.init), bitmap.shape, most: 255)]
    }
    guard format != .bmp else { throw KilnError(.badInput, "op '\(Self.name)': the file is no BMP picture") }
    guard !bytes.starts(with: Array("GIF8".utf8)) else {
      throw KilnError(.unsupportedModel, "op '\(Self.name)': GIF pictures are not supported")
    }
    return [try decode(bytes)]
  }

  private func decode(_ bytes: [UInt8]) throws -> ReferenceTensor {
    // A PNG has 16 bits of its own to give.
    let isPNG = bytes.starts(with: [0x89, 0x50])
    let bits = samples == .bytes || (samples == .unit && !isPNG) ? 8 : 16
    var image = kiln_image()
    let form = kiln_tensorflow_form(
      channels: Int32(channels), bits: Int32(bits), ratio: Int32(ratio), fancy_upscaling: fancyUpscaling ? 1 : 0,
      dct: Int32((fastTransform ? KILN_JPEG_FAST : KILN_JPEG_ACCURATE).rawValue))
    let status = kiln_image_decode_tensorflow(bytes, bytes.count, form, UInt64(Self.maximumPixels), &image)
    defer { kiln_image_free(&image) }
    let message = withUnsafeBytes(of: &image.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    switch Int(status) {
    case Int(KILN_IMAGE_OK.rawValue): break
    case Int(KILN_IMAGE_TOO_LARGE.rawValue):
      throw KilnError(.badInput, "op '\(Self.name)': \(image.width) x \(image.height) pixels is over the limit of 32 million")
    case Int(KILN_IMAGE_DAMAGED.rawValue):
      throw KilnError(.badInput, "op '\(Self.name)': damaged picture: \(KilnError.escaped(message))")
    case Int(KILN_IMAGE_NO_MEMORY.rawValue): throw KilnError(.failed, "op '\(Self.name)': out of memory for the picture")
    case Int(KILN_IMAGE_NO_LIBRARY.rawValue): throw KilnError(.failed, "op '\(Self.name)': \(message)")
    default: throw KilnError(.badInput, "op '\(Self.name)': the file is neither a PNG nor a JPEG picture")
    }
    let shape = [Int(image.height), Int(image.width), Int(image.channels)]
    guard let start = image.pixels else { throw KilnError(.internal, "a picture without pixels") }
    let raw = UnsafeRawBufferPointer(start: start, count: shape.elementCount * bits / 8)
    let values = (0..<shape.elementCount).map { index in
      bits == 8 ? Int64(raw[index]) : Int64(raw.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self))
    }
    return try tensor(values, shape, most: bits == 8 ? 255 : 65535)
  }

  /// Samples of 0 to `most` as what is wanted.
  private func tensor(_ values: [Int64], _ shape: Shape, most: Int) throws -> ReferenceTensor {
    switch samples {
    case .bytes: ReferenceTensor(.uint8, shape, .integers(values))
    case .words: ReferenceTensor(.int32, shape, .integers(most == 255 ? values.map { $0 * 256 } : values))
    case .unit: ReferenceTensor(.float32, shape, .floats(values.map { Double(Float($0) * (1 / Float(most))) }))
    }
  }

  package func substituting(_ bindings: [String: Int]) -> DecodePicture {
    var copy = self
    copy.dims = dims.map { $0.substituting(bindings) }
    return copy
  }

  /// A PNG picture of 2 x 1 pixels.
  private static let png = ByteString(
    [
      137, 80, 78, 71, 13, 10, 26, 10, 0, 0, 0, 13, 73, 72, 68, 82, 0, 0, 0, 1, 0, 0, 0, 2, 8, 2, 0, 0, 0, 22, 227,
      33, 112, 0, 0, 0, 16, 73, 68, 65, 84, 120, 218, 99, 248, 207, 192, 197, 32, 34, 167, 1, 0, 7, 211, 1, 100, 157,
      85, 31, 78, 0, 0, 0, 0, 73, 69, 78, 68, 174, 66, 96, 130,
    ] as [UInt8])
  /// A BMP picture of 2 x 1 pixels.
  private static let bmp = ByteString(
    [
      66, 77, 62, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 24, 0, 0, 0, 0, 0, 8,
      0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 0, 4, 5, 6, 0,
    ] as [UInt8])

  /// None of size 0: a picture has pixels.
  package static var examples: [OpExample] {
    let one = TensorType(.string, [])
    return [
      OpExample(DecodePicture(.pngOrJPEG, dims: [2, 1, 3]), [one], texts: [0: [png]]),
      OpExample(DecodePicture(.any, .words, channels: 4, dims: [2, 1, 4]), [TensorType(.string, [1])], texts: [0: [png]]),
      OpExample(DecodePicture(.any, .unit, channels: 1, dims: [2, 1, 1]), [one], texts: [0: [png]]),
      OpExample(DecodePicture(.bmp, dims: [2, 1, 3]), [one], texts: [0: [bmp]]),
    ]
  }
}
