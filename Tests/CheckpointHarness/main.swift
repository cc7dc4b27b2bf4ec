// Trains a small linear model with the parts that `kinfer train` uses for data, schedules and checkpoints, so that a test can
// kill it at any moment: CheckpointHarness DATA.npz FOLDER OUT.npy EVERY
import TensorModule
import Training

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A step of momentum SGD in plain loops, with noise that the step's number decides.
struct Trainer {
  var weights: [Float]
  var velocity: [Float]
  var lossSum = 0.0
  var lossCount = 0

  mutating func step(_ batch: Batch, number: Int, rate: Float) {
    let x = batch.inputs["x"]?.floats ?? []
    let y = batch.targets["y"]?.floats ?? []
    let width = weights.count
    var gradient = [Float](repeating: 0, count: width)
    for row in 0..<batch.count {
      var error = -y[row]
      for column in 0..<width { error += weights[column] * x[row * width + column] }
      lossSum += Double(error * error)
      lossCount += 1
      for column in 0..<width { gradient[column] += error * x[row * width + column] / Float(batch.count) }
    }
    var noise = KeyedRandom(seed: 3, 0x6E6F_6973, UInt64(number))
    for column in 0..<width {
      velocity[column] = 0.9 * velocity[column] - rate * (gradient[column] + Float(noise.uniform(-0.01, 0.01)))
      weights[column] += velocity[column]
    }
  }
}

func main() throws {
  let arguments = CommandLine.arguments
  let (data, out, every) = (arguments[1], arguments[3], Int(arguments[4]) ?? 1)
  let form = DataForm(inputs: [DataForm.Input("x", dims: [4])], targets: [DataForm.Target("y", dims: [], labels: .numbers)])
  let store = try SampleStore.load(data, for: form)
  var settings = DataSource.Settings()
  (settings.batchSize, settings.seed) = (5, 17)
  let source = try DataSource(store, settings: settings)
  let folder = try CheckpointFolder(arguments[2], run: TrainingRun([("--batch-size", "5"), ("--seed", "17")]))
  let (epochs, steps) = (40, source.batchCount ?? 1)
  let schedule = try ScheduleOption("cosine").schedule(rate: 0.05, steps: epochs * steps)
  var plateau = ReduceOnPlateau(monitor: Monitor("loss"), factor: 0.5, patience: 1)
  var stopping = EarlyStopping(monitor: Monitor("loss"), patience: 50)
  var trainer = Trainer(weights: [0, 0, 0, 0], velocity: [0, 0, 0, 0])
  var (epoch, batch, step, scale) = (0, 0, 0, 1.0)

  func checkpoint() throws -> TrainingCheckpoint {
    TrainingCheckpoint(
      epoch: epoch, batch: batch, step: step,
      tensors: [("weights", try Tensor(trainer.weights, shape: [4])), ("velocity", try Tensor(trainer.velocity, shape: [4]))],
      state: .object(
        JSONObject([
          ("sum", .double(trainer.lossSum)), ("count", .int(trainer.lossCount)), ("scale", .double(scale)), ("plateau", plateau.state),
          ("stopping", stopping.state),
        ])))
  }
  if let found = try folder.loadLast() {
    (epoch, batch, step) = (found.epoch, found.batch, found.step)
    trainer.weights = found.tensors[0].tensor.floats
    trainer.velocity = found.tensors[1].tensor.floats
    trainer.lossSum = found.state["sum"]?.doubleValue ?? .nan
    trainer.lossCount = found.state["count"]?.intValue ?? -1
    scale = found.state["scale"]?.doubleValue ?? .nan
    try plateau.restore(found.state["plateau"] ?? .null)
    try stopping.restore(found.state["stopping"] ?? .null)
  }
  while epoch < epochs {
    try source.beginEpoch(epoch, firstBatch: batch)
    while let next = try source.next() {
      // Slow enough that a kill finds it at work.
      usleep(1000)
      trainer.step(next, number: step, rate: Float(schedule.rate(step) * scale))
      step += 1
      batch += 1
      if step % every == 0 { try folder.save(try checkpoint()) }
    }
    let loss = trainer.lossSum / Double(trainer.lossCount)
    scale = plateau.update(value: loss, rate: scale)
    let isBest = stopping.update(epoch: epoch, value: loss).isBest
    (epoch, batch, trainer.lossSum, trainer.lossCount) = (epoch + 1, 0, 0, 0)
    try folder.save(try checkpoint(), isBest: isBest)
  }
  try NumPyFile.write(npy: try Tensor(trainer.weights + trainer.velocity, shape: [8]), to: out)
}

do { try main() } catch let error as KilnError {
  let line = Array((error.line + "\n").utf8)
  line.withUnsafeBytes { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
  exit(error.code.exitCode)
}
