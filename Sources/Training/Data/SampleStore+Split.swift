import TensorModule

extension SampleStore {
  /// Sets samples aside for validation.
  ///
  /// Arrays and tables as `Model.fit(validation_split=)` does: the last ones in the order of the data. Folders of classes as
  /// `image_dataset_from_directory(validation_split=, seed=)` does: the last ones in an order that NumPy's shuffle gives.
  ///
  /// - Throws: `KilnError` (`usage`) when a part would be empty.
  public func split(validation fraction: Double, seed: UInt64) throws -> (training: [Int], validation: [Int]) {
    guard fraction > 0, fraction < 1 else {
      throw KilnError(.usage, "--validation-split must be between 0 and 1, found \(fraction)")
    }
    let order = isClassFolder ? NumPyShuffle.order(count: count, seed: UInt32(truncatingIfNeeded: seed)) : Array(0..<count)
    let kept = isClassFolder ? count - Int(fraction * Double(count)) : Int((Double(count) * (1 - fraction)).rounded(.down))
    guard kept > 0, kept < count else {
      throw KilnError(.usage, "--validation-split \(fraction) of \(count) samples leaves \(kept) for training and \(count - kept) for validation")
    }
    return (Array(order[..<kept]), Array(order[kept...]))
  }

  /// Weights of classes with which every class counts as much as another: samples / (classes · samples of the class).
  ///
  /// - Throws: `KilnError` (`usage`) when the samples have no classes.
  func balancedWeights(_ samples: [Int]) throws -> [Float] {
    guard targets.count == 1, let count = targets.first?.labelCount, count > 0 else {
      throw KilnError(.usage, "--class-weights auto needs one class for each sample")
    }
    var found = [Int](repeating: 0, count: count)
    for sample in samples { if let label = label(sample), label < count { found[label] += 1 } }
    let present = found.count { $0 > 0 }
    return found.map { $0 > 0 ? Float(Double(samples.count) / (Double(present) * Double($0))) : 0 }
  }
}
