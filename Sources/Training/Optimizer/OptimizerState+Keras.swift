import TensorModule

/// The optimizer's state as the variables that Keras 3 keeps, in its order.
extension OptimizerState {
  /// - Parameters:
  ///   - order: for each of the model's trainable variables in Keras's order its place here; nil for one that is frozen here, whose
  ///     state is what it begins with.
  ///   - shapes: the shapes of all of them.
  func kerasVariables(order: [Int?], shapes: [Shape]) throws -> [Tensor] {
    var list = [
      try Tensor(integers: [Int64(iteration)], dtype: .int64, shape: []), try Tensor(converting: [Double(learningRate)], to: .float32, shape: []),
    ]
    func filled(_ value: Float, _ shape: Shape) throws -> Tensor {
      try Tensor(converting: [Double](repeating: Double(value), count: shape.elementCount), to: .float32, shape: shape)
    }
    func add(_ block: ParameterMemoryBlock, _ index: Int, start: Float = 0) throws {
      list.append(try order[index].map { try block.tensor($0, shape: shapes[index]) } ?? filled(start, shapes[index]))
    }
    func addAll(_ block: ParameterMemoryBlock) throws { for index in order.indices { try add(block, index) } }
    if let averages { try addAll(averages) }
    if let accumulated { try addAll(accumulated) }
    switch configuration.kind {
    case .adafactor:
      for index in order.indices {
        let shape = shapes[index]
        let isMatrix = shape.count >= 2
        for (kind, own) in [(rows, Array(shape.dropLast())), (columns, Array(shape.dropLast(2) + shape.suffix(1)))] {
          let values = isMatrix ? order[index].map { kind[$0].map(Double.init) } : nil
          list.append(
            try Tensor(converting: values ?? [Double](repeating: 0, count: isMatrix ? own.elementCount : 1), to: .float32, shape: isMatrix ? own : []))
        }
        try add(slots[0], index)
      }
    case .rmsProp:
      try addAll(slots[0])
      if configuration.option("momentum") != 0 { try addAll(slots[1]) }
      if configuration.option("centered") != 0 { try addAll(slots[2]) }
    default:
      let start = configuration.option("initial_accumulator_value")
      // AMSGrad's largest velocities are made behind the others.
      let together = slots.prefix(2)
      for index in order.indices { for (place, slot) in together.enumerated() { try add(slot, index, start: place == 0 ? start : 0) } }
      for slot in slots.dropFirst(2) { try addAll(slot) }
    }
    if configuration.kind == .nadam { list.append(try Tensor(converting: [Double(product)], to: .float32, shape: [])) }
    return list
  }

  /// Goes on from what Keras kept.
  ///
  /// - Throws: `KilnError` (`badInput`) when it is the state of another optimizer or other variables.
  func restore(kerasVariables list: [Tensor], order: [Int?]) throws {
    var next = 0
    func take() throws -> Tensor {
      guard next < list.count else { throw KilnError(.badInput, "the optimizer's state has \(list.count) variables, more were expected") }
      next += 1
      return list[next - 1]
    }
    func fill(_ block: ParameterMemoryBlock, _ index: Int) throws {
      let tensor = try take()
      if let place = order[index] { try block.set(place, to: tensor) }
    }
    func fillAll(_ block: ParameterMemoryBlock) throws { for index in order.indices { try fill(block, index) } }
    let counter = try take().doubles.first ?? 0
    let steps = counter.rounded() == counter ? Int64(exactly: counter) ?? -1 : -1
    guard (0...Int64(1) << 40).contains(steps) else { throw KilnError(.badInput, "the optimizer has taken \(steps) steps") }
    let rate = try take().doubles.first ?? 0
    // An optimizer that has not taken a step keeps nothing yet.
    if steps == 0, list.count == 2 { return setRate(rate) }
    if let averages { try fillAll(averages) }
    if let accumulated { try fillAll(accumulated) }
    switch configuration.kind {
    case .adafactor:
      for index in order.indices {
        let (row, column) = (try take().doubles.map { Float($0) }, try take().doubles.map { Float($0) })
        if let place = order[index] {
          guard row.count == rows[place].count, column.count == columns[place].count else {
            throw KilnError(.badInput, "the optimizer's state is that of other variables")
          }
          (rows[place], columns[place]) = (row, column)
        }
        try fill(slots[0], index)
      }
    case .rmsProp:
      try fillAll(slots[0])
      if configuration.option("momentum") != 0 { try fillAll(slots[1]) }
      if configuration.option("centered") != 0 { try fillAll(slots[2]) }
    default:
      for index in order.indices { for slot in slots.prefix(2) { try fill(slot, index) } }
      for slot in slots.dropFirst(2) { try fillAll(slot) }
    }
    if configuration.kind == .nadam { product = Float(try take().doubles.first ?? 1) }
    guard next == list.count else { throw KilnError(.badInput, "the optimizer's state has \(list.count) variables, \(next) were expected") }
    iteration = Int(steps)
    setRate(rate)
  }

  private func setRate(_ rate: Double) { if rate.isFinite, rate > 0 { learningRate = Float(rate) } }
}
