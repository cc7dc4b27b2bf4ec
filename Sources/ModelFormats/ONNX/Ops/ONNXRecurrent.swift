import GraphModule
import TensorModule

extension ONNXOpCatalog {
  static let recurrent = Family(
    "Recurrent layers",
    [
      Row("LSTM", since: 7) { try ONNXRecurrence($0, .lstm).build() },
      Row("GRU", since: 7) { try ONNXRecurrence($0, .gru).build() },
      Row("RNN", since: 7) { try ONNXRecurrence($0, .simple).build() },
    ])
}

extension ONNXCall {
  /// Whether a value is surely all zeros: zeros that were only moved, joined and repeated.
  func isZero(_ value: ValueID) -> Bool {
    var stack = [value]
    for _ in 0..<256 {
      guard let top = stack.popLast() else { return true }
      if let tensor = builder.graph.constants[top] {
        guard tensor.dtype.isFloat, tensor.count <= 1 << 20, tensor.doubles.allSatisfy({ $0 == 0 }) else { return false }
        continue
      }
      guard let node = builder.producer(of: top) else { return false }
      switch node.op {
      case is Reshape, is Transpose, is BroadcastTo, is Slice, is Concat, is Reverse: stack += node.inputs
      case is DynamicBroadcastTo, is DynamicReshape, is DynamicSlice: stack += node.inputs.prefix(1)
      default: return false
      }
    }
    return false
  }
}

/// ONNX's recurrent layers: one `rnn` for each direction.
///
/// ONNX has time first, gates as rows, in the order input, output, forget, cell (LSTM) or update, reset, hidden (GRU).
struct ONNXRecurrence {
  private let call: ONNXCall
  private let cell: RNN.Cell
  private let units: Int
  private let isBatchFirst: Bool
  private let directions: [Bool]
  private let activations: [Activation]

  init(_ call: ONNXCall, _ cell: RNN.Cell) throws {
    self.call = call
    var kind = cell
    if cell == .gru, try call.bool("linear_before_reset") { kind = .gruResetAfter }
    self.cell = kind
    isBatchFirst = try call.bool("layout")
    switch try call.text("direction", "forward") {
    case "forward": directions = [false]
    case "reverse": directions = [true]
    case "bidirectional": directions = [false, true]
    case let name: throw call.wrong("the direction \(KilnError.quoted(name)) is unknown")
    }
    let r = try call.input(2).type
    guard r.rank == 3, let units = r.dims[2].fixed, units >= 1 else { throw call.wrong("the recurrent kernel is \(r.message)") }
    guard try call.int("hidden_size", units) == units else { throw call.wrong("hidden_size is not \(units), which the kernel has") }
    self.units = units
    if call.has("clip") { throw call.unsupported("clip") }
    if try call.bool("input_forget") { throw call.unsupported("input_forget") }
    let each = cell == .lstm ? 3 : cell == .simple ? 1 : 2
    activations = try ONNXRecurrence.activations(call, each * directions.count, each: each)
  }

  private static func activations(_ call: ONNXCall, _ count: Int, each: Int) throws -> [Activation] {
    let defaults: [String] = each == 3 ? ["Sigmoid", "Tanh", "Tanh"] : each == 2 ? ["Sigmoid", "Tanh"] : ["Tanh"]
    let names = try call.texts("activations", []).map { String(decoding: $0.bytes, as: UTF8.self) }
    let wanted = names.isEmpty ? (0..<count).map { defaults[$0 % each] } : names
    guard wanted.count == count else { throw call.wrong("has \(wanted.count) activations; \(count) are needed") }
    var alphas = try call.floats("activation_alpha", [])[...], betas = try call.floats("activation_beta", [])[...]
    return try wanted.map { name in
      func alpha(_ fallback: Double) -> Double { alphas.popFirst() ?? fallback }
      func beta(_ fallback: Double) -> Double { betas.popFirst() ?? fallback }
      switch name.lowercased() {
      case "sigmoid": return Activation(.sigmoid)
      case "tanh": return Activation(.tanh)
      case "relu": return Activation(.relu)
      case "softsign": return Activation(.softsign)
      case "softplus": return Activation(.softplus)
      case "hardsigmoid": return Activation(.hardSigmoid, [alpha(0.2), beta(0.5)])
      case "elu": return Activation(.elu, [alpha(1)])
      case "leakyrelu": return Activation(.leakyRelu, [alpha(0.01)])
      case "thresholdedrelu": return Activation(.threshold, [alpha(1), 0])
      case "affine": return Activation(.affine, [alpha(1), beta(0)])
      default: throw call.unsupported("the activation \(KilnError.quoted(name))")
      }
    }
  }

  func build() throws -> [ValueID] {
    var x = try call.x(0)
    guard call.type(x).rank == 3 else { throw call.wrong("takes [time, batch, features], found \(call.type(x).message)") }
    if !isBatchFirst { x = try call.transpose(x, [1, 0, 2]) }
    let dims = call.type(x).dims
    var mask: ValueID?
    if call.has(4) {
      let time = try call.fixed(dims[1])
      let lengths = try call.input(4).evaluated?.integers
      if lengths == nil || lengths?.contains(where: { $0 != Int64(time) }) == true {
        let places = try call.numbers(try call.counting(time), [1, time], .int32, "places")
        let line = try call.reshape(try call.cast(try call.x(4), .int32), [dims[0], 1])
        mask = try call.binary(.less, places, line)
      }
    }
    var (outputs, states, cells): ([ValueID], [ValueID], [ValueID]) = ([], [], [])
    for direction in directions.indices {
      let results = try one(x, direction, mask)
      outputs.append(results[0])
      states.append(results[1])
      if cell == .lstm { cells.append(results[2]) }
    }
    // [time, directions, batch, units], or [batch, time, directions, units].
    let parts = try outputs.map { try call.expand(isBatchFirst ? $0 : try call.transpose($0, [1, 0, 2]), isBatchFirst ? 2 : 1) }
    let y = try call.concat(parts, axis: isBatchFirst ? 2 : 1)
    func joined(_ values: [ValueID]) throws -> ValueID {
      let axis = isBatchFirst ? 1 : 0
      return try call.concat(try values.map { try call.expand($0, axis) }, axis: axis)
    }
    return [y, try joined(states)] + (cell == .lstm ? [try joined(cells)] : [])
  }

  /// The part of a parameter that belongs to a direction.
  private func part(_ index: Int, _ direction: Int) throws -> ValueID {
    let value = try call.x(index)
    guard call.type(value).rank >= 2, call.type(value).dims[0].fixed.map({ $0 == directions.count }) ?? true else {
      throw call.wrong("input \(index + 1) is \(call.type(value).message) for \(directions.count) directions")
    }
    return try call.drop(try call.slice(value, axis: 0, direction, direction + 1), 0)
  }

  /// Gates in Kiln's order along an axis.
  private func ordered(_ value: ValueID, axis: Int) throws -> ValueID {
    guard cell == .lstm else { return value }
    func gate(_ index: Int) throws -> ValueID { try call.slice(value, axis: axis, index * units, (index + 1) * units) }
    return try call.concat([try gate(0), try gate(2), try gate(3), try gate(1)], axis: axis)
  }

  private func one(_ x: ValueID, _ direction: Int, _ mask: ValueID?) throws -> [ValueID] {
    let each = activations.count / directions.count
    let own = Array(activations[direction * each..<(direction + 1) * each])
    let dims = call.type(x).dims
    func initial(_ index: Int) throws -> ValueID? {
      guard call.has(index) else { return nil }
      if !isBatchFirst { return try part(index, direction) }
      return try call.drop(try call.slice(try call.x(index), axis: 1, direction, direction + 1), 1)
    }
    var (h0, c0) = (try initial(5), cell == .lstm ? try initial(6) : nil)
    // States that begin with zeros need not be given.
    if h0.map({ call.isZero($0) }) ?? true, c0.map({ call.isZero($0) }) ?? true { (h0, c0) = (nil, nil) }
    let zeros = { try call.broadcast(try call.scalar(0, call.type(x).dtype), [dims[0], Dim(units)]) }
    if cell == .lstm, (h0 == nil) != (c0 == nil) {
      h0 = try h0 ?? zeros()
      c0 = try c0 ?? zeros()
    }
    let kernel = try ordered(try call.transpose(try part(1, direction), [1, 0]), axis: 1)
    let recurrent = try ordered(try call.transpose(try part(2, direction), [1, 0]), axis: 1)
    var bias: ValueID?
    if call.has(3) {
      let both = try part(3, direction), width = units * cell.gates
      let forInput = try ordered(try call.slice(both, axis: 0, 0, width), axis: 0)
      let forState = try ordered(try call.slice(both, axis: 0, width, 2 * width), axis: 0)
      bias = cell == .gruResetAfter
        ? try call.concat([try call.expand(forInput, 0), try call.expand(forState, 0)], axis: 0) : try call.binary(.add, forInput, forState)
    }
    if call.has(7) || own.count == 3 && own[1] != own[2] {
      return try PeepholeLSTM(call: call, units: units, activations: own, isReversed: directions[direction])
        .build(x, kernel, recurrent, bias, call.has(7) ? try part(7, direction) : nil, try h0 ?? zeros(), try c0 ?? zeros(), mask)
    }
    let op = RNN(
      cell: cell, activation: own[own.count > 1 ? 1 : 0], recurrentActivation: own.count > 1 ? own[0] : Activation(.sigmoid),
      goBackwards: directions[direction], returnSequences: true, zeroOutputForMask: true, bias: bias != nil, mask: mask != nil,
      initialState: h0 != nil)
    var results = try call.addAll(op, [x, kernel, recurrent] + [bias, mask, h0, c0].compactMap { $0 }, "rnn")
    if directions[direction] { results[0] = try call.add(Reverse(axes: [1]), [results[0]], "reverse") }
    return results
  }
}

/// An LSTM whose gates see the cell, or whose activations differ: a loop over time.
struct PeepholeLSTM {
  let call: ONNXCall
  let units: Int
  let activations: [Activation]
  let isReversed: Bool

  func build(
    _ x: ValueID, _ kernel: ValueID, _ recurrent: ValueID, _ bias: ValueID?, _ peepholes: ValueID?, _ h0: ValueID, _ c0: ValueID, _ mask: ValueID?
  ) throws -> [ValueID] {
    if mask != nil { throw call.unsupported("sequence lengths of an LSTM with peepholes") }
    var rows = try call.transpose(x, [1, 0, 2])
    if isReversed { rows = try call.add(Reverse(axes: [0]), [rows], "reverse") }
    var projected = try call.product(rows, kernel)
    if let bias { projected = try call.binary(.add, projected, bias) }
    let dtype = call.type(x).dtype, batch = call.type(x).dims[0]
    var body = Graph(name: "step")
    func input(_ name: String, _ type: TensorType) throws -> ValueID { try body.addInput(name, type) }
    _ = try input("number", TensorType(.int64, []))
    let state = TensorType(dtype, [batch, Dim(units)])
    let (h, c) = (try input("h", state), try input("c", state))
    let step = try input("x", TensorType(dtype, [batch, Dim(4 * units)]))
    let weights = try input("recurrent", call.type(recurrent))
    let peep = try peepholes.map { try input("peepholes", call.type($0)) }
    var names = 0
    func add(_ op: any OpDefinition, _ operands: [ValueID]) throws -> ValueID {
      names += 1
      return try body.addOne(op, operands, name: "step_\(names)")
    }
    func function(_ activation: Activation, _ value: ValueID) throws -> ValueID { try add(Elementwise(activation.function, activation.parameters), [value]) }
    let gates = try add(Elementwise(.add), [step, try add(MatMul(), [h, weights])])
    func gate(_ index: Int) throws -> ValueID { try add(Slice([.all, .init(start: index * units, end: (index + 1) * units)]), [gates]) }
    // Peepholes come in the order input, output, forget.
    func seen(_ value: ValueID, _ cell: ValueID, _ index: Int) throws -> ValueID {
      guard let peep else { return value }
      let own = try add(Slice([.init(start: index * units, end: (index + 1) * units)]), [peep])
      return try add(Elementwise(.add), [value, try add(Elementwise(.mul), [own, cell])])
    }
    let inGate = try function(activations[0], try seen(try gate(0), c, 0)), forget = try function(activations[0], try seen(try gate(1), c, 2))
    let candidate = try function(activations[1], try gate(2))
    let next = try add(Elementwise(.add), [try add(Elementwise(.mul), [forget, c]), try add(Elementwise(.mul), [inGate, candidate])])
    let out = try function(activations[0], try seen(try gate(3), next, 1))
    let result = try add(Elementwise(.mul), [out, try function(activations[2], next)])
    body.outputs = [("h", result), ("c", next), ("y", result)].map { Graph.Output(name: $0.0, value: $0.1) }
    let results = try call.addAll(Loop(carried: 2, sliced: 1, body: body), [h0, c0, projected, recurrent] + [peepholes].compactMap { $0 }, "loop")
    var y = results[2]
    if isReversed { y = try call.add(Reverse(axes: [0]), [y], "reverse") }
    return [try call.transpose(y, [1, 0, 2]), results[0], results[1]]
  }
}
