import TensorModule

extension RNN {
  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let shape = try Expect.shape(outputs[0], Self.name)
    let dtype = inputs[0].dtype
    let (batch, time) = (inputs[0].shape[0], inputs[0].shape[1])
    let units = inputs[2].shape[0]
    let width = units * cell.gates
    let operands = operands
    let bias = operands.bias.map { inputs[$0].numbers } ?? []
    let inputBias = bias.isEmpty ? [Double](repeating: 0, count: width) : Array(bias.prefix(width))
    let recurrentBias =
      cell == .gruResetAfter && !bias.isEmpty ? Array(bias.suffix(width)) : [Double](repeating: 0, count: width)
    let projected = Self.product(
      inputs[0].numbers, inputs[1].numbers, rows: batch * time, inner: inputs[0].shape[2], columns: width,
      bias: inputBias)
    let recurrent = inputs[2].numbers
    let mask = operands.mask.map { inputs[$0].integers }
    var h = operands.h0.map { inputs[$0].numbers } ?? [Double](repeating: 0, count: batch * units)
    var c = operands.c0.map { inputs[$0].numbers } ?? [Double](repeating: 0, count: batch * units)
    var sequence = [Double](repeating: 0, count: batch * time * units)
    var last = [Double](repeating: 0, count: batch * units)
    let fields = cell.traceFields
    var kept = [Double](repeating: 0, count: trace ? batch * time * fields * units : 0)
    for step in 0..<time {
      let at = goBackwards ? time - 1 - step : step
      let fromState = Self.product(h, recurrent, rows: batch, inner: units, columns: width, bias: recurrentBias)
      for row in 0..<batch {
        let place = row * units..<(row + 1) * units
        if trace {
          let first = (row * time + at) * fields * units
          let before = (cell == .lstm ? Array(c[place]) : []) + Array(h[place])
          kept.replaceSubrange(first + fields * units - before.count..<first + fields * units, with: before)
        }
        if let mask, mask[row * time + at] == 0 {
          if zeroOutputForMask { for unit in place { last[unit] = 0 } }
        } else {
          let x = projected[((row * time + at) * width)..<((row * time + at + 1) * width)]
          let r = fromState[(row * width)..<((row + 1) * width)]
          let (newH, newC, gates) = advance(Array(x), Array(r), h: Array(h[place]), c: Array(c[place]), recurrent)
          if trace {
            let first = (row * time + at) * fields * units
            kept.replaceSubrange(first..<first + gates.count, with: gates)
          }
          h.replaceSubrange(place, with: newH)
          c.replaceSubrange(place, with: newC)
          last.replaceSubrange(place, with: newH)
        }
        for unit in 0..<units { sequence[(row * time + step) * units + unit] = last[row * units + unit] }
      }
    }
    let state: Shape = [batch, units]
    let output = ReferenceTensor(dtype, shape, .floats(returnSequences ? sequence : last))
    let states = [h] + (cell == .lstm ? [c] : [])
    return [output] + states.map { ReferenceTensor(dtype, state, .floats($0)) }
      + (trace ? [ReferenceTensor(dtype, [batch, time, fields * units], .floats(kept))] : [])
  }

  /// One step of one sample.
  ///
  /// - Parameters:
  ///   - x: the gates' products with the input, with the bias.
  ///   - r: the gates' products with the state.
  /// - Returns: the new states, and the gates as a trace has them.
  private func advance(_ x: [Double], _ r: [Double], h: [Double], c: [Double], _ recurrent: [Double]) -> (
    [Double], [Double], [Double]
  ) {
    let units = h.count
    func act(_ value: Double) -> Double { activation.function.evaluate(value, 0, 0, activation.parameters) }
    func gate(_ index: Int) -> Double {
      recurrentActivation.function.evaluate(x[index] + r[index], 0, 0, recurrentActivation.parameters)
    }
    switch cell {
    case .simple:
      let newH = (0..<units).map { act(x[$0] + r[$0]) }
      return (newH, c, newH)
    case .lstm:
      let newC = (0..<units).map { gate(units + $0) * c[$0] + gate($0) * act(x[2 * units + $0] + r[2 * units + $0]) }
      let gates = (0..<4 * units).map { $0 / units == 2 ? act(x[$0] + r[$0]) : gate($0) }
      return ((0..<units).map { gate(3 * units + $0) * act(newC[$0]) }, newC, gates)
    case .gru, .gruResetAfter:
      var candidate = (0..<units).map { gate(units + $0) * r[2 * units + $0] }
      if cell == .gru {
        let reset = (0..<units).map { gate(units + $0) * h[$0] }
        for unit in 0..<units {
          candidate[unit] = 0
          for index in 0..<units { candidate[unit] += reset[index] * recurrent[index * 3 * units + 2 * units + unit] }
        }
      }
      let new = (0..<units).map { act(x[2 * units + $0] + candidate[$0]) }
      let newH = (0..<units).map { gate($0) * h[$0] + (1 - gate($0)) * new[$0] }
      return (newH, c, (0..<2 * units).map(gate) + new + (cell == .gruResetAfter ? Array(r[(2 * units)...]) : []))
    }
  }

  /// a [rows, inner] · b [inner, columns] + bias [columns].
  private static func product(
    _ a: [Double], _ b: [Double], rows: Int, inner: Int, columns: Int, bias: [Double]
  ) -> [Double] {
    var out: [Double] = []
    out.reserveCapacity(rows * columns)
    for _ in 0..<rows { out += bias }
    out.withUnsafeMutableBufferPointer { out in
      a.withUnsafeBufferPointer { a in
        b.withUnsafeBufferPointer { b in
          for row in 0..<rows {
            for index in 0..<inner {
              let factor = a[row * inner + index]
              for column in 0..<columns { out[row * columns + column] += factor * b[index * columns + column] }
            }
          }
        }
      }
    }
    return out
  }
}
