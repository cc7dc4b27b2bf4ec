import GraphModule
import TensorModule

/// A recurrent layer whose gates have dropout masks of their own, step by step.
///
/// Every sample has other masks, so that no kernel of the weights has them; the steps are nodes of the graph.
struct DropoutCell {
  struct Masks {
    var dropout: RNN.Dropout
    var seed: Int
    var counter: ValueID
  }

  /// More steps make a graph that takes too long to plan.
  static let mostSteps = 2048

  let rnn: RNN
  let masks: Masks
  let graph: GraphWriter

  private var gates: Int { rnn.cell.gates }

  /// - Parameter operands: those of the op.
  /// - Returns: its results.
  func write(_ operands: [ValueID]) throws -> [ValueID] {
    let shape = try graph.shape(operands[0])
    let (batch, time, features) = (shape[0], shape[1], shape[2])
    let units = try graph.shape(operands[2])[0]
    guard time <= Self.mostSteps else {
      throw KilnError(.unsupportedModel, "training with recurrent dropout over \(time) steps (more than \(Self.mostSteps)) is not supported")
    }
    let dtype = graph.type(operands[0]).dtype
    let places = rnn.operands
    let bias = try places.bias.map { try biases(operands[$0], units) }
    // [time, gates, batch, units]
    let projected = try project(operands[0], try byGate(operands[1], features, units), bias?.input, batch, time, features, units)
    let recurrent = try byGate(operands[2], units, units)
    let stateMask = try mask(masks.dropout.recurrent, [gates, batch, units], masks.dropout.stream + 1, dtype)
    let zeros = try graph.add(BroadcastTo([Dim(batch), Dim(units)]), [try graph.scalar(0, dtype)])
    var h = places.h0.map { operands[$0] } ?? zeros
    var c = places.c0.map { operands[$0] } ?? zeros
    var last = zeros
    var sequence: [ValueID] = []
    for step in 0..<time {
      let at = rnn.goBackwards ? time - 1 - step : step
      let x = try graph.reshape(try slice(projected, [at..<at + 1]), [gates, batch, units])
      let masked = try graph.reshape(h, [1, batch, units])
      let states = try stateMask.map { try graph.binary(.mul, masked, $0) }
        ?? graph.add(BroadcastTo([Dim(gates), Dim(batch), Dim(units)]), [masked])
      let new = try advance(x, states, recurrent, bias?.recurrent, h, c, batch, units)
      if let index = places.mask {
        let live = try slice(operands[index], [0..<batch, at..<at + 1])
        last = try graph.select(live, new.h, rnn.zeroOutputForMask ? zeros : last)
        (h, c) = (try graph.select(live, new.h, h), rnn.cell == .lstm ? try graph.select(live, new.c, c) : c)
      } else {
        (h, c, last) = (new.h, new.c, new.h)
      }
      if rnn.returnSequences { sequence.append(try graph.reshape(last, [batch, 1, units])) }
    }
    let output: ValueID
    if !rnn.returnSequences { output = last } else if sequence.count == 1 { output = sequence[0] } else if sequence.isEmpty {
      output = try graph.add(BroadcastTo([Dim(batch), 0, Dim(units)]), [try graph.scalar(0, dtype)])
    } else {
      output = try graph.add(Concat(axis: 1), sequence)
    }
    return [output, h] + (rnn.cell == .lstm ? [c] : [])
  }

  /// The new states of one step.
  ///
  /// - Parameters:
  ///   - x: the gates' products with the input [gates, batch, units].
  ///   - states: the state as each gate sees it [gates, batch, units].
  private func advance(
    _ x: ValueID, _ states: ValueID, _ recurrent: ValueID, _ bias: ValueID?, _ h: ValueID, _ c: ValueID, _ batch: Int, _ units: Int
  ) throws -> (h: ValueID, c: ValueID) {
    func gate(_ value: ValueID, _ index: Int) throws -> ValueID {
      try graph.reshape(try slice(value, [index..<index + 1]), [batch, units])
    }
    func act(_ value: ValueID, _ activation: Activation) throws -> ValueID {
      activation == .identity ? value : try graph.add(Elementwise(activation.function, activation.parameters), [value])
    }
    func product(_ gates: Range<Int>) throws -> ValueID {
      try graph.add(MatMul(), [try slice(states, [gates]), try slice(recurrent, [gates])])
    }
    switch rnn.cell {
    case .simple:
      return (try act(try gate(try graph.binary(.add, x, try product(0..<1)), 0), rnn.activation), c)
    case .lstm:
      let z = try graph.binary(.add, x, try product(0..<4))
      let (i, f, o) = (try act(try gate(z, 0), rnn.recurrentActivation), try act(try gate(z, 1), rnn.recurrentActivation), try act(try gate(z, 3), rnn.recurrentActivation))
      let candidate = try act(try gate(z, 2), rnn.activation)
      let new = try graph.binary(.add, try graph.binary(.mul, f, c), try graph.binary(.mul, i, candidate))
      return (try graph.binary(.mul, o, try act(new, rnn.activation)), new)
    case .gru, .gruResetAfter:
      var sums = try product(rnn.cell == .gru ? 0..<2 : 0..<3)
      if let bias { sums = try graph.binary(.add, sums, bias) }
      let z = try act(try graph.binary(.add, try gate(x, 0), try gate(sums, 0)), rnn.recurrentActivation)
      let r = try act(try graph.binary(.add, try gate(x, 1), try gate(sums, 1)), rnn.recurrentActivation)
      let inner: ValueID
      if rnn.cell == .gruResetAfter { inner = try graph.binary(.mul, r, try gate(sums, 2)) } else {
        let reset = try graph.binary(.mul, r, try gate(states, 2))
        inner = try graph.add(MatMul(), [reset, try graph.reshape(try slice(recurrent, [2..<3]), [units, units])])
      }
      let candidate = try act(try graph.binary(.add, try gate(x, 2), inner), rnn.activation)
      let kept = try graph.binary(.mul, z, h)
      return (try graph.binary(.add, kept, try graph.binary(.mul, try graph.affine(z, -1, 1), candidate)), c)
    }
  }

  /// Weights [rows, gates · units] as [gates, rows, units].
  private func byGate(_ weights: ValueID, _ rows: Int, _ units: Int) throws -> ValueID {
    try graph.add(Transpose([1, 0, 2]), [try graph.reshape(weights, [rows, gates, units])])
  }

  private func biases(_ bias: ValueID, _ units: Int) throws -> (input: ValueID, recurrent: ValueID?) {
    guard rnn.cell == .gruResetAfter else { return (try graph.reshape(bias, [gates, 1, units]), nil) }
    let rows = try (0..<2).map { try graph.reshape(try slice(bias, [$0..<$0 + 1]), [gates, 1, units]) }
    return (rows[0], rows[1])
  }

  /// The products of all steps' inputs, as their gates see them.
  private func project(
    _ x: ValueID, _ kernel: ValueID, _ bias: ValueID?, _ batch: Int, _ time: Int, _ features: Int, _ units: Int
  ) throws -> ValueID {
    let dtype = graph.type(x).dtype
    var inputs = try graph.reshape(x, [1, batch * time, features])
    if let mask = try mask(masks.dropout.input, [gates, batch, 1, features], masks.dropout.stream, dtype) {
      inputs = try graph.reshape(
        try graph.binary(.mul, try graph.reshape(x, [1, batch, time, features]), mask), [gates, batch * time, features])
    }
    var sums = try graph.add(MatMul(), [inputs, kernel])
    if let bias { sums = try graph.binary(.add, sums, bias) }
    return try graph.add(Transpose([2, 0, 1, 3]), [try graph.reshape(sums, [gates, batch, time, units])])
  }

  /// 1 / (1 − rate) where an element is kept, 0 elsewhere; nil for a rate of 0.
  private func mask(_ rate: Double, _ shape: Shape, _ stream: Int, _ dtype: DType) throws -> ValueID? {
    guard rate > 0 else { return nil }
    // Keras drops nothing at a rate of 1.
    guard rate < 1 else { return nil }
    let random = try graph.add(
      RandomNumbers(.uniform, dims: shape.map { Dim($0) }, dtype: dtype, seed: masks.seed, stream: stream), [masks.counter])
    return try graph.select(
      try graph.binary(.greaterEqual, random, rate), try graph.scalar(1 / (1 - rate), dtype), try graph.scalar(0, dtype))
  }

  /// The leading axes cut to ranges.
  private func slice(_ x: ValueID, _ ranges: [Range<Int>]) throws -> ValueID {
    let shape = try graph.shape(x)
    if zip(ranges, shape).allSatisfy({ $0 == 0..<$1 }) { return x }
    let cut = ranges.map { Slice.Range(start: $0.lowerBound, end: $0.upperBound) }
    return try graph.add(Slice(cut + shape.dropFirst(ranges.count).map { _ in Slice.Range.all }), [x])
  }
}
