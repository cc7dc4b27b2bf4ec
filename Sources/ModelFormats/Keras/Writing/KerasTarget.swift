import TensorModule

/// What a Keras writer writes.
public enum KerasTarget: String, Sendable, CaseIterable {
  /// `.keras` of Keras 3.
  case keras3Archive
  /// The legacy whole-model `.h5` of Keras 3.
  case keras3H5
  /// `.weights.h5` of Keras 3.
  case keras3Weights
  /// The whole-model `.h5` of Keras 2, for tf.keras and tf_keras.
  case keras2H5
  /// The `.h5` of Keras 2 with weights only.
  case keras2Weights

  /// What a file of that name is; nil when the name does not tell.
  ///
  /// - Parameter generation: 2 or 3, where the name goes for both.
  public init?(path: String, generation: Int) {
    if path.hasSuffix(".keras"), generation == 3 {
      self = .keras3Archive
    } else if path.hasSuffix(".weights.h5") {
      self = generation == 3 ? .keras3Weights : .keras2Weights
    } else if path.hasSuffix(".h5") || path.hasSuffix(".hdf5") {
      self = generation == 3 ? .keras3H5 : .keras2H5
    } else {
      return nil
    }
  }

  package var isKeras3: Bool { [.keras3Archive, .keras3H5, .keras3Weights].contains(self) }
  package var isWeightsOnly: Bool { self == .keras3Weights || self == .keras2Weights }
}
