import GraphModule
import TensorModule

extension RNN {
  /// The layer as a graph of a loop over its steps, with the same operands and results.
  func lowered(_ types: [TensorType], named name: String) throws -> Graph {
    var graph = Graph(name: "\(name)/rnn")
    let inputs = types.enumerated().map { graph.declareInput("\(name)/operand_\($0)", $1) }
    let (operands, dtype) = (operands, types[0].dtype)
    let units = try length(types[2].dims[0])
    let batch = types[0].dims[0]
    func add(_ op: any OpDefinition, _ values: [ValueID], _ what: String) throws -> ValueID {
      try graph.addOne(op, values, name: "\(name)/\(what)")
    }
    var projected = try add(MatMul(), [inputs[0], inputs[1]], "projected")
    var recurrentBias: ValueID?
    if let index = operands.bias {
      var bias = inputs[index]
      if cell == .gruResetAfter {
        let width = Dim(units * cell.gates)
        recurrentBias = try add(Reshape([width]), [try add(Slice([.init(start: 1, end: 2), .all]), [bias], "recurrent_row")], "recurrent_bias")
        bias = try add(Reshape([width]), [try add(Slice([.init(start: 0, end: 1), .all]), [bias], "row")], "bias")
      }
      projected = try add(Elementwise(.add), [projected, bias], "biased")
    }
    projected = try add(Transpose([1, 0, 2]), [projected], "steps")
    if goBackwards { projected = try add(Reverse(axes: [0]), [projected], "backwards") }
    let zero = graph.addConstant("\(name)/zero", try Tensor(converting: [0], to: dtype, shape: []))
    let zeros = try add(BroadcastTo([batch, Dim(units)]), [zero], "zeros")
    var carried = [operands.h0.map { inputs[$0] } ?? zeros]
    if cell == .lstm { carried.append(operands.c0.map { inputs[$0] } ?? zeros) }
    carried.append(zeros)
    var sliced = [projected]
    if let index = operands.mask {
      var mask = try add(Transpose([1, 0]), [inputs[index]], "mask_steps")
      if goBackwards { mask = try add(Reverse(axes: [0]), [mask], "mask_backwards") }
      sliced.append(try add(Reshape(graph.type(of: mask).dims + [1]), [mask], "mask_rows"))
    }
    let captures = [inputs[2]] + (recurrentBias.map { [$0] } ?? [])
    let loop = Loop(
      carried: carried.count, sliced: sliced.count,
      body: try body(carried.map { graph.type(of: $0) }, sliced.map { graph.type(of: $0) }, captures.map { graph.type(of: $0) }, units, name))
    let results = try graph.add(loop, carried + sliced + captures, name: "\(name)/loop")
    let output = returnSequences ? try add(Transpose([1, 0, 2]), [results[carried.count]], "sequence") : results[carried.count - 1]
    graph.outputs = [Graph.Output(name: "output", value: output)]
    for index in 0..<carried.count - 1 { graph.outputs.append(Graph.Output(name: "state_\(index)", value: results[index])) }
    return graph
  }

  private func length(_ dim: Dim) throws -> Int {
    guard let fixed = dim.fixed else { throw KilnError(.unsupportedModel, "a recurrent layer of an open number of units") }
    return fixed
  }

  /// One step: the carried values anew, and the row of the sequence.
  private func body(_ carried: [TensorType], _ sliced: [TensorType], _ captures: [TensorType], _ units: Int, _ name: String) throws -> Graph {
    var graph = Graph(name: "step")
    func add(_ op: any OpDefinition, _ values: [ValueID], _ what: String) throws -> ValueID {
      try graph.addOne(op, values, name: "\(name)/step/\(what)")
    }
    func act(_ activation: Activation, _ value: ValueID, _ what: String) throws -> ValueID {
      activation.function == .identity ? value : try add(Elementwise(activation), [value], what)
    }
    func part(_ value: ValueID, _ gate: Int, count: Int = 1, _ what: String) throws -> ValueID {
      try add(Slice([.all, .init(start: gate * units, end: (gate + count) * units)]), [value], what)
    }
    _ = graph.declareInput("\(name)/step/number", TensorType(.int64, []))
    let values = carried.enumerated().map { graph.declareInput("\(name)/step/carried_\($0)", $1) }
    let rows = sliced.enumerated().map { graph.declareInput("\(name)/step/row_\($0)", TensorType($1.dtype, Array($1.dims.dropFirst()))) }
    let around = captures.enumerated().map { graph.declareInput("\(name)/step/weights_\($0)", $1) }
    let (h, x, recurrent) = (values[0], rows[0], around[0])
    var product = cell == .gru ? try add(MatMul(), [h, try part(recurrent, 0, count: 2, "gate_weights")], "product") : try add(MatMul(), [h, recurrent], "product")
    if around.count > 1 { product = try add(Elementwise(.add), [product, around[1]], "biased") }
    func gate(_ index: Int, _ activation: Activation, _ what: String) throws -> ValueID {
      try act(activation, try add(Elementwise(.add), [try part(x, index, "x_\(what)"), try part(product, index, "h_\(what)")], "sum_\(what)"), what)
    }
    var new: [ValueID]
    switch cell {
    case .simple: new = [try act(activation, try add(Elementwise(.add), [x, product], "sum"), "h")]
    case .lstm:
      let (input, forget) = (try gate(0, recurrentActivation, "input"), try gate(1, recurrentActivation, "forget"))
      let (candidate, output) = (try gate(2, activation, "candidate"), try gate(3, recurrentActivation, "output"))
      let kept = try add(Elementwise(.mul), [forget, values[1]], "kept")
      let c = try add(Elementwise(.add), [kept, try add(Elementwise(.mul), [input, candidate], "added")], "c")
      new = [try add(Elementwise(.mul), [output, try act(activation, c, "shown")], "h"), c]
    case .gru, .gruResetAfter:
      let (update, reset) = (try gate(0, recurrentActivation, "update"), try gate(1, recurrentActivation, "reset"))
      let fromState =
        cell == .gru
        ? try add(MatMul(), [try add(Elementwise(.mul), [reset, h], "reset_h"), try part(recurrent, 2, "candidate_weights")], "candidate_product")
        : try add(Elementwise(.mul), [reset, try part(product, 2, "candidate_part")], "candidate_product")
      let candidate = try act(activation, try add(Elementwise(.add), [try part(x, 2, "x_candidate"), fromState], "sum_candidate"), "candidate")
      // z · h + (1 − z) · candidate.
      let difference = try add(Elementwise(.sub), [h, candidate], "difference")
      new = [try add(Elementwise(.add), [candidate, try add(Elementwise(.mul), [update, difference], "part")], "h")]
    }
    var shown = new[0]
    if rows.count > 1 {
      let shape = graph.type(of: new[0]).dims
      let mask = try add(BroadcastTo(shape), [rows[1]], "mask")
      let last = values[values.count - 1]
      let zero = graph.addConstant("\(name)/step/zero", try Tensor(converting: [0], to: graph.type(of: h).dtype, shape: []))
      let before = zeroOutputForMask ? try add(BroadcastTo(shape), [zero], "nothing") : last
      shown = try add(Elementwise(.select), [mask, new[0], before], "shown_row")
      for index in new.indices { new[index] = try add(Elementwise(.select), [mask, new[index], values[index]], "masked_\(index)") }
    }
    graph.outputs = (new + [shown] + (returnSequences ? [shown] : [])).enumerated().map { Graph.Output(name: "\($0)", value: $1) }
    return graph
  }
}
