import TensorModule

/// A value that one prediction hands to the next: the state of a recurrent layer.
///
/// In the graph it is a constant, the value that it starts with; by itself a run of the graph therefore begins afresh.
/// A runtime that keeps state feeds what `next` was in the run before instead.
package struct State: Hashable, Sendable {
  /// The constant that the nodes read.
  package var value: ValueID
  /// What takes its place in the next run; of the same type.
  package var next: ValueID

  package init(value: ValueID, next: ValueID) {
    self.value = value
    self.next = next
  }
}

extension Graph {
  /// The graph with its states as inputs and outputs, behind its own, so that nothing takes them for constants.
  ///
  /// - Returns: the graph, and the tensors that the states start with.
  package func liftingStates() -> (graph: Graph, initial: [Tensor]) {
    if states.isEmpty { return (self, []) }
    var copy = self
    var initial: [Tensor] = []
    for state in states {
      guard let tensor = constants[state.value] else { continue }
      initial.append(tensor)
      copy.removeConstant(state.value)
      copy.setInputs(copy.inputs + [state.value])
      copy.outputs.append(Output(name: "state \(self[state.value].name)", value: state.next))
    }
    copy.states = []
    return (copy, initial)
  }

  /// Makes the last inputs and outputs states again.
  package func loweringStates(_ initial: [Tensor]) -> Graph {
    var copy = self
    let (ids, nexts) = (inputs.suffix(initial.count), outputs.suffix(initial.count).map(\.value))
    guard ids.count == initial.count, nexts.count == initial.count else { return self }
    copy.setInputs(Array(inputs.dropLast(initial.count)))
    copy.outputs.removeLast(initial.count)
    for ((id, next), tensor) in zip(zip(ids, nexts), initial) {
      copy.replaceConstant(id, with: tensor)
      copy.states.append(State(value: id, next: next))
    }
    return copy
  }
}
