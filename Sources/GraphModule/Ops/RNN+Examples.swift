import TensorModule

extension RNN {
  package static var examples: [OpExample] {
    var list: [OpExample] = []
    for cell in Cell.allCases {
      list += [
        RNN(cell: cell, returnSequences: true).example(2, 5, 3, 4),
        RNN(cell: cell).example(1, 7, 5, 17),
        RNN(cell: cell, goBackwards: true, returnSequences: true).example(3, 4, 2, 3),
        RNN(
          cell: cell, activation: Activation(.relu), recurrentActivation: Activation(.hardSigmoid, [0.2, 0.5]),
          bias: false
        )
        .example(2, 3, 4, 5),
        RNN(cell: cell, returnSequences: true, mask: true, initialState: true).example(3, 6, 2, 5),
        RNN(cell: cell, returnSequences: true, zeroOutputForMask: true, mask: true).example(3, 6, 2, 3),
        RNN(cell: cell, goBackwards: true, mask: true).example(2, 5, 3, 2),
        RNN(cell: cell, zeroOutputForMask: true, mask: true, initialState: true).example(2, 4, 3, 2),
        RNN(cell: cell, returnSequences: true, initialState: true).example(2, 1, 1, 1),
        RNN(cell: cell, returnSequences: true).example(0, 3, 2, 4),
        RNN(cell: cell, returnSequences: true, initialState: true).example(2, 0, 2, 3),
        RNN(cell: cell).example(4, 6, 33, 16),
        RNN(cell: cell, goBackwards: true, mask: true, initialState: true).tracing.example(5, 4, 3, 18),
        RNN(cell: cell, returnSequences: true).tracing.example(9, 5, 2, 16),
      ]
    }
    return list
  }

  /// The op with a trace.
  package var tracing: RNN {
    var copy = self
    copy.trace = true
    return copy
  }

  private func example(_ batch: Int, _ time: Int, _ features: Int, _ units: Int) -> OpExample {
    func f(_ shape: Int...) -> TensorType { TensorType(.float32, shape: shape) }
    let width = cell.gates * units
    var inputs = [f(batch, time, features), f(features, width), f(units, width)]
    if bias { inputs.append(cell == .gruResetAfter ? f(2, width) : f(width)) }
    if mask { inputs.append(TensorType(.bool, shape: [batch, time])) }
    if initialState { inputs += [TensorType](repeating: f(batch, units), count: cell == .lstm ? 2 : 1) }
    var fixed: [Int: [Double]] = [:]
    // Every third step is masked, and the first of the second sample.
    if let index = operands.mask { fixed[index] = (0..<(batch * time)).map { $0 % 3 == 1 || $0 == time ? 0 : 1 } }
    return OpExample(self, inputs, range: -0.8...0.8, fixed: fixed)
  }
}
