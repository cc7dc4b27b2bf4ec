import TensorModule

/// A sample that a model put in the wrong class.
package struct Misprediction: Sendable {
  /// The input without the axis of samples.
  package let picture: Tensor
  package let expected: String
  package let predicted: String
  /// The score of the wrong class less that of the right one.
  package let margin: Double
}

/// The worst mispredictions of a pass over data: those where the right class fell furthest behind.
package struct MispredictionList: Sendable {
  private let limit: Int
  private let classNames: [String]?
  package private(set) var found: [Misprediction] = []

  package init(limit: Int = 16, classNames: [String]?) { (self.limit, self.classNames) = (limit, classNames) }

  /// Looks at a batch.
  ///
  /// - Parameters:
  ///   - inputs: pictures, a sample a row.
  ///   - targets: classes [n], [n, 1] or one-hot [n, classes].
  ///   - scores: the model's output [n, classes], or [n, 1] of two classes.
  package mutating func add(inputs: Tensor, targets: Tensor, scores: Tensor) {
    let count = inputs.shape.first ?? 0
    guard scores.shape.count == 2, scores.shape[0] == count, targets.shape.first == count, count > 0,
      SampleStore.pictureLayout(Array(inputs.shape.dropFirst())) != nil
    else { return }
    let (classes, values, wanted) = (scores.shape[1], scores.doubles, targets.doubles)
    let width = targets.count / count
    for row in 0..<count {
      let scores = classes == 1 ? [1 - values[row], values[row]] : Array(values[row * classes..<(row + 1) * classes])
      // Numbers that are no class are no misprediction.
      guard let label = Self.label(wanted[row * width..<(row + 1) * width]), scores.indices.contains(label) else { continue }
      let predicted = Self.greatest(scores)
      guard predicted != label else { continue }
      let margin = scores[predicted] - scores[label]
      if found.count == limit, let last = found.last, last.margin >= margin { continue }
      let inner = Array(inputs.shape.dropFirst())
      let picture = Tensor(
        dtype: inputs.dtype, shape: inner, address: inputs.address + row * inner.elementCount * inputs.dtype.byteCount, owner: inputs)
      let place = found.firstIndex { $0.margin < margin } ?? found.count
      found.insert(Misprediction(picture: picture, expected: name(label), predicted: name(predicted), margin: margin), at: place)
      if found.count > limit { found.removeLast() }
    }
  }

  /// The class that a row of targets names: its one number, or the place of the only 1 among 0.
  private static func label(_ row: ArraySlice<Double>) -> Int? {
    if row.count == 1 { return row.first.flatMap { Int(exactly: $0) } }
    guard row.allSatisfy({ $0 == 0 || $0 == 1 }), row.count(where: { $0 == 1 }) == 1, let place = row.firstIndex(of: 1) else { return nil }
    return place - row.startIndex
  }

  private func name(_ label: Int) -> String {
    guard let classNames, classNames.indices.contains(label) else { return "\(label)" }
    return classNames[label]
  }

  private static func greatest(_ values: [Double]) -> Int {
    values.indices.max { values[$0] < values[$1] } ?? 0
  }
}
