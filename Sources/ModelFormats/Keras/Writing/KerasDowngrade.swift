import TensorModule

/// Brings documents to the terms of Keras 2.
enum KerasDowngrade {
  /// - Throws: `KilnError` (`unsupportedModel`) with everything that Keras 2 does not have.
  static func document(_ document: KerasDocument) throws -> (KerasDocument, JSON?) {
    throw KilnError(.unsupportedModel, "files of Keras 2 are not written")
  }
}
