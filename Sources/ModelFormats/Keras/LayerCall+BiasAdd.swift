import GraphModule
import TensorModule

extension LayerCall {
  /// `keras.ops.add(x, y)` as the file's Keras computes it.
  ///
  /// Since 3.7 the TensorFlow backend takes a `y` with one axis longer than 1 for a bias: it is added along the last axis of `x`
  /// when that has the same length, else along axis 1 when that has. Broadcasting may mean another axis; a warning says so.
  func kerasAdd(_ x: ValueID, _ y: ValueID) throws -> ValueID {
    guard let axis = biasAxis(of: type(x).dims, adding: type(y).dims) else { return try binary(.add, x, y) }
    warnOfBiasAxis(axis)
    let rest = type(x).rank - axis - 1
    let length = type(y).dims.first { $0.fixed != 1 } ?? 1
    return try binary(.add, x, try reshape(y, [length] + [Dim](repeating: 1, count: rest)))
  }

  /// The axis of `x` that a bias lies along, or nil where broadcasting gives the same.
  func biasAxis(of x: [Dim], adding y: [Dim]) -> Int? {
    guard dialect.isKeras3, !dialect.isBefore(3, 7), ["tensorflow", ""].contains(builder.backend), x.count > 1, y.count <= x.count,
      let position = y.firstIndex(where: { $0.fixed != 1 }), let length = y[position].fixed,
      y.lastIndex(where: { $0.fixed != 1 }) == position
    else { return nil }
    guard let axis = x.last?.fixed == length ? x.count - 1 : x[1].fixed == length ? 1 : nil else { return nil }
    return axis == position + x.count - y.count ? nil : axis
  }

  func warnOfBiasAxis(_ axis: Int) {
    builder.diagnostics.warn(
      layer.path,
      "Keras 3 on TensorFlow adds the bias along axis \(axis) here, because that axis has the same length; so does this graph")
  }
}
