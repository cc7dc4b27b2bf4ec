import CImages
import Kiln

/// Reads pictures as a model's input: decoded to its channels, resized to its height and width, scaled by the mode.
struct ImageReader {
  private let input: TensorDescription
  private let mode: ImageMode
  private let channels: Int
  private let isChannelsFirst: Bool
  private let height: Int?
  private let width: Int?

  private static let maximumPixels: UInt64 = 64_000_000
  private static let maximumFile = 256 << 20

  /// - Throws: `KilnError` (`badInput`) when the input does not take pictures.
  init(_ input: TensorDescription, _ mode: ImageMode) throws {
    let dims = input.dims
    func isChannels(_ dim: Int?) -> Bool { dim == 1 || dim == 3 || dim == 4 }
    guard dims.count == 4 || dims.count == 3, input.dtype != .string else {
      throw KilnError(.badInput, "input \(KilnError.quoted(input.name)) takes \(input.typeText), which is not a picture")
    }
    if dims.count == 3 {
      (channels, isChannelsFirst, height, width) = (1, false, dims[1], dims[2])
    } else if isChannels(dims[3]) {
      (channels, isChannelsFirst, height, width) = (dims[3] ?? 1, false, dims[1], dims[2])
    } else if isChannels(dims[1]) {
      (channels, isChannelsFirst, height, width) = (dims[1] ?? 1, true, dims[2], dims[3])
    } else {
      throw KilnError(
        .badInput, "input \(KilnError.quoted(input.name)) takes \(input.typeText), which has no axis of 1, 3 or 4 channels")
    }
    if mode.needsColor, channels != 3 {
      throw KilnError(
        .usage, "--image-mode \(mode.rawValue) is for 3 channels; input \(KilnError.quoted(input.name)) takes \(input.typeText)")
    }
    self.input = input
    self.mode = mode
  }

  static func isImage(_ bytes: UnsafeRawBufferPointer) -> Bool {
    bytes.starts(with: [0x89, 0x50, 0x4E, 0x47]) || bytes.starts(with: [0xFF, 0xD8, 0xFF])
  }

  /// The pictures as one tensor, a sample each.
  func read(_ files: [String]) throws -> Tensor {
    var values: [Double] = []
    var size: (Int, Int)?
    for file in files {
      let picture = try decode(file)
      if let size, size != (picture.height, picture.width) {
        throw KilnError(
          .badInput, "is \(picture.width) x \(picture.height) pixels, the ones before it \(size.1) x \(size.0)", at: [file],
          hint: "the model takes any size; --batch-size 1 runs each picture by itself")
      }
      size = (picture.height, picture.width)
      values += picture.pixels.map { input.dtype.isFloat ? Double($0) : Double($0.rounded(.toNearestOrEven)) }
    }
    let (height, width) = size ?? (0, 0)
    let inner = input.dims.count == 3 ? [height, width] : isChannelsFirst ? [channels, height, width] : [height, width, channels]
    return try input.adopt(try Tensor(converting: values, to: input.dtype, shape: [files.count] + inner))
  }

  private struct Picture {
    var height: Int
    var width: Int
    /// In the input's layout.
    var pixels: [Float]
  }

  private func decode(_ path: String) throws -> Picture {
    let file = try MappedFile(path: path)
    guard file.bytes.count <= ImageReader.maximumFile else {
      throw KilnError(.badInput, "is \(file.bytes.count >> 20) MiB long; at most \(ImageReader.maximumFile >> 20) are read", at: [path])
    }
    var image = kiln_image()
    let bytes = file.bytes.bindMemory(to: UInt8.self)
    let status = withExtendedLifetime(file) {
      kiln_image_decode(bytes.baseAddress, bytes.count, Int32(channels), ImageReader.maximumPixels, &image)
    }
    defer { kiln_image_free(&image) }
    let message = withUnsafeBytes(of: &image.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    switch Int(status) {
    case Int(KILN_IMAGE_OK.rawValue): break
    case Int(KILN_IMAGE_TOO_LARGE.rawValue):
      throw KilnError(.badInput, "\(image.width) x \(image.height) pixels is over the limit of 64 million", at: [path])
    case Int(KILN_IMAGE_DAMAGED.rawValue): throw KilnError(.badInput, "damaged picture: \(message)", at: [path])
    case Int(KILN_IMAGE_NO_MEMORY.rawValue): throw KilnError(.failed, "out of memory for the picture", at: [path])
    case Int(KILN_IMAGE_NO_LIBRARY.rawValue): throw KilnError(.failed, message, at: [path])
    default: throw KilnError(.badInput, "is neither a PNG nor a JPEG file", at: [path])
    }
    guard let start = image.pixels else { throw KilnError(.internal, "a picture without pixels", at: [path]) }
    let samples = UnsafeBufferPointer(start: start, count: Int(image.width) * Int(image.height) * channels)
    let (height, width) = (self.height ?? Int(image.height), self.width ?? Int(image.width))
    guard let count = checkedProduct([height, width, channels]), count <= 4 * Int(ImageReader.maximumPixels) else {
      throw KilnError(.badInput, "the model's pictures of \(width) x \(height) are over the limit", at: [path])
    }
    var pixels = Resampling.bilinear(
      samples, height: Int(image.height), width: Int(image.width), channels: channels, toHeight: height, toWidth: width)
    mode.apply(&pixels, channels: channels)
    if isChannelsFirst { pixels = Resampling.channelsFirst(pixels, channels: channels) }
    return Picture(height: height, width: width, pixels: pixels)
  }
}
