import TensorModule

extension RNNGradient {
  /// What the forward pass keeps of one step of one sample.
  private struct Step {
    var h: [Double]
    var c: [Double]
    /// The gates before and after their functions.
    var z: [Double]
    var gates: [Double]
    /// What the reset gate multiplies (`gru_reset_after`), or its product with the state (`gru`).
    var inner: [Double]
    var newC: [Double]
    var isMasked: Bool
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let operands = rnn.operands
    let (x, kernel, recurrent) = (inputs[0], inputs[1].numbers, inputs[2].numbers)
    let (batch, time, features, units) = (x.shape[0], x.shape[1], x.shape[2], inputs[2].shape[0])
    let width = units * rnn.cell.gates
    let bias = operands.bias.map { inputs[$0].numbers } ?? []
    let values = x.numbers
    let mask = operands.mask.map { inputs[$0].integers }
    let cotangents = inputs.suffix(resultCount).map(\.numbers)
    var dx = [Double](repeating: 0, count: values.count)
    var dKernel = [Double](repeating: 0, count: kernel.count)
    var dRecurrent = [Double](repeating: 0, count: recurrent.count)
    var dBias = [Double](repeating: 0, count: bias.count)
    var (dh0, dc0) = ([Double](repeating: 0, count: batch * units), [Double](repeating: 0, count: batch * units))
    for row in 0..<batch {
      let place = row * units..<(row + 1) * units
      var h = operands.h0.map { Array(inputs[$0].numbers[place]) } ?? [Double](repeating: 0, count: units)
      var c = operands.c0.map { Array(inputs[$0].numbers[place]) } ?? [Double](repeating: 0, count: units)
      var steps: [Step] = []
      for number in 0..<time {
        let at = rnn.goBackwards ? time - 1 - number : number
        if let mask, mask[row * time + at] == 0 {
          steps.append(Step(h: h, c: c, z: [], gates: [], inner: [], newC: c, isMasked: true))
          continue
        }
        let first = (row * time + at) * features
        let step = forward(Array(values[first..<first + features]), h, c, kernel, recurrent, bias)
        steps.append(step.step)
        (h, c) = (step.h, step.step.newC)
      }
      var dh = Array(cotangents[1][place])
      var dc = rnn.cell == .lstm ? Array(cotangents[2][place]) : [Double](repeating: 0, count: units)
      // Of the output that masked steps repeat.
      var dLast = rnn.returnSequences ? [Double](repeating: 0, count: units) : Array(cotangents[0][place])
      for number in (0..<time).reversed() {
        let at = rnn.goBackwards ? time - 1 - number : number
        if rnn.returnSequences {
          let first = (row * time + number) * units
          for unit in 0..<units { dLast[unit] += cotangents[0][first + unit] }
        }
        let step = steps[number]
        if step.isMasked {
          if rnn.zeroOutputForMask { for unit in 0..<units { dLast[unit] = 0 } }
          continue
        }
        for unit in 0..<units {
          dh[unit] += dLast[unit]
          dLast[unit] = 0
        }
        // The slopes by the gates' sums with the input and with the state.
        let back = backward(step, dh, dc, recurrent)
        (dh, dc) = (back.dh, back.dc)
        let first = (row * time + at) * features
        for gate in 0..<width {
          for feature in 0..<features {
            dx[first + feature] += back.input[gate] * kernel[feature * width + gate]
            dKernel[feature * width + gate] += back.input[gate] * values[first + feature]
          }
          for unit in 0..<units {
            let state = rnn.cell == .gru && gate >= 2 * units ? step.inner[unit] : step.h[unit]
            dRecurrent[unit * width + gate] += back.state[gate] * state
          }
          if !bias.isEmpty { dBias[gate] += back.input[gate] }
          if bias.count == 2 * width { dBias[width + gate] += back.state[gate] }
        }
      }
      dh0.replaceSubrange(place, with: dh)
      dc0.replaceSubrange(place, with: dc)
    }
    let results = [dx, dKernel, dRecurrent] + (operands.bias != nil ? [dBias] : []) + (operands.h0 != nil ? [dh0] : []) + (operands.c0 != nil ? [dc0] : [])
    return zip(differentiated, results).map { ReferenceTensor(inputs[$0].dtype, inputs[$0].shape, .floats($1)) }
  }

  private func forward(
    _ x: [Double], _ h: [Double], _ c: [Double], _ kernel: [Double], _ recurrent: [Double], _ bias: [Double]
  ) -> (step: Step, h: [Double]) {
    let units = h.count
    let width = units * rnn.cell.gates
    var (fromInput, fromState) = ([Double](repeating: 0, count: width), [Double](repeating: 0, count: width))
    for gate in 0..<width {
      for feature in x.indices { fromInput[gate] += x[feature] * kernel[feature * width + gate] }
      for unit in 0..<units { fromState[gate] += h[unit] * recurrent[unit * width + gate] }
      if !bias.isEmpty { fromInput[gate] += bias[gate] }
      if bias.count == 2 * width { fromState[gate] += bias[width + gate] }
    }
    func act(_ value: Double) -> Double { rnn.activation.function.evaluate(value, 0, 0, rnn.activation.parameters) }
    func gate(_ value: Double) -> Double { rnn.recurrentActivation.function.evaluate(value, 0, 0, rnn.recurrentActivation.parameters) }
    var z = zip(fromInput, fromState).map { $0 + $1 }
    var (gates, inner, newC, newH) = (z, [Double](), c, h)
    switch rnn.cell {
    case .simple:
      gates = z.map(act)
      newH = gates
    case .lstm:
      gates = z.indices.map { $0 / units == 2 ? act(z[$0]) : gate(z[$0]) }
      for unit in 0..<units {
        newC[unit] = gates[units + unit] * c[unit] + gates[unit] * gates[2 * units + unit]
        newH[unit] = gates[3 * units + unit] * act(newC[unit])
      }
    case .gru, .gruResetAfter:
      for index in 0..<2 * units { gates[index] = gate(z[index]) }
      inner = rnn.cell == .gru ? (0..<units).map { gates[units + $0] * h[$0] } : Array(fromState[(2 * units)...])
      for unit in 0..<units {
        let at = 2 * units + unit
        var candidate = 0.0
        if rnn.cell == .gru {
          for index in 0..<units { candidate += inner[index] * recurrent[index * width + at] }
        } else {
          candidate = gates[units + unit] * inner[unit]
        }
        z[at] = fromInput[at] + candidate
        gates[at] = act(z[at])
        newH[unit] = gates[unit] * h[unit] + (1 - gates[unit]) * gates[at]
      }
    }
    return (Step(h: h, c: c, z: z, gates: gates, inner: inner, newC: newC, isMasked: false), newH)
  }

  private func backward(
    _ step: Step, _ dh: [Double], _ dc: [Double], _ recurrent: [Double]
  ) -> (input: [Double], state: [Double], dh: [Double], dc: [Double]) {
    let units = dh.count
    let width = units * rnn.cell.gates
    let g = step.gates
    var input = [Double](repeating: 0, count: width)
    var (oldH, oldC) = ([Double](repeating: 0, count: units), dc)
    func act(_ index: Int) -> Double { rnn.activation.slope(step.z[index], g[index]) }
    func gate(_ index: Int) -> Double { rnn.recurrentActivation.slope(step.z[index], g[index]) }
    switch rnn.cell {
    case .simple: for unit in 0..<units { input[unit] = dh[unit] * act(unit) }
    case .lstm:
      for unit in 0..<units {
        let (i, f, a, o) = (unit, units + unit, 2 * units + unit, 3 * units + unit)
        let squashed = rnn.activation.function.evaluate(step.newC[unit], 0, 0, rnn.activation.parameters)
        input[o] = dh[unit] * squashed * gate(o)
        let down = dc[unit] + dh[unit] * g[o] * rnn.activation.slope(step.newC[unit], squashed)
        input[i] = down * g[a] * gate(i)
        input[f] = down * step.c[unit] * gate(f)
        input[a] = down * g[i] * act(a)
        oldC[unit] = down * g[f]
      }
    case .gru, .gruResetAfter:
      for unit in 0..<units {
        let (update, at) = (unit, 2 * units + unit)
        input[update] = dh[unit] * (step.h[unit] - g[at]) * gate(update)
        input[at] = dh[unit] * (1 - g[update]) * act(at)
        oldH[unit] = dh[unit] * g[update]
      }
    }
    var state = input
    if rnn.cell == .gruResetAfter {
      for unit in 0..<units {
        let (reset, at) = (units + unit, 2 * units + unit)
        state[at] = input[at] * g[reset]
        input[reset] = input[at] * step.inner[unit] * gate(reset)
        state[reset] = input[reset]
      }
    } else if rnn.cell == .gru {
      for unit in 0..<units {
        var product = 0.0
        for index in 0..<units { product += input[2 * units + index] * recurrent[unit * width + 2 * units + index] }
        let reset = units + unit
        input[reset] = product * step.h[unit] * gate(reset)
        state[reset] = input[reset]
        oldH[unit] += product * g[reset]
      }
    }
    let through = rnn.cell == .gru ? 2 * units : width
    for unit in 0..<units { for gate in 0..<through { oldH[unit] += state[gate] * recurrent[unit * width + gate] } }
    return (input, state, oldH, oldC)
  }
}
