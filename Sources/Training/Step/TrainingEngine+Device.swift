import InferenceRuntime
import TensorModule

/// Steps on a device: the forward pass, the loss and the derivatives are one plan, the optimizer's update is another. What they hand to
/// each other, and from step to step, stays there.
extension TrainingEngine {
  /// What a device gives, or nil when the processor has to do it. A device that fails is given up, where it may be.
  func onDevice(_ work: () throws -> StepResult?) throws -> StepResult? {
    guard backend != nil else { return nil }
    do { return try work() } catch let error as KilnError {
      try giveUp(after: error)
      return nil
    }
  }

  func trainOnDevice(_ batch: StepBatch, rate: Double) throws -> StepResult? {
    let state = try deviceState()
    let plan = try plan(batch, isTraining: true)
    guard plan.isOnDevice else { return nil }
    let update = try updatePlan(plan, state)
    if state.truth == .processor { try state.upload() }
    try run(plan, batch, state)
    let result = result(plan)
    guard result.loss.isFinite else { throw diverged(result.loss) }
    let product = optimizer.product
    let numbers = optimizer.numbers(rate: rate)
    (state.isMoving, state.truth) = (true, .device)
    let moved = try update.run(numbers)
    state.isMoving = false
    if !moved {
      optimizer.product = product
      try state.downloadGradients(gradients)
      throw divergedGradient()
    }
    optimizer.endStep()
    stepNumber += 1
    return result
  }

  func evaluateOnDevice(_ batch: StepBatch) throws -> StepResult? {
    let state = try deviceState()
    let plan = try plan(batch, isTraining: false)
    guard plan.isOnDevice else { return nil }
    if state.truth == .processor { try state.upload() }
    try run(plan, batch, state)
    return result(plan)
  }

  private func run(_ plan: StepPlan, _ batch: StepBatch, _ state: DeviceState) throws {
    // States of layers move with the forward pass.
    if !states.isEmpty { (state.isMoving, state.truth) = (true, .device) }
    try plan.run(batch, number: stepNumber, memory)
    state.isMoving = false
  }

  // MARK: Where the state is

  /// Makes the state in the processor's memory right.
  ///
  /// - Parameter changing: the caller changes it.
  /// - Throws: `KilnError` when the device does not give it.
  func settle(changing: Bool = false) throws {
    guard let device else { return }
    if device.truth == .device {
      do { try device.download() } catch let error as KilnError {
        if let backend, backend.fallBack(after: error) {
          leaveDevice()
          hasLostSteps = true
        }
        throw error
      }
    }
    if changing { device.truth = .processor }
  }

  /// The gradients of the last step, in the processor's memory.
  func settleGradients() throws {
    if let device, plans.contains(where: { $0.key.isTraining && $0.value.isOnDevice }) { try device.downloadGradients(gradients) }
  }

  /// Goes on without the device, when its backend says so.
  ///
  /// - Throws: the error, or another one when the device had the only state that there is; `hasLostSteps` says so.
  private func giveUp(after error: KilnError) throws {
    guard let backend, backend.fallBack(after: error) else { throw error }
    let state = device
    leaveDevice()
    guard let state, state.truth == .device else { return }
    do { try state.download() } catch {
      hasLostSteps = true
      throw KilnError(.failed, "the GPU failed, and the weights that were on it are lost: \((error as? KilnError)?.message ?? "\(error)")")
    }
  }

  private func leaveDevice() {
    backend = nil
    device = nil
    plans = plans.filter { !$0.value.isOnDevice }
    updates = [:]
  }

  /// Takes the state that the processor has for the right one, after a loss.
  func forgetLoss() { hasLostSteps = false }

  // MARK: Plans

  func deviceState() throws -> DeviceState {
    if let device { return device }
    guard let backend else { throw KilnError(.internal, "a training has no device") }
    let made = try DeviceState(
      backend, weights, optimizer, usesRows: options.rows.sum != nil,
      statistics: movingStatistics.compactMap { statistics[$0].map { ($0.memory, $0.count) } },
      states: states.map { ($0.memory, $0.initial.byteCount) })
    device = made
    return made
  }

  /// The statistics that move, in the order of their places on the device.
  private var movingStatistics: [Int] { statistics.keys.sorted() }

  /// What of a step lies on the device.
  func residents(_ step: StepGraph) throws -> DeviceResidents {
    var residents = DeviceResidents()
    guard backend != nil else { return residents }
    let device = try deviceState()
    let statistics = Dictionary(uniqueKeysWithValues: movingStatistics.enumerated().map { ($1, $0) })
    for (index, role) in step.inputs.enumerated() { residents.inputs[index] = device.place(role, places, statistics) }
    for (index, role) in step.outputs.enumerated() { residents.outputs[index] = device.place(role, places, statistics) }
    return residents
  }

  /// The plan of the next update; with gathered gradients there are two.
  private func updatePlan(_ plan: StepPlan, _ state: DeviceState) throws -> UpdatePlan {
    let gathers = !optimizer.nextStepIsUpdate
    if let found = updates[gathers] { return found }
    for kind in optimizer.configuration.accumulationSteps ?? 0 > 1 ? [true, false] : [false] {
      let form = UpdateForm(
        configuration: optimizer.configuration, layout: weights.layout, rows: plan.tables.reduce(into: []) { $0.formUnion(places[$1].map { [$0] } ?? []) },
        constraints: Dictionary(uniqueKeysWithValues: constraints.map { ($0.place, $0.constraint) }), statistics: state.statisticsLayout,
        momenta: movingStatistics.map { statistics[$0]?.momentum ?? 0.99 }, gathers: kind)
      updates[kind] = try UpdatePlan(form, state, pool)
    }
    guard let made = updates[gathers] else { throw KilnError(.internal, "an update has no plan") }
    return made
  }
}
