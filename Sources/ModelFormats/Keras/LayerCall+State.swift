import GraphModule
import TensorModule

extension LayerCall {
  /// The states that a stateful layer starts a call with: what the last prediction left, or what is given for this call.
  ///
  /// Keras takes given states. TensorFlow's own Keras, since 2.4, takes them only while all that is kept is zero.
  ///
  /// - Parameter dims: the dims of each state.
  /// - Returns: what is given when the layer is not stateful, or its batch size is not known (it then starts from zeros,
  ///   with a warning).
  func startingStates(_ given: [ValueID], isStateful: Bool, count: Int, _ dims: [Dim]) throws -> [ValueID] {
    guard isStateful else { return given }
    let shape = dims.compactMap(\.fixed)
    guard shape.count == dims.count else {
      builder.diagnostics.warn(
        layer.path, "the layer is stateful and its batch size is not fixed: each prediction starts from zeros")
      return given
    }
    let kept = try (0..<count).map { try builder.keptState(stateKey($0), dtype, shape) }
    guard given.count == count else { return kept }
    guard dialect.isTensorFlowKeras else { return given }
    var isUsed: ValueID?
    for state in kept {
      let isNonZero = try binary(.notEqual, state, try scalar(0, dtype))
      let any = try add(Reduce(.any, axes: Array(dims.indices)), [isNonZero], "is_used")
      isUsed = try isUsed.map { try binary(.or, $0, any) } ?? any
    }
    guard let isUsed else { return given }
    return try zip(kept, given).map { try add(Elementwise(.select), [isUsed, $0, $1], "state") }
  }

  /// Keeps the states that a call ended with for the next prediction.
  func keep(_ states: some Sequence<ValueID>, isStateful: Bool) {
    guard isStateful else { return }
    for (index, state) in states.enumerated() { builder.keepState(stateKey(index), state) }
  }

  private func stateKey(_ index: Int) -> String { "\(layer.path)/state\(index == 0 ? "" : "_\(index)")" }
}
