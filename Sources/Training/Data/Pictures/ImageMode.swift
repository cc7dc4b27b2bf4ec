/// What is done to the samples 0…255 of a picture.
public enum ImageMode: String, CaseIterable, Sendable {
  /// 0…255 as they are: for models that hold their own `Rescaling` or `Normalization`, as
  /// `keras.utils.image_dataset_from_directory` feeds them.
  case raw
  /// x / 255.
  case unit
  /// `keras.applications.imagenet_utils.preprocess_input(mode="tf")`: x / 127.5 - 1.
  case kerasTF = "keras-tf"
  /// `mode="torch"`: (x / 255 - mean) / standard deviation, of ImageNet by channel.
  case kerasTorch = "keras-torch"
  /// `mode="caffe"`: blue, green, red; minus ImageNet's means.
  case kerasCaffe = "keras-caffe"

  /// Whether the constants are those of red, green and blue.
  package var needsColor: Bool { self == .kerasTorch || self == .kerasCaffe }

  /// Changes one row-major picture of `channels` samples a pixel in place.
  package func apply(_ pixels: inout [Float], channels: Int) {
    switch self {
    case .raw: break
    case .unit: for index in pixels.indices { pixels[index] /= 255 }
    case .kerasTF: for index in pixels.indices { pixels[index] = pixels[index] / 127.5 - 1 }
    case .kerasTorch:
      let mean: [Float] = [0.485, 0.456, 0.406]
      let deviation: [Float] = [0.229, 0.224, 0.225]
      for index in pixels.indices { pixels[index] = (pixels[index] / 255 - mean[index % 3]) / deviation[index % 3] }
    case .kerasCaffe:
      let mean: [Float] = [103.939, 116.779, 123.68]
      for start in stride(from: 0, to: pixels.count - 2, by: 3) {
        pixels.swapAt(start, start + 2)
        for channel in 0..<3 { pixels[start + channel] -= mean[channel] }
      }
    }
  }
}
