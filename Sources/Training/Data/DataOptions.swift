/// How data are read.
public struct DataOptions: Sendable {
  /// The column or feature that holds the targets (`--target`).
  public var target: String?
  /// What is done to the samples 0…255 of pictures.
  public var imageMode = ImageMode.raw
  /// What pictures are resized to where the model takes any size.
  public var imageSize: (height: Int, width: Int)?

  public init(target: String? = nil, imageMode: ImageMode = .raw, imageSize: (height: Int, width: Int)? = nil) {
    (self.target, self.imageMode, self.imageSize) = (target, imageMode, imageSize)
  }
}
