import Kiln
import Training

/// Reads pictures as a model's input: decoded to its channels, resized to its height and width, scaled by the mode.
struct ImageReader {
  private let input: TensorDescription
  private let mode: ImageMode
  private let channels: Int
  private let isChannelsFirst: Bool
  private let height: Int?
  private let width: Int?

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
    let image: PictureFile
    do { image = try PictureFile(file.bytes, channels: channels, manner: .pillow) } catch let error as KilnError {
      throw error.inside(path)
    }
    let (height, width) = (self.height ?? image.height, self.width ?? image.width)
    guard let count = checkedProduct([height, width, channels]), count <= 4 * Int(PictureFile.maximumPixels) else {
      throw KilnError(.badInput, "the model's pictures of \(width) x \(height) are over the limit", at: [path])
    }
    var pixels = Resampling.bilinear(
      image.samples, height: image.height, width: image.width, channels: channels, toHeight: height, toWidth: width)
    mode.apply(&pixels, channels: channels)
    if isChannelsFirst { pixels = Resampling.channelsFirst(pixels, channels: channels) }
    return Picture(height: height, width: width, pixels: pixels)
  }
}
