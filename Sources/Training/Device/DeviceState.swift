import InferenceRuntime
import TensorModule

/// What a training keeps on a device: weights, gradients, the optimizer's states, moving statistics, states of layers. The blocks of
/// the processor hold the same in the same order; `truth` says which of them are right.
final class DeviceState {
  enum Truth { case processor, both, device }

  let backend: any DeviceBackend
  var truth = Truth.processor
  /// Whether an update has begun that may not be done.
  var isMoving = false

  /// A piece of the processor's memory and its place on the device.
  private struct Mirror {
    var address: UnsafeMutableRawPointer
    var byteCount: Int
    var place: DevicePlace
  }

  private var mirrors: [Mirror] = []
  private let weights: any DeviceMemory
  private let gradients: any DeviceMemory
  private let slots: [any DeviceMemory]
  private let averages: (any DeviceMemory)?
  private let accumulated: (any DeviceMemory)?
  private let rows: (any DeviceMemory)?
  private let statistics: (any DeviceMemory)?
  private let found: (any DeviceMemory)?
  private let states: [any DeviceMemory]
  private let layout: ParameterLayout
  private let statisticLayout: ParameterLayout
  /// Adafactor's means of rows, then of columns, variable by variable.
  private let means: (any DeviceMemory)?
  private let meanLayout: ParameterLayout
  private let optimizer: OptimizerState

  /// Places of floats are multiples of these.
  static func floatAlignment(_ backend: any DeviceBackend) -> Int { max(16, (backend.alignment + 3) / 4) }

  init(
    _ backend: any DeviceBackend, _ weights: ParameterMemoryBlock, _ optimizer: OptimizerState, usesRows: Bool,
    statistics: [(memory: RuntimeMemory, count: Int)], states: [(memory: RuntimeMemory, byteCount: Int)]
  ) throws {
    self.backend = backend
    self.optimizer = optimizer
    layout = weights.layout
    let alignment = Self.floatAlignment(backend)
    let bytes = layout.count * 4
    var mirrors: [Mirror] = []
    func block(_ block: ParameterMemoryBlock) throws -> any DeviceMemory {
      let memory = try backend.memory(byteCount: bytes)
      mirrors.append(Mirror(address: UnsafeMutableRawPointer(block.floats), byteCount: bytes, place: DevicePlace(memory)))
      return memory
    }
    self.weights = try block(weights)
    slots = try optimizer.slots.map(block)
    averages = try optimizer.averages.map(block)
    accumulated = try optimizer.accumulated.map(block)
    gradients = try backend.memory(byteCount: bytes)
    rows = usesRows ? try backend.memory(byteCount: bytes) : nil
    let statisticLayout = ParameterLayout(statistics.map { [$0.count] }, alignment: alignment)
    self.statisticLayout = statisticLayout
    let statisticMemory = statistics.isEmpty ? nil : try backend.memory(byteCount: statisticLayout.count * 4)
    self.statistics = statisticMemory
    found = statistics.isEmpty ? nil : try backend.memory(byteCount: statisticLayout.count * 4)
    if let statisticMemory {
      for (index, statistic) in statistics.enumerated() {
        mirrors.append(Mirror(address: statistic.memory.base, byteCount: statistic.count * 4, place: DevicePlace(statisticMemory, at: statisticLayout.offsets[index] * 4)))
      }
    }
    self.states = try states.map { state in
      let memory = try backend.memory(byteCount: max(1, state.byteCount))
      mirrors.append(Mirror(address: state.memory.base, byteCount: state.byteCount, place: DevicePlace(memory)))
      return memory
    }
    meanLayout = ParameterLayout((optimizer.rows + optimizer.columns).map { [$0.count] }, alignment: alignment)
    means = meanLayout.count == 0 ? nil : try backend.memory(byteCount: meanLayout.count * 4)
    self.mirrors = mirrors
    // The gaps between variables are read with them.
    let zeros = [UInt8](repeating: 0, count: bytes)
    try zeros.withUnsafeBytes { try gradients.write($0, at: 0) }
    try zeros.prefix(statisticLayout.count * 4).withUnsafeBytes { part in
      for memory in [self.statistics, found].compactMap({ $0 }) where part.count == statisticLayout.count * 4 { try memory.write(part, at: 0) }
    }
  }

  // MARK: Places

  func place(_ input: StepGraph.Input, _ places: [Int: Int], _ statisticPlaces: [Int: Int]) -> DevicePlace? {
    switch input {
    case .variable(let index):
      if let place = places[index] { return DevicePlace(weights, at: layout.offsets[place] * 4) }
      guard let place = statisticPlaces[index], let statistics else { return nil }
      return DevicePlace(statistics, at: statisticLayout.offsets[place] * 4)
    case .state(let index): return DevicePlace(states[index])
    case .data, .target, .sampleWeight, .counter: return nil
    }
  }

  func place(_ output: StepGraph.Output, _ places: [Int: Int], _ statisticPlaces: [Int: Int]) -> DevicePlace? {
    switch output {
    case .gradient(let index): return places[index].map { DevicePlace(gradients, at: layout.offsets[$0] * 4) }
    case .rows(let index): return rows.flatMap { rows in places[index].map { DevicePlace(rows, at: layout.offsets[$0] * 4) } }
    case .statistic(let index): return found.flatMap { found in statisticPlaces[index].map { DevicePlace(found, at: statisticLayout.offsets[$0] * 4) } }
    case .state(let index): return DevicePlace(states[index])
    case .loss, .outputLoss, .prediction, .mask: return nil
    }
  }

  func place(_ value: UpdateGraph.Value) -> DevicePlace? {
    func part(_ memory: (any DeviceMemory)?, _ first: Int) -> DevicePlace? { memory.map { DevicePlace($0, at: first * 4) } }
    switch value {
    case .weights(let range): return part(weights, range.lowerBound)
    case .gradients(let range): return part(gradients, range.lowerBound)
    case .rows(let range): return part(rows, range.lowerBound)
    case .slot(let index, let range): return part(slots[index], range.lowerBound)
    case .averages(let range): return part(averages, range.lowerBound)
    case .accumulated(let range): return part(accumulated, range.lowerBound)
    case .rowMeans(let index): return part(means, meanLayout.offsets[index])
    case .columnMeans(let index): return part(means, meanLayout.offsets[optimizer.rows.count + index])
    case .statistics(let range): return part(statistics, range.lowerBound)
    case .found(let range): return part(found, range.lowerBound)
    case .number, .isFinite: return nil
    }
  }

  /// The layout of the statistics' block.
  var statisticsLayout: ParameterLayout { statisticLayout }

  // MARK: Transfers

  /// Makes the device's state the processor's.
  func upload() throws {
    for mirror in mirrors { try mirror.place.memory.write(UnsafeRawBufferPointer(start: mirror.address, count: mirror.byteCount), at: mirror.place.offset) }
    if let means {
      for (index, values) in (optimizer.rows + optimizer.columns).enumerated() {
        try values.withUnsafeBytes { try means.write($0, at: meanLayout.offsets[index] * 4) }
      }
    }
    truth = .both
  }

  /// Makes the processor's state the device's.
  ///
  /// - Throws: `KilnError` (`failed`) when the device does not give it, or an update is not known to be done.
  func download() throws {
    if isMoving { throw KilnError(.failed, "the GPU failed in the middle of a step; the weights on it are not whole") }
    for mirror in mirrors { try mirror.place.memory.read(UnsafeMutableRawBufferPointer(start: mirror.address, count: mirror.byteCount), at: mirror.place.offset) }
    if let means {
      let count = optimizer.rows.count
      for index in 0..<count {
        try optimizer.rows[index].withUnsafeMutableBytes { try means.read($0, at: meanLayout.offsets[index] * 4) }
        try optimizer.columns[index].withUnsafeMutableBytes { try means.read($0, at: meanLayout.offsets[count + index] * 4) }
      }
    }
    truth = .both
  }

  /// The gradients of the last step.
  func downloadGradients(_ block: ParameterMemoryBlock) throws {
    try gradients.read(UnsafeMutableRawBufferPointer(start: block.floats, count: layout.count * 4), at: 0)
  }
}
