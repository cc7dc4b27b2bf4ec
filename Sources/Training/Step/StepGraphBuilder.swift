import GraphModule
import TensorModule

/// Builds the graph of a step from the model's.
struct StepGraphBuilder {
  let model: TrainingModel
  let options: StepOptions
  let isTraining: Bool
  private let bound: Graph
  private let shapes: StepShapes
  private var tape: GradientTape
  private var map: [ValueID: ValueID] = [:]
  private var inputs: [StepGraph.Input] = []
  private var counter: ValueID?
  /// Statistics of batch norms, by the variable that they move.
  private var statistics: [(variable: Int, value: ValueID)] = []
  private var variableInputs: [Int: ValueID] = [:]

  static func build(
    _ model: TrainingModel, _ options: StepOptions, _ shapes: StepShapes, isTraining: Bool
  ) throws -> StepGraph {
    var builder = try StepGraphBuilder(model, options, shapes, isTraining)
    return try builder.build()
  }

  private init(_ model: TrainingModel, _ options: StepOptions, _ shapes: StepShapes, _ isTraining: Bool) throws {
    self.model = model
    self.options = options
    self.shapes = shapes
    self.isTraining = isTraining
    let (lifted, states) = model.graph.liftingStates()
    bound = try lifted.specialized(to: shapes.data + states.map(\.shape))
    tape = GradientTape(Graph(name: model.graph.name))
  }

  private mutating func build() throws -> StepGraph {
    for (index, input) in bound.inputs.enumerated() {
      map[input] = try tape.graph.addInput(bound[input].name, bound.type(of: input))
      inputs.append(index < shapes.data.count ? .data(index) : .state(index - shapes.data.count))
    }
    // Variables that move are inputs; the others stay constants, which kernels pack once.
    var constants: [ValueID: Int] = [:]
    for (index, variable) in model.variables.enumerated() {
      guard let id = bound.value(named: variable.value), isInput(variable, index) else { continue }
      constants[id] = index
      let input = try tape.graph.addInput(bound[id].name, bound.type(of: id))
      inputs.append(.variable(index))
      map[id] = input
      variableInputs[index] = input
    }
    for id in bound.constants.keys.sorted(by: { $0.index < $1.index }) where constants[id] == nil {
      if let tensor = bound.constants[id] { map[id] = tape.graph.addConstant(bound[id].name, tensor) }
    }
    for node in bound.nodes { try add(node) }
    let modelNodes = tape.graph.nodes.count
    var outputs: [(StepGraph.Output, ValueID)] = []
    var loss = try addLosses(&outputs)
    outputs.insert((.loss, loss), at: 0)
    for (index, output) in bound.outputs.dropFirst(model.graph.outputs.count).enumerated() { outputs.append((.state(index), try operand(output.value))) }
    let trained = options.trained.sorted()
    if let dtype = options.precision.dtype { try narrow(dtype, modelNodes, trained, &loss, &outputs) }
    if isTraining {
      let segments = options.recomputes ? RecomputeSegments.choose(tape.graph) : []
      let gradients = try tape.gradients(of: loss, by: trained.compactMap { variableInputs[$0] }, recomputing: segments)
      for (index, gradient) in zip(trained, gradients) {
        let type = tape.graph.type(of: variableInputs[index] ?? loss)
        let rows = try gradient == nil ? nil : pickedRows(index)
        let value = try rows?.clipped ?? gradient.map(unrounded) ?? tape.add(BroadcastTo(type.dims), [try tape.scalar(0, type.dtype)])
        outputs.append((.gradient(index), value))
        if let sum = rows?.sum { outputs.append((.rows(index), sum)) }
      }
      for (variable, value) in statistics { outputs.append((.statistic(variable: variable), value)) }
    }
    var graph = tape.graph
    // An output that is an input or a constant, or another output too, is a value of its own.
    var taken: Set<ValueID> = []
    for place in outputs.indices {
      let value = outputs[place].1
      if !taken.insert(value).inserted || graph.inputs.contains(value) || graph.constants[value] != nil {
        outputs[place].1 = try graph.addOne(Elementwise(.identity), [value], name: "copy")
      }
    }
    graph.outputs = outputs.map { Graph.Output(name: "\($0.0)", value: $0.1) }
    return StepGraph(graph: graph, inputs: inputs, outputs: outputs.map(\.0))
  }

  /// Has the forward part keep its values in fewer bits.
  private mutating func narrow(
    _ dtype: DType, _ modelNodes: Int, _ trained: [Int], _ loss: inout ValueID, _ outputs: inout [(StepGraph.Output, ValueID)]
  ) throws {
    let count = tape.graph.nodes.count
    // What the derivative reads, of this graph as it is: recomputing must not make a difference.
    let trial = GradientTape(tape.graph)
    _ = try trial.gradients(of: loss, by: trained.compactMap { variableInputs[$0] })
    let kept = Set(trial.graph.nodes.dropFirst(count).flatMap(\.inputs))
    let (graph, moved) = try MixedPrecision(dtype, tape.graph, modelNodes: modelNodes).apply(kept: kept)
    func place(_ id: ValueID) throws -> ValueID {
      guard let new = moved[id] else { throw KilnError(.internal, "'\(tape.graph[id].name)' is lost") }
      return new
    }
    loss = try place(loss)
    for index in outputs.indices { outputs[index].1 = try place(outputs[index].1) }
    for index in statistics.indices { statistics[index].value = try place(statistics[index].value) }
    variableInputs = try variableInputs.mapValues(place)
    tape = GradientTape(graph)
    tape.kept = dtype
  }

  /// A variable's gradient without the rounding that the variable had.
  private func unrounded(_ gradient: ValueID) -> ValueID {
    let makers = tape.graph.producers()
    func operand(_ id: ValueID, _ dtype: DType) -> ValueID? {
      guard let place = makers[id], (tape.graph.nodes[place].op as? Cast)?.dtype == dtype else { return nil }
      return tape.graph.nodes[place].inputs[0]
    }
    guard let dtype = options.precision.dtype, let small = operand(gradient, .float32), let wide = operand(small, dtype) else { return gradient }
    return wide
  }

  /// What the rows come to that a table's gradient is the sum of.
  ///
  /// - Returns: the sum of clipped rows where they are clipped, and the sum of their squares or absolute values; nil for a variable
  ///   that is read in another way too.
  private func pickedRows(_ index: Int) throws -> (clipped: ValueID?, sum: ValueID?)? {
    guard options.rows.limit != nil || options.rows.sum != nil, let input = variableInputs[index], model.variables[index].regularizer == nil
    else { return nil }
    let writer = GraphWriter(tape: tape, scope: "gradient")
    let shape = try writer.shape(input)
    var sums: [ValueID?] = [nil, nil]
    for node in Array(tape.graph.nodes) where node.inputs.contains(input) {
      guard let gather = node.op as? Gather, gather.axis == 0, gather.batchDims == 0, node.inputs[0] == input, let output = node.outputs.first
      else { return nil }
      guard let cotangent = tape.cotangents[output] else { continue }
      let count = try writer.shape(node.inputs[1]).elementCount
      var rows = try writer.reshape(cotangent, [count] + shape.dropFirst())
      if let limit = options.rows.limit { rows = try writer.clip(rows, -limit, limit) }
      let function: ScalarFunction? = options.rows.sum.map { $0 == .squares ? .square : .abs }
      let wanted = [options.rows.limit == nil ? nil : rows, try function.map { try writer.unary($0, rows) }]
      for (place, value) in wanted.enumerated() {
        guard let value else { continue }
        let zeros = try writer.add(BroadcastTo(shape.map { Dim($0) }), [try writer.scalar(0)])
        let added = try writer.add(Scatter(.add), [zeros, try writer.reshape(node.inputs[1], [count, 1]), value])
        sums[place] = try sums[place].map { try writer.binary(.add, $0, added) } ?? added
      }
    }
    return (sums[0], sums[1])
  }

  /// Whether a variable's value changes between steps.
  private func isInput(_ variable: TrainingModel.Variable, _ index: Int) -> Bool {
    if options.trained.contains(index) { return true }
    return options.movingLayers.contains(variable.layer) && variable.name.hasPrefix("moving_")
  }

  // MARK: Nodes

  private func operand(_ id: ValueID) throws -> ValueID {
    guard let found = map[id] else { throw KilnError(.internal, "value '\(bound[id].name)' is used before it is made") }
    return found
  }

  private mutating func add(_ node: Node) throws {
    let operands = try node.inputs.map(operand)
    let writer = GraphWriter(tape: tape, scope: node.scope)
    if let noise = node.op as? Noise, let output = node.outputs.first {
      map[output] = isTraining ? try noisy(noise, operands[0], writer) : operands[0]
      return
    }
    if isTraining, let norm = node.op as? BatchNorm, let output = node.outputs.first,
      let layer = movingLayer(norm, node)
    {
      map[output] = try batchNorm(norm, node, operands, layer, writer)
      return
    }
    let name = node.outputs.first.map { bound[$0].name } ?? node.op.opName
    var op = node.op
    if isTraining, let rnn = op as? RNN, let dropout = rnn.dropout {
      let masks = DropoutCell.Masks(dropout: dropout, seed: options.seed, counter: try stepCounter())
      let results = try DropoutCell(rnn: rnn, masks: masks, graph: writer).write(operands)
      for (old, new) in zip(node.outputs, results) { map[old] = new }
      return
    }
    if isTraining, var rnn = op as? RNN {
      // The derivative, if there will be one, reads the gates instead of computing them again; a trace that nothing reads is not written.
      rnn.trace = true
      op = rnn
    }
    let results = try tape.graph.add(op, operands, name: name, scope: node.scope, device: node.device)
    for (old, new) in zip(node.outputs, results) { map[old] = new }
  }

  /// The layer whose moving statistics the norm reads, when it is trained.
  private func movingLayer(_ norm: BatchNorm, _ node: Node) -> String? {
    let mean = bound[node.inputs[norm.operands.mean]].name
    return model.variables.first { $0.value == mean }.flatMap { options.movingLayers.contains($0.layer) ? $0.layer : nil }
  }

  /// By the statistics of the batch: the mean over all axes but the last, and the mean of the squares around it.
  private mutating func batchNorm(
    _ norm: BatchNorm, _ node: Node, _ operands: [ValueID], _ layer: String, _ writer: GraphWriter
  ) throws -> ValueID {
    let axes = Array(0..<(writer.type(operands[0]).rank - 1))
    let mean = try writer.reduce(.mean, operands[0], axes: axes)
    let squares = try writer.binary(.squaredDifference, operands[0], mean)
    let variance = try writer.reduce(.mean, squares, axes: axes)
    var own = operands
    (own[norm.operands.mean], own[norm.operands.variance]) = (mean, variance)
    for (name, value) in [("moving_mean", mean), ("moving_variance", variance)] {
      guard let index = model.variables.firstIndex(where: { $0.layer == layer && $0.name == name }) else { continue }
      if statistics.contains(where: { $0.variable == index }) {
        throw KilnError(.unsupportedModel, "is called more than once, which training does not support for batch norms", at: [layer])
      }
      statistics.append((index, value))
    }
    let name = node.outputs.first.map { bound[$0].name } ?? "batch_norm"
    return try tape.graph.addOne(norm, own, name: name, scope: node.scope)
  }

  private mutating func noisy(_ noise: Noise, _ x: ValueID, _ writer: GraphWriter) throws -> ValueID {
    let type = writer.type(x)
    let dims = type.dims.enumerated().map { noise.shared.contains($0) ? Dim(1) : $1 }
    func random(_ kind: RandomNumbers.Kind) throws -> ValueID {
      let op = RandomNumbers(kind, dims: dims, dtype: type.dtype, seed: options.seed, stream: noise.stream)
      return try writer.add(op, [try stepCounter()])
    }
    switch noise.kind {
    case .dropout:
      if noise.amount >= 1 { return try writer.affine(x, 0) }
      let isKept = try writer.binary(.greaterEqual, try random(.uniform), noise.amount)
      return try writer.select(isKept, try writer.affine(x, 1 / (1 - noise.amount)), try writer.scalar(0, type.dtype))
    case .gaussianDropout:
      let deviation = (noise.amount / (1 - noise.amount)).squareRoot()
      return try writer.binary(.mul, x, try writer.affine(try random(.normal), deviation, 1))
    case .gaussianNoise:
      return try writer.binary(.add, x, try writer.affine(try random(.normal), noise.amount))
    case .alphaDropout:
      let dropped = -1.6732632423543772 * 1.0507009873554805
      let rate = noise.amount
      let a = 1 / ((1 - rate) * (1 + rate * dropped * dropped)).squareRoot()
      let isKept = try writer.binary(.greaterEqual, try random(.uniform), rate)
      let mixed = try writer.select(isKept, x, try writer.scalar(dropped, type.dtype))
      return try writer.affine(mixed, a, -a * dropped * rate)
    }
  }

  private mutating func stepCounter() throws -> ValueID {
    if let counter { return counter }
    let made = try tape.graph.addInput("step", TensorType(.int64, []))
    inputs.append(.counter)
    counter = made
    return made
  }

  // MARK: Losses

  private mutating func addLosses(_ outputs: inout [(StepGraph.Output, ValueID)]) throws -> ValueID {
    let masks = Dictionary(bound.outputs.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
    var total: ValueID?
    let writer = GraphWriter(tape: tape, scope: "loss")
    func join(_ value: ValueID) throws { total = try total.map { try writer.binary(.add, $0, value) } ?? value }
    for (index, output) in model.outputs.enumerated() {
      let prediction = try operand(bound.outputs[index].value)
      if options.givesPredictions { outputs.append((.prediction(index), prediction)) }
      guard let loss = options.losses[index], let shape = shapes.targets[index] else { continue }
      let target = try tape.graph.addInput(
        "target \(output)", TensorType(loss.hasClassTargets ? .int32 : .float32, shape: shape))
      inputs.append(.target(index))
      var weight: ValueID?
      if let shape = shapes.weights[index] {
        weight = try tape.graph.addInput("weight \(output)", TensorType(.float32, shape: shape))
        inputs.append(.sampleWeight(index))
      }
      let mask = try masks["\(TrainingModel.maskPrefix)\(output)"].map(operand)
      let own = try LossWriter(graph: writer, loss: loss).write(
        target: target, prediction: try writer.cast(prediction, .float32), weight: weight, mask: mask)
      if options.losses.count > 1 { outputs.append((.outputLoss(index), own)) }
      if let mask, options.givesPredictions { outputs.append((.mask(index), try writer.cast(mask, .float32))) }
      try join(try writer.affine(own, options.lossWeights[index]))
    }
    for (index, variable) in model.variables.enumerated() where options.trained.contains(index) {
      guard let value = variableInputs[index], let json = variable.regularizer else { continue }
      if let penalty = try Regularizer(json).penalty(value, writer) { try join(penalty) }
    }
    for layer in model.layers {
      guard let json = layer.activityRegularizer else { continue }
      for name in layer.results {
        guard let value = bound.value(named: name).flatMap({ map[$0] }) else {
          throw KilnError(.unsupportedModel, "an activity that is penalized is no part of the graph", at: [layer.path])
        }
        guard let penalty = try Regularizer(json).penalty(value, writer) else { continue }
        // By the sample, so that the size of batches makes no difference.
        try join(try writer.affine(penalty, 1 / Double(max(1, try writer.shape(value).first ?? 1))))
      }
    }
    guard let total else { throw KilnError(.usage, "there is no loss to train by", hint: "--loss NAME") }
    return total
  }
}
