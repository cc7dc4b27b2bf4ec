import TensorModule

/// Samples that can be read in any order: arrays in memory, pictures that are decoded when their turn comes.
public struct SampleStore: Sendable {
  /// One input's data.
  enum Column: Sendable {
    /// A row for each sample.
    case array(Tensor)
    case pictures([PictureSource], PictureForm)
  }

  struct Input: Sendable {
    let form: DataForm.Input
    let column: Column

    /// The lengths of a sample in a batch.
    var rowShape: Shape {
      switch column {
      case .array(let tensor): Array(tensor.shape.dropFirst())
      case .pictures(_, let form): form.shape
      }
    }
  }

  /// Where the samples came from, for messages.
  public let path: String
  let inputs: [Input]
  let targets: [TargetColumn]
  /// A weight for each sample, or for each of its steps, by the names of outputs.
  let weights: [String: Tensor]
  /// What the integers of the targets stand for.
  public let classNames: [String]?
  public let count: Int
  /// Whether the samples are a folder's, in the order of its classes.
  let isClassFolder: Bool
  /// The least and greatest value of each array that may be a picture, for augmentation.
  let ranges: [ClosedRange<Float>?]

  /// - Throws: `KilnError` (`badInput`) when there are no samples.
  init(
    path: String, count: Int, inputs: [Input], targets: [TargetColumn], weights: [String: Tensor] = [:], classNames: [String]? = nil,
    isClassFolder: Bool = false
  ) throws {
    guard count > 0 else { throw KilnError(.badInput, "holds no samples") }
    (self.path, self.inputs, self.targets, self.weights) = (path, inputs, targets, weights)
    (self.classNames, self.count, self.isClassFolder) = (classNames, count, isClassFolder)
    ranges = inputs.map { input in
      guard case .array(let tensor) = input.column, input.form.dtype == .float32, SampleStore.pictureLayout(input.rowShape) != nil else { return nil }
      return tensor.dtype == .uint8 ? 0...255 : SampleStore.range(tensor)
    }
  }

  /// Whether a sample takes long enough to read that other threads should do it ahead.
  var isSlow: Bool {
    inputs.contains { if case .pictures = $0.column { true } else { false } }
  }

  /// The class of a sample by the first target; nil where that has none.
  func label(_ sample: Int) -> Int? { targets.first?.label(sample) }

  /// Height, width, channels and whether those come first, when rows look like pictures.
  static func pictureLayout(_ shape: Shape) -> (height: Int, width: Int, channels: Int, isChannelsFirst: Bool)? {
    if shape.count == 2 { return (shape[0], shape[1], 1, false) }
    guard shape.count == 3 else { return nil }
    if [1, 3, 4].contains(shape[2]) { return (shape[0], shape[1], shape[2], false) }
    return [1, 3, 4].contains(shape[0]) ? (shape[1], shape[2], shape[0], true) : nil
  }

  private static func range(_ tensor: Tensor) -> ClosedRange<Float> {
    var (low, high) = (Float.infinity, -Float.infinity)
    let count = tensor.shape.dropFirst().reduce(1, *)
    var row = [Float](repeating: 0, count: count)
    for index in 0..<(tensor.shape.first ?? 0) {
      row.withUnsafeMutableBytes { if let base = $0.baseAddress { RowCopy.copy(tensor, row: index, to: base, as: .float32) } }
      for value in row { (low, high) = (min(low, value), max(high, value)) }
    }
    return low <= high ? low...high : 0...1
  }
}
