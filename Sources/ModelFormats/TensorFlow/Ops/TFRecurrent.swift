import GraphModule
import TensorModule

extension TFOpCatalog {
  static let recurrent = Family(
    "Recurrent cells",
    [
      "LSTMBlockCell": { call in
        let peephole = try call.bool("use_peephole")
        let gates = try lstmStep(
          call, x: try call.x(0), cell: try call.x(1), h: try call.x(2), weights: try call.x(3),
          peepholes: peephole ? [try call.x(4), try call.x(5), try call.x(6)] : nil, bias: try call.x(7),
          forgetBias: try call.float("forget_bias", 1), clip: try call.float("cell_clip", 3))
        return gates
      },
      "BlockLSTM": { try blockLSTM($0, forgetBias: try $0.float("forget_bias", 1), clip: try $0.float("cell_clip", 3), order: [0, 1, 2, 3]) },
      // The second version takes the gates as i, f, c, o.
      "BlockLSTMV2": { try blockLSTM($0, forgetBias: 0, clip: try $0.float("cell_clip", 0), order: [0, 2, 1, 3]) },
      "GatherTree": { [try TFSteps.gatherTree($0)] },
      "GRUBlockCell": { call in
        let (x, h) = (try call.x(0), try call.x(1))
        let (weights, candidate) = (try call.x(2), try call.x(3))
        let units = try call.length(h, -1)
        let both = try call.concat([x, h], axis: 1)
        let gates = try call.unary(.sigmoid, try call.binary(.add, try call.add(MatMul(), [both, weights], "gates"), try call.x(4)))
        let reset = try call.slice(gates, axis: 1, 0, units), update = try call.slice(gates, axis: 1, units, 2 * units)
        let inner = try call.concat([x, try call.binary(.mul, reset, h)], axis: 1)
        let c = try call.unary(.tanh, try call.binary(.add, try call.add(MatMul(), [inner, candidate], "candidate"), try call.x(5)))
        let kept = try call.binary(.mul, update, h)
        let new = try call.binary(.mul, try call.binary(.sub, try call.scalar(1, call.type(h).dtype), update), c)
        return [reset, update, c, try call.binary(.add, kept, new)]
      },
    ])

  /// One step: i, cs, f, o, ci, co, h; the columns of `weights` are blocks for i, ci, f, o in `order`.
  private static func lstmStep(
    _ call: TFCall, x: ValueID, cell: ValueID, h: ValueID, weights: ValueID, peepholes: [ValueID]?, bias: ValueID,
    forgetBias: Double, clip: Double, order: [Int] = [0, 1, 2, 3]
  ) throws -> [ValueID] {
    let units = try call.length(h, -1)
    let dtype = call.type(h).dtype
    let all = try call.binary(.add, try call.add(MatMul(), [try call.concat([x, h], axis: 1), weights], "gates"), bias)
    func block(_ index: Int) throws -> ValueID {
      let place = order[index]
      return try call.slice(all, axis: 1, place * units, (place + 1) * units)
    }
    func peep(_ value: ValueID, _ index: Int, _ state: ValueID) throws -> ValueID {
      guard let peepholes else { return value }
      return try call.binary(.add, value, try call.binary(.mul, state, peepholes[index]))
    }
    let i = try call.unary(.sigmoid, try peep(try block(0), 0, cell))
    let ci = try call.unary(.tanh, try block(1))
    var forget = try block(2)
    if forgetBias != 0 { forget = try call.binary(.add, forget, try call.scalar(forgetBias, dtype)) }
    let f = try call.unary(.sigmoid, try peep(forget, 1, cell))
    var cs = try call.binary(.add, try call.binary(.mul, ci, i), try call.binary(.mul, cell, f))
    if clip > 0 { cs = try call.unary(.clip, cs, [-clip, clip]) }
    let o = try call.unary(.sigmoid, try peep(try block(3), 2, cs))
    let co = try call.unary(.tanh, cs)
    return [i, cs, f, o, ci, co, try call.binary(.mul, co, o)]
  }

  /// All steps of x [time, batch, features], one after another; steps from `seq_len_max` on give zeros.
  private static func blockLSTM(_ call: TFCall, forgetBias: Double, clip: Double, order: [Int]) throws -> [ValueID] {
    let x = try call.x(1)
    guard call.type(x).rank == 3, let time = call.type(x).dims.first else { throw call.wrong("takes a sequence of rank 3") }
    let count = try call.input(0)
    var isWhole = count.known?.elements.first == time
    if let most = count.known?.fixed?.first, let steps = time.fixed, most >= steps { isWhole = true }
    let peephole = try call.bool("use_peephole")
    let results = try TFSteps.run(call, carried: [try call.x(2), try call.x(3)], sliced: [x], limit: isWhole ? nil : count) { step, _, carried, slices in
      let rows = try lstmStep(
        step, x: slices[0], cell: carried[0], h: carried[1], weights: try step.x(4), peepholes: peephole ? [try step.x(5), try step.x(6), try step.x(7)] : nil,
        bias: try step.x(8), forgetBias: forgetBias, clip: clip, order: order)
      return ([rows[1], rows[6]], rows)
    }
    return Array(results[2...])
  }
}
