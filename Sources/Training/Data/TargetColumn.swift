import TensorModule

/// What one output of the model is taught: of every sample a class, several classes, or numbers.
struct TargetColumn: Sendable {
  /// Rows as the loss wants them.
  enum Values: Sendable {
    /// Classes, `perSample` of them a sample.
    case classes([Int32], perSample: Int)
    case numbers(Tensor)
  }

  let target: DataForm.Target
  let values: Values
  /// The lengths of a sample's row in a batch.
  let rowShape: Shape
  private let classCount: Int

  /// Classes of samples.
  ///
  /// - Parameter shape: of one sample's classes: empty for one class.
  init(_ target: DataForm.Target, classes: [Int32], shape: Shape, classCount: Int) throws {
    let perSample = max(1, shape.elementCount)
    let labels = TargetColumn.labels(target, classCount)
    let most = target.classCount ?? classCount
    let ignored = labels == .indices ? target.ignoredLabel : nil
    if let bad = classes.firstIndex(where: { ($0 < 0 || Int($0) >= most) && Int($0) != ignored }) {
      throw KilnError(.badInput, "sample \(bad / perSample) has the label \(classes[bad]); the output has classes 0…\(most - 1)")
    }
    let wanted: Shape
    switch labels {
    case .indices: wanted = shape
    case .oneHot: wanted = shape + [most]
    case .binary, .numbers: wanted = target.dims.isEmpty ? shape : shape + [1]
    }
    self.target = target
    self.values = .classes(classes, perSample: perSample)
    self.rowShape = wanted
    self.classCount = most
    self.form = labels
  }

  /// Numbers in the shape of the output.
  init(_ target: DataForm.Target, numbers: Tensor) {
    self.target = target
    self.values = .numbers(numbers)
    self.rowShape = Array(numbers.shape.dropFirst())
    self.classCount = 0
    self.form = .numbers
  }

  private let form: DataForm.Labels

  /// What classes become when the loss only asks for numbers: one 0 or 1, or a row for all of them.
  private static func labels(_ target: DataForm.Target, _ classCount: Int) -> DataForm.Labels {
    guard target.labels == .numbers else { return target.labels }
    return target.dims.last == 1 || target.dims.isEmpty ? .binary : .oneHot
  }

  /// Whether a sample has values for places in it, which a movement of its picture would have to follow.
  var hasPlaces: Bool {
    switch values {
    case .classes(_, let perSample): perSample > 1
    case .numbers(let tensor): tensor.shape.count > 2
    }
  }

  var dtype: DType { form == .indices ? .int32 : .float32 }

  /// The class of a sample; nil when it has several or none, or one that the loss passes over.
  func label(_ sample: Int) -> Int? {
    guard case .classes(let classes, 1) = values, 0..<classCount ~= Int(classes[sample]) else { return nil }
    return Int(classes[sample])
  }

  /// How many classes there are; 0 where targets are numbers.
  var labelCount: Int {
    if case .classes(_, 1) = values { return classCount }
    return 0
  }

  /// Writes a sample's row to memory of zeros.
  func write(_ sample: Int, to memory: UnsafeMutableRawPointer) {
    switch values {
    case .numbers(let tensor): RowCopy.copy(tensor, row: sample, to: memory, as: .float32)
    case .classes(let classes, let perSample):
      for place in 0..<perSample {
        TargetColumn.write(Int(classes[sample * perSample + place]), form, classCount, to: memory, place)
      }
    }
  }

  private static func write(_ label: Int, _ form: DataForm.Labels, _ count: Int, to memory: UnsafeMutableRawPointer, _ place: Int) {
    switch form {
    case .indices: memory.storeBytes(of: Int32(label), toByteOffset: 4 * place, as: Int32.self)
    case .oneHot: memory.storeBytes(of: 1, toByteOffset: 4 * (place * count + label), as: Float.self)
    case .binary, .numbers: memory.storeBytes(of: Float(label), toByteOffset: 4 * place, as: Float.self)
    }
  }
}
