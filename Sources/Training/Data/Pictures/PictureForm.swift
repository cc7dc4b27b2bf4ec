import TensorModule

/// How pictures become samples of an input: their size, channels, layout and scale.
struct PictureForm: Sendable {
  let height: Int
  let width: Int
  let channels: Int
  let isChannelsFirst: Bool
  /// Whether the input has an axis for channels.
  let hasChannelAxis: Bool
  let mode: ImageMode

  /// - Parameter size: what pictures are resized to where the model takes any size.
  /// - Throws: `KilnError` when the input does not take pictures.
  init(_ input: DataForm.Input, size: (height: Int, width: Int)?, mode: ImageMode) throws {
    let dims = input.dims
    func isChannels(_ dim: Int?) -> Bool { dim == 1 || dim == 3 || dim == 4 }
    let (height, width): (Int?, Int?)
    if dims.count == 2 {
      (channels, isChannelsFirst, height, width) = (1, false, dims[0], dims[1])
    } else if dims.count == 3, isChannels(dims[2]) {
      (channels, isChannelsFirst, height, width) = (dims[2] ?? 1, false, dims[0], dims[1])
    } else if dims.count == 3, isChannels(dims[0]) {
      (channels, isChannelsFirst, height, width) = (dims[0] ?? 1, true, dims[1], dims[2])
    } else if dims.count == 3, dims[2] == nil {
      (channels, isChannelsFirst, height, width) = (3, false, dims[0], dims[1])
    } else {
      throw KilnError(
        .badInput, "the input \(KilnError.quoted(input.name)) takes \(input.dtype.name)\(dims.dimsText) a sample, which is no picture")
    }
    guard input.dtype == .float32 else {
      throw KilnError(.unsupportedModel, "the input \(KilnError.quoted(input.name)) takes \(input.dtype.name); pictures are float32 in training")
    }
    if mode.needsColor, channels != 3 {
      throw KilnError(.usage, "--image-mode \(mode.rawValue) is for 3 channels; the input \(KilnError.quoted(input.name)) takes \(channels)")
    }
    if let size, let height, let width, size != (height, width) {
      throw KilnError(.usage, "--image-size \(size.height)x\(size.width): the input \(KilnError.quoted(input.name)) takes \(height)x\(width)")
    }
    // image_dataset_from_directory makes 256 x 256 pixels where nothing says otherwise.
    (self.height, self.width) = (height ?? size?.height ?? 256, width ?? size?.width ?? 256)
    (hasChannelAxis, self.mode) = (dims.count == 3, mode)
    guard let count = checkedProduct([self.height, self.width, channels]), count > 0, count <= 1 << 28 else {
      throw KilnError(.badInput, "pictures of \(self.width) x \(self.height) pixels are over the limit")
    }
  }

  /// The lengths of one sample.
  var shape: Shape {
    if !hasChannelAxis { return [height, width] }
    return isChannelsFirst ? [channels, height, width] : [height, width, channels]
  }

  /// Decodes, resizes, augments and scales one picture as Keras's `image_dataset_from_directory` does.
  func write(_ bytes: UnsafeRawBufferPointer, to memory: UnsafeMutableRawPointer, _ augment: SampleAugmentation?) throws {
    let image = try PictureFile(bytes, channels: channels, manner: .tensorFlow)
    var pixels = Resampling.bilinear(
      image.samples, height: image.height, width: image.width, channels: channels, toHeight: height, toWidth: width)
    augment?.apply(&pixels, height: height, width: width, channels: channels, range: 0...255)
    mode.apply(&pixels, channels: channels)
    if isChannelsFirst { pixels = Resampling.channelsFirst(pixels, channels: channels) }
    pixels.withUnsafeBytes { memory.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(memory), byteCount: $0.count) }
  }
}

/// Where the bytes of a picture are.
enum PictureSource: Sendable {
  case file(String)
  /// Text of bytes, and what it is called in messages.
  case part(MappedFile, Range<Int>, place: String)

  func withBytes(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
    switch self {
    case .file(let path):
      let file = try MappedFile(path: path)
      do { try withExtendedLifetime(file) { try body(file.bytes) } } catch let error as KilnError { throw error.inside(path) }
    case .part(let file, let range, let place):
      do { try body(UnsafeRawBufferPointer(rebasing: file.bytes[range])) } catch let error as KilnError {
        throw error.inside(place).inside(file.path)
      }
    }
  }
}
