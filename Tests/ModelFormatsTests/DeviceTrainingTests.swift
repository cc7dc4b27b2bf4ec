import Foundation
import GPURuntime
import GraphModule
import InferenceRuntime
import Kiln
import KilnImport
import Synchronization
import TensorModule
import Testing
import Training

private enum TrainingDevice {
  static let first = (try? GPUDevice.all())?.first { $0.hasCompiler && $0.isAvailable }
}

/// Training on the OpenCL device: it follows the processor, goes on from checkpoints to the bit, and is left when it fails.
@Suite(.enabled(if: TrainingDevice.first != nil)) struct DeviceTrainingTests {
  private static let folder = "\(FixtureCase.root)/fixtures"

  /// A backend that takes every node that it can, and shares nothing.
  private static func backend(
    strict: Bool = true, rules: [PlacementRule] = [], vectors: Bool? = nil, context: GPUContext? = nil, report: (@Sendable (String) -> Void)? = nil
  ) throws -> GPUBackend {
    try GPUBackend(
      #require(TrainingDevice.first), options: .init(isStrict: strict, rules: rules, prefersVectors: vectors, ignoresCost: true, report: report),
      context: context)
  }

  private static func trainer(_ path: String, _ options: FineTuning.Options, _ device: (any DeviceBackend)?) throws -> (tuning: FineTuning, trainer: Trainer) {
    let plain = try FineTuning(contentsOf: path, options: options)
    guard let device else { return (plain, plain.trainer) }
    return (plain, try Trainer(plain.trainer.model, configuration: plain.trainer.configuration, device: device))
  }

  private static func source(_ tuning: FineTuning, _ data: String) throws -> DataSource {
    var settings = DataSource.Settings()
    (settings.batchSize, settings.isShuffled) = (8, false)
    return try DataSource(try SampleStore.load(data, for: tuning.form), settings: settings)
  }

  /// The running losses of steps, the metrics of epochs, the weights.
  private struct Course {
    var losses: [Double] = []
    var reports: [[MetricValue]] = []
    var weights: [(name: String, tensor: Tensor)] = []
  }

  private static func course(_ path: String, _ options: FineTuning.Options, data: String, epochs: Int, _ device: (any DeviceBackend)?) throws -> Course {
    let (tuning, trainer) = try trainer(path, options, device)
    var course = Course()
    try trainer.fit(
      try source(tuning, data), validation: try source(tuning, data), epochs: epochs, onStep: { course.losses.append($0.metrics.first?.value ?? .nan) },
      onEpoch: { report in
        course.reports.append(report.training + report.validation.map { MetricValue(name: "val_\($0.name)", value: $0.value) })
        return true
      })
    course.weights = try trainer.movedVariables()
    return course
  }

  private static func expect(_ got: Course, _ wanted: Course, _ what: String) {
    #expect(got.losses.count == wanted.losses.count && !got.losses.isEmpty)
    for (step, (a, b)) in zip(got.losses, wanted.losses).enumerated() {
      #expect(abs(a - b) <= 1e-4 * abs(b), "\(what): the loss of step \(step + 1) is \(a), the processor's \(b)")
    }
    for (own, other) in zip(got.reports, wanted.reports) {
      for (a, b) in zip(own, other) { #expect(a.name == b.name && abs(a.value - b.value) <= 1e-4 * max(abs(b.value), 1e-2), "\(what): \(a.name) \(a.value), \(b.value)") }
    }
    #expect(got.weights.count == wanted.weights.count)
    for (a, b) in zip(got.weights, wanted.weights) {
      let most = zip(a.tensor.doubles, b.tensor.doubles).map { abs($0 - $1) }.max() ?? 0
      #expect(a.name == b.name && most <= 1e-3, "\(what): \(a.name) differs by \(most)")
    }
  }

  // MARK: Parity

  private static let more = [
    "ftrl_l1": #"{"class_name": "Ftrl", "config": {"learning_rate": 0.05, "learning_rate_power": -0.7, "l1_regularization_strength": 0.001, "l2_regularization_strength": 0.01, "l2_shrinkage_regularization_strength": 0.01, "beta": 0.1}}"#,
    "adamax_clipnorm": #"{"class_name": "Adamax", "config": {"learning_rate": 0.005, "clipnorm": 0.1}}"#,
    "adafactor_clipnorm": #"{"class_name": "Adafactor", "config": {"learning_rate": 0.01, "clipnorm": 0.1, "relative_step": false}}"#,
    "adam_clipvalue": #"{"class_name": "Adam", "config": {"learning_rate": 0.005, "clipvalue": 0.01}}"#,
    "lamb_decay": #"{"class_name": "Lamb", "config": {"learning_rate": 0.01, "weight_decay": 0.01, "global_clipnorm": 0.5}}"#,
    "accumulated_ema": #"{"class_name": "SGD", "config": {"learning_rate": 0.05, "use_ema": true, "ema_momentum": 0.9, "gradient_accumulation_steps": 2, "global_clipnorm": 0.5}}"#,
  ]

  @Test(arguments: TrainingParityTests.models)
  func optimizersFollowTheProcessor(_ model: String) throws {
    let expected = try JSON.parse(String(contentsOfFile: "\(TrainingParityTests.folder)/expected.json", encoding: .utf8))
    let imported = try TrainingParityTests.Imported("\(TrainingParityTests.folder)/\(model).keras")
    var optimizers = try #require(expected[model]?.objectValue?.entries).compactMap { entry in entry.value["optimizer"].map { (entry.key, $0) } }
    #expect(optimizers.count == 21)
    for (name, text) in Self.more { optimizers.append((name, try JSON.parse(text))) }
    let data = "\(TrainingParityTests.folder)/\(model).npz"
    for (name, optimizer) in optimizers {
      let options = try TrainingParityTests.options(optimizer)
      let device = try Self.course(imported.path, options, data: data, epochs: 1, Self.backend())
      Self.expect(device, try Self.course(imported.path, options, data: data, epochs: 1, nil), "\(model), \(name)")
    }
  }

  /// Masks, weights of samples and steps, several outputs, penalties, constraints, shared and frozen layers, kept states, dropout.
  @Test(arguments: CompiledTrainingTests.compiled)
  func compiledModelsFollowTheProcessor(_ name: String) throws {
    let imported = try TrainingParityTests.Imported("\(Self.folder)/training/compiled/\(name).keras")
    var options = FineTuning.Options()
    options.threads = 2
    let data = "\(Self.folder)/training/compiled/\(name).npz"
    let device = try Self.course(imported.path, options, data: data, epochs: 2, Self.backend())
    Self.expect(device, try Self.course(imported.path, options, data: data, epochs: 2, nil), name)
  }

  /// With the kernels for GPUs.
  @Test(arguments: TrainingParityTests.models)
  func lanesFollowTheProcessor(_ model: String) throws {
    let imported = try TrainingParityTests.Imported("\(TrainingParityTests.folder)/\(model).keras")
    let options = try TrainingParityTests.options(.string("adam"))
    let data = "\(TrainingParityTests.folder)/\(model).npz"
    let device = try Self.course(imported.path, options, data: data, epochs: 1, Self.backend(vectors: false))
    Self.expect(device, try Self.course(imported.path, options, data: data, epochs: 1, nil), model)
  }

  /// Derivatives on the processor, all else on the device.
  @Test func mixedStepsFollowTheProcessor() throws {
    let imported = try TrainingParityTests.Imported("\(TrainingParityTests.folder)/cnn.keras")
    let options = try TrainingParityTests.options(.string("adam"))
    let data = "\(TrainingParityTests.folder)/cnn.npz"
    let rule = PlacementRule(scope: "gradient/*", isDevice: false) { $0.hasPrefix("gradient") }
    let notes = Notes()
    let device = try Self.course(imported.path, options, data: data, epochs: 1, Self.backend(strict: false, rules: [rule]) { notes.add($0) })
    Self.expect(device, try Self.course(imported.path, options, data: data, epochs: 1, nil), "mixed")
    #expect(notes.all.contains { $0.hasPrefix("note: ") && $0.contains("nodes run on the processor") }, "\(notes.all)")
  }

  // MARK: Going on

  /// Checkpoints of the device, within an epoch too, go on to the bit.
  @Test(arguments: ["cnn", "lstm"])
  func resumesToTheBit(_ model: String) throws {
    let imported = try TrainingParityTests.Imported("\(TrainingParityTests.folder)/\(model).keras")
    let options = try TrainingParityTests.options(.string("nadam"))
    let data = "\(TrainingParityTests.folder)/\(model).npz"
    let whole = try Self.course(imported.path, options, data: data, epochs: 2, Self.backend())
    let (tuning, first) = try Self.trainer(imported.path, options, Self.backend())
    var kept: TrainingCheckpoint?
    struct Stop: Error {}
    _ = #expect(throws: Stop.self) {
      try first.fit(try Self.source(tuning, data), epochs: 2, onStep: { step in
        guard step.epoch == 1, step.step == 3 else { return }
        kept = try first.checkpoint(batch: 4)
        throw Stop()
      })
    }
    let checkpoint = try #require(kept)
    let (_, second) = try Self.trainer(imported.path, options, Self.backend())
    try second.restore(checkpoint)
    var losses: [Double] = []
    try second.fit(try Self.source(tuning, data), epochs: 2, firstBatch: 4, onStep: { losses.append($0.metrics.first?.value ?? .nan) })
    #expect(losses == Array(whole.losses.suffix(6)))
    for (a, b) in zip(try second.movedVariables(), whole.weights) { #expect(a.tensor == b.tensor, "\(a.name)") }
  }

  /// A batch goes up and its results come back, a step's numbers and whether it moved; nothing is made after the first step.
  @Test func laterStepsMakeNothing() throws {
    let context = try GPUContext(#require(TrainingDevice.first))
    let imported = try TrainingParityTests.Imported("\(TrainingParityTests.folder)/cnn.keras")
    let (tuning, trainer) = try Self.trainer(imported.path, try TrainingParityTests.options(.string("adam")), Self.backend(context: context))
    var counts: [GPUContext.Counts] = []
    try trainer.fit(try Self.source(tuning, "\(TrainingParityTests.folder)/cnn.npz"), epochs: 1, onStep: { _ in counts.append(context.counts) })
    try #require(counts.count == 10)
    for (a, b) in zip(counts, counts.dropFirst()) {
      var expected = a
      expected.uploads += 2
      expected.downloads += 2
      #expect(b == expected)
    }
  }

  // MARK: Failures

  /// Fails in the forward pass (the weights can be had), or in an update (they cannot): the processor ends with the numbers that it has alone.
  @Test(arguments: [7, 8, 20, 21], [true, false])
  func leavesADeviceThatFails(_ run: Int, readable: Bool) throws {
    let imported = try TrainingParityTests.Imported("\(TrainingParityTests.folder)/cnn.keras")
    let options = try TrainingParityTests.options(.string("adam"))
    let data = "\(TrainingParityTests.folder)/cnn.npz"
    let device = FailingDevice(try Self.backend(strict: false), failsAt: run, readable: readable, mayFallBack: true)
    let got = try Self.course(imported.path, options, data: data, epochs: 2, device)
    let wanted = try Self.course(imported.path, options, data: data, epochs: 2, nil)
    #expect(device.hasFailed && device.fellBack)
    // Steps that were lost are taken again.
    #expect(got.losses.count >= wanted.losses.count)
    var course = got
    course.losses = wanted.losses
    Self.expect(course, wanted, "run \(run)")
    for (a, b) in zip(got.losses.suffix(3), wanted.losses.suffix(3)) { #expect(abs(a - b) <= 1e-4 * abs(b)) }
  }

  /// Where the device must do it, its failure is the end, and no checkpoint can be made of what is left.
  @Test func noCheckpointOfAHalfDoneStep() throws {
    let imported = try TrainingParityTests.Imported("\(TrainingParityTests.folder)/mlp.keras")
    let device = FailingDevice(try Self.backend(), failsAt: 6, readable: true, mayFallBack: false)
    let (tuning, trainer) = try Self.trainer(imported.path, try TrainingParityTests.options(.string("sgd")), device)
    let error = #expect(throws: KilnError.self) { try trainer.fit(try Self.source(tuning, "\(TrainingParityTests.folder)/mlp.npz"), epochs: 1) }
    #expect(error?.message.contains("it is gone") == true)
    #expect(throws: KilnError.self) { try trainer.checkpoint(batch: 3) }
  }

  /// A loss that is no number moves nothing on the device either.
  @Test func divergenceMovesNothing() throws {
    let imported = try TrainingParityTests.Imported("\(TrainingParityTests.folder)/mlp.keras")
    var options = try TrainingParityTests.options(.string("sgd"))
    options.learningRate = 1e30
    let (tuning, trainer) = try Self.trainer(imported.path, options, Self.backend())
    let error = #expect(throws: KilnError.self) { try trainer.fit(try Self.source(tuning, "\(TrainingParityTests.folder)/mlp.npz"), epochs: 1) }
    #expect(error?.message.contains("of epoch 1") == true && error?.hint?.contains("learning rate") == true, "\(String(describing: error))")
    for (name, tensor) in try trainer.movedVariables() {
      let isFinite = tensor.doubles.allSatisfy(\.isFinite)
      #expect(isFinite, "\(name)")
    }
  }
}

private final class Notes: Sendable {
  private let lines = Mutex<[String]>([])
  var all: [String] { lines.withLock { $0 } }
  func add(_ line: String) { lines.withLock { $0.append(line) } }
}

/// A device whose run of that number fails, and all that comes after it; its memory may still be read.
private final class FailingDevice: DeviceBackend {
  private let real: GPUBackend
  private let failsAt: Int
  private let readable: Bool
  let mayFallBack: Bool
  private let state = Mutex((runs: 0, failed: false, fellBack: false))

  init(_ real: GPUBackend, failsAt: Int, readable: Bool, mayFallBack: Bool) {
    (self.real, self.failsAt, self.readable, self.mayFallBack) = (real, failsAt, readable, mayFallBack)
  }

  var hasFailed: Bool { state.withLock { $0.failed } }
  var fellBack: Bool { state.withLock { $0.fellBack } }
  private static let gone = KilnError(.failed, "the GPU could not run a kernel: it is gone")

  func place(_ graph: Graph, _ residents: DeviceResidents) throws -> DevicePlacement? {
    func inner(_ place: DevicePlace) -> DevicePlace { DevicePlace((place.memory as? Memory)?.real ?? place.memory, at: place.offset) }
    var residents = residents
    (residents.inputs, residents.outputs) = (residents.inputs.mapValues(inner), residents.outputs.mapValues(inner))
    guard var placement = try real.place(graph, residents) else { return nil }
    placement.program = Program(placement.program, self)
    return placement
  }

  func fallBack(after error: KilnError) -> Bool {
    guard mayFallBack, error.message.contains("it is gone") else { return false }
    state.withLock { $0.fellBack = true }
    return true
  }

  func memory(byteCount: Int) throws -> any DeviceMemory { Memory(try real.memory(byteCount: byteCount), self) }
  var alignment: Int { real.alignment }

  func countRun() throws {
    let fails = state.withLock { state in
      state.runs += 1
      if state.runs == failsAt { state.failed = true }
      return state.failed
    }
    if fails { throw Self.gone }
  }

  func checkRead() throws { if hasFailed, !readable { throw Self.gone } }

  private final class Memory: DeviceMemory {
    let real: any DeviceMemory
    private let device: FailingDevice
    init(_ real: any DeviceMemory, _ device: FailingDevice) { (self.real, self.device) = (real, device) }
    var byteCount: Int { real.byteCount }
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws { try real.write(bytes, at: offset) }
    func read(_ bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws {
      try device.checkRead()
      try real.read(bytes, at: offset)
    }
  }

  private final class Program: DeviceProgram {
    private let real: any DeviceProgram
    private let device: FailingDevice
    init(_ real: any DeviceProgram, _ device: FailingDevice) { (self.real, self.device) = (real, device) }
    func workspace() throws -> any DeviceWorkspace { Work(try real.workspace(), device) }
    func nodes(of part: Int) -> [PlanReport.NodeEntry] { real.nodes(of: part) }
    var arenaBytes: Int { real.arenaBytes }
  }

  private final class Work: DeviceWorkspace {
    private let real: any DeviceWorkspace
    private let device: FailingDevice
    init(_ real: any DeviceWorkspace, _ device: FailingDevice) { (self.real, self.device) = (real, device) }
    func setInput(_ part: Int, _ index: Int, _ address: UnsafeRawPointer?) { real.setInput(part, index, address) }
    func setOutput(_ part: Int, _ index: Int, _ address: UnsafeMutableRawPointer?) { real.setOutput(part, index, address) }
    func run(_ part: Int) throws {
      try device.countRun()
      try real.run(part)
    }
    func timedRun(_ part: Int) throws -> (nodes: [Int64], transfers: Int64) { try real.timedRun(part) }
  }
}
