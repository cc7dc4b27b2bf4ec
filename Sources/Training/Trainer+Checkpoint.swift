import TensorModule

extension Trainer {
  /// All that this training needs to go on: weights, statistics, the optimizer's state.
  ///
  /// - Parameters:
  ///   - batch: how many batches of the present epoch were taken.
  ///   - state: what others keep beside it (early stopping, a lowered learning rate).
  package func checkpoint(batch: Int, state: JSONObject = JSONObject()) throws -> TrainingCheckpoint {
    try engine.settle()
    var tensors: [(name: String, tensor: Tensor)] = []
    for index in model.variables.indices where engine.moves(index) {
      tensors.append(("weights/\(model.variables[index].value)", try engine.value(index)))
    }
    for (name, block) in engine.optimizer.blocks {
      for (place, index) in engine.trained.enumerated() {
        tensors.append(("\(name)/\(model.variables[index].value)", try block.tensor(place)))
      }
    }
    for (place, index) in engine.trained.enumerated() where !engine.optimizer.rows.isEmpty {
      for (name, values) in [("rows", engine.optimizer.rows[place]), ("columns", engine.optimizer.columns[place])] {
        tensors.append(("\(name)/\(model.variables[index].value)", try Tensor(values, shape: [values.count])))
      }
    }
    for (index, kept) in try engine.keptStates().enumerated() { tensors.append(("state/\(index)", kept)) }
    var state = state
    state["iteration"] = .int(engine.optimizer.iteration)
    state["rate"] = .double(Double(engine.optimizer.learningRate))
    state["product"] = .double(Double(engine.optimizer.product))
    state["lowered_rate"] = learningRate.map { .double($0) } ?? .null
    if batch > 0 {
      state["losses"] = running.json
      state["metrics"] = .array(metrics.map { .array($0.map { .array($0.counts.map(JSON.double)) }) })
    }
    return TrainingCheckpoint(epoch: epoch, batch: batch, step: engine.stepNumber, tensors: tensors, state: .object(state))
  }

  /// Goes back to the last state that the processor knows, after a device was lost with the steps since then.
  ///
  /// - Returns: the first batch of the epoch to take.
  func goBack() throws -> Int {
    guard let snapshot else { throw KilnError(.internal, "there is no state to go back to") }
    engine.forgetLoss()
    try restore(snapshot)
    return snapshot.batch
  }

  /// Keeps the present state where a device may be lost with its own.
  func takeSnapshot(batch: Int) throws {
    guard engine.backend?.mayFallBack == true else { return snapshot = nil }
    snapshot = try checkpoint(batch: batch)
    snapshotTime = ContinuousClock.now
  }

  /// Goes on from a checkpoint.
  ///
  /// - Parameter weightsOnly: take the weights and statistics alone, as at the end of early stopping.
  /// - Throws: `KilnError` (`badInput`) when it is one of another model.
  package func restore(_ checkpoint: TrainingCheckpoint, weightsOnly: Bool = false) throws {
    let known = Dictionary(checkpoint.tensors.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
    func tensor(_ name: String) throws -> Tensor {
      guard let found = known[name] else { throw KilnError(.badInput, "the checkpoint has no \(KilnError.quoted(name))") }
      return found
    }
    try engine.settle(changing: true)
    for index in model.variables.indices where engine.moves(index) {
      try engine.setValue(index, to: try tensor("weights/\(model.variables[index].value)"))
    }
    if weightsOnly { return }
    for index in try engine.keptStates().indices { try engine.setState(index, to: try tensor("state/\(index)")) }
    for (name, block) in engine.optimizer.blocks {
      for (place, index) in engine.trained.enumerated() { try block.set(place, to: try tensor("\(name)/\(model.variables[index].value)")) }
    }
    for (place, index) in engine.trained.enumerated() where !engine.optimizer.rows.isEmpty {
      let (rows, columns) = (try tensor("rows/\(model.variables[index].value)"), try tensor("columns/\(model.variables[index].value)"))
      guard rows.count == engine.optimizer.rows[place].count, columns.count == engine.optimizer.columns[place].count else {
        throw KilnError(.badInput, "the checkpoint is one of another model")
      }
      engine.optimizer.rows[place] = rows.doubles.map { Float($0) }
      engine.optimizer.columns[place] = columns.doubles.map { Float($0) }
    }
    let state = checkpoint.state
    engine.optimizer.iteration = state["iteration"]?.intValue ?? 0
    engine.optimizer.learningRate = Float(state["rate"]?.doubleValue ?? Double(engine.optimizer.learningRate))
    engine.optimizer.product = Float(state["product"]?.doubleValue ?? 1)
    learningRate = state["lowered_rate"]?.doubleValue
    engine.stepNumber = checkpoint.step
    epoch = checkpoint.epoch
    goesOnInEpoch = checkpoint.batch > 0
    guard goesOnInEpoch else { return }
    guard let losses = RunningLoss(state["losses"] ?? .null, configuration.losses.count), let lists = state["metrics"]?.arrayValue, lists.count == metrics.count,
      zip(lists, metrics).allSatisfy({ $0.arrayValue?.count == $1.count })
    else { throw KilnError(.badInput, "the checkpoint has other metrics") }
    running = losses
    for (output, list) in lists.enumerated() {
      for (place, counts) in (list.arrayValue ?? []).enumerated() {
        try metrics[output][place].restore((counts.arrayValue ?? []).compactMap(\.doubleValue))
      }
    }
  }
}
