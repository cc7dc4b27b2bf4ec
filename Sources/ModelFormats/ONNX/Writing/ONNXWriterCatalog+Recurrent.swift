import GraphModule
import TensorModule

extension ONNXWriterCatalog {
  static let recurrent: [Row] = [
    .written(RNN.self, "LSTM, GRU, RNN; with a mask, computed weights or an activation that these lack a Loop") { op, w in
      if op.trace { throw w.unsupported("a trace of a recurrent layer, which is for training,") }
      let operands = op.operands
      let isPlain = operands.mask == nil && w.constant(1) != nil && w.constant(2) != nil && (operands.bias.map { w.constant($0) != nil } ?? true)
      if isPlain, let functions = op.onnxActivations { return try sequence(op, functions, w) }
      let graph = try op.lowered(w.node.inputs.map { w.scope.type($0) }, named: w.label)
      try w.scope.inline(graph, w.node.inputs.map { try w.scope.everyForm($0) }, results: w.node.outputs)
    }
  ]

  private static func sequence(_ op: RNN, _ functions: [(name: String, alpha: Double?, beta: Double?)], _ w: ONNXNodeWriter) throws {
    guard let kernel = w.constant(1), let recurrent = w.constant(2) else { throw w.unsupported("computed weights of a recurrent layer") }
    let units = recurrent.shape[0]
    let (width, dtype) = (units * op.cell.gates, kernel.dtype)
    // ONNX has LSTM's gates as input, output, forget, cell.
    let gates = op.cell == .lstm ? [0, 3, 1, 2] : Array(0..<op.cell.gates)
    func rows(_ tensor: Tensor) throws -> Tensor {
      let block = tensor.byteCount / op.cell.gates
      return try Tensor(dtype: tensor.dtype, shape: tensor.shape) { memory in
        for (place, gate) in gates.enumerated() {
          let source = UnsafeRawBufferPointer(rebasing: tensor.bytes[gate * block..<(gate + 1) * block])
          UnsafeMutableRawBufferPointer(rebasing: memory[place * block..<(place + 1) * block]).copyMemory(from: source)
        }
      }
    }
    func weights(_ index: Int, _ tensor: Tensor) -> String {
      w.scope.draft.initializer(w.scope.graph[w.node.inputs[index]].name, dtype, [1, width, tensor.shape[0]]) {
        try rows(try tensor.transposed([1, 0])).reshaped([1, width, tensor.shape[0]])
      }
    }
    var inputs = [try w.x(0, order: [1, 0, 2]), weights(1, kernel), weights(2, recurrent)]
    let operands = op.operands
    if let index = operands.bias, let bias = w.constant(index) {
      inputs.append(
        w.scope.draft.initializer(w.scope.graph[w.node.inputs[index]].name, dtype, [1, 2 * width]) {
          var values = bias.doubles
          if values.count == width { values += [Double](repeating: 0, count: width) }
          let ordered = [0, width].flatMap { half in gates.flatMap { gate in values[half + gate * units..<half + (gate + 1) * units] } }
          return try Tensor(converting: ordered, to: dtype, shape: [1, 2 * width])
        })
    } else {
      inputs.append("")
    }
    if let h0 = operands.h0 {
      inputs += ["", try w.unsqueeze(try w.x(h0), [0])]
      if let c0 = operands.c0 { inputs.append(try w.unsqueeze(try w.x(c0), [0])) }
    }
    while inputs.last == "" { inputs.removeLast() }
    var attributes: [(String, ONNXDraftAttribute)] = [("hidden_size", .int(units)), ("activations", .texts(functions.map { ByteString($0.name) }))]
    let (alphas, betas) = (functions.compactMap(\.alpha), functions.compactMap(\.beta))
    if !alphas.isEmpty { attributes.append(("activation_alpha", .floats(alphas))) }
    if !betas.isEmpty { attributes.append(("activation_beta", .floats(betas))) }
    if op.goBackwards { attributes.append(("direction", .text("reverse"))) }
    if op.cell == .gruResetAfter { attributes.append(("linear_before_reset", .int(1))) }
    let name = op.cell == .lstm ? "LSTM" : op.cell == .simple ? "RNN" : "GRU"
    let results = w.emit(name, inputs, attributes, results: op.cell == .lstm ? 3 : 2)
    // [time, direction, batch, units] and [direction, batch, units].
    if !op.returnSequences {
      w.define(0, try w.squeeze(results[1], [0]))
    } else if w.isUsed(0) {
      let sequence = try w.squeeze(results[0], [1])
      if op.goBackwards {
        // ONNX gives the steps back in the order of time, the graph in the order in which they are made.
        w.scope.reversed[w.node.outputs[0]] = ONNXGraphWriter.Form(name: sequence, order: [1, 0, 2])
        let readers = (w.scope.users[w.node.outputs[0]] ?? []).map { w.scope.graph.nodes[$0].op }
        let isOutput = w.scope.graph.outputs.contains { $0.value == w.node.outputs[0] }
        let turnsAll = !isOutput && readers.allSatisfy { ($0 as? Reverse)?.axes == [1] }
        w.define(0, turnsAll ? sequence : try w.reverse(sequence, [0]), order: [1, 0, 2])
      } else {
        w.define(0, sequence, order: [1, 0, 2])
      }
    }
    if w.isUsed(1) { w.define(1, try w.squeeze(results[1], [0])) }
    if op.cell == .lstm, w.isUsed(2) { w.define(2, try w.squeeze(results[2], [0])) }
  }
}

extension RNN {
  /// The activations as LSTM, GRU and RNN name them, in their order; nil when they lack one.
  var onnxActivations: [(name: String, alpha: Double?, beta: Double?)]? {
    func name(_ activation: Activation) -> (name: String, alpha: Double?, beta: Double?)? {
      let p = activation.parameters
      switch activation.function {
      case .tanh: return ("Tanh", nil, nil)
      case .sigmoid: return ("Sigmoid", nil, nil)
      case .relu: return ("Relu", nil, nil)
      case .softsign: return ("Softsign", nil, nil)
      case .softplus: return ("Softplus", nil, nil)
      case .identity: return ("Affine", 1, 0)
      case .affine: return ("Affine", p[0], p[1])
      case .elu: return ("Elu", p[0], nil)
      case .leakyRelu: return ("LeakyRelu", p[0], nil)
      case .hardSigmoid: return ("HardSigmoid", p[0], p[1])
      default: return nil
      }
    }
    let all =
      switch cell {
      case .lstm: [recurrentActivation, activation, activation]
      case .gru, .gruResetAfter: [recurrentActivation, activation]
      case .simple: [activation]
      }
    let names = all.compactMap(name)
    return names.count == all.count ? names : nil
  }
}
