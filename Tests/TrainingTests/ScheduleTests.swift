import TensorModule
import Testing
import Training

/// Schedules and callbacks against what Keras 3.15.1 did.
@Suite struct ScheduleTests {
  private func json(_ name: String) throws -> [JSON] {
    try JSON.parse(MappedFile.contents(of: DataSupport.fixture(name))).arrayValue ?? []
  }

  @Test func ratesAreKerass() throws {
    let cases = try json("schedules.json")
    #expect(cases.count == 13)
    for item in cases {
      let schedule = try LearningRateSchedule(keras: item["config"] ?? .null)
      for (step, rate) in zip(item["steps"]?.arrayValue ?? [], item["rates"]?.arrayValue ?? []) {
        let (got, want) = (schedule.rate(step.intValue ?? 0), rate.doubleValue ?? .nan)
        // Keras counts in float32; where a cosine nearly ends, its own rounding shows.
        #expect(abs(got - want) <= 1e-5 * abs(want) + 1e-8, "\(item["config"]?["class_name"]?.stringValue ?? "") at \(step): \(got), Keras \(want)")
      }
    }
  }

  @Test func callbacksDoWhatKerassDo() throws {
    let cases = try json("callbacks.json")
    #expect(cases.count == 12)
    for (index, item) in cases.enumerated() {
      let values = item["values"]?.arrayValue?.compactMap(\.doubleValue) ?? []
      let (stop, reduce) = (item["stop"] ?? .null, item["reduce"] ?? .null)
      var stopping = EarlyStopping(
        monitor: Monitor("val_loss", minDelta: stop["min_delta"]?.doubleValue ?? 0), patience: stop["patience"]?.intValue ?? 0,
        baseline: stop["baseline"]?.doubleValue, startEpoch: stop["start"]?.intValue ?? 0)
      var plateau = ReduceOnPlateau(
        monitor: Monitor("val_loss", minDelta: reduce["min_delta"]?.doubleValue ?? 0), factor: reduce["factor"]?.doubleValue ?? 0,
        patience: reduce["patience"]?.intValue ?? 0, cooldown: reduce["cooldown"]?.intValue ?? 0, minRate: reduce["min_lr"]?.doubleValue ?? 0)
      var (rate, epochs, kept) = (0.5, 0, -1)
      for (epoch, value) in values.enumerated() {
        // Going on from a checkpoint changes nothing.
        let saved = try JSON.parse(JSON.array([stopping.state, plateau.state]).text(nonFinite: nil))
        try stopping.restore(saved[0] ?? .null)
        try plateau.restore(saved[1] ?? .null)
        rate = plateau.update(value: value, rate: rate)
        let want = item["rates"]?[epoch]?.doubleValue ?? .nan
        #expect(abs(rate - want) <= 1e-6 * want, "case \(index), epoch \(epoch)")
        if stopping.stoppedEpoch != nil { continue }
        epochs += 1
        let decision = stopping.update(epoch: epoch, value: value)
        if decision.isBest { kept = epoch }
      }
      #expect(epochs == item["epochs"]?.intValue, "case \(index)")
      #expect(stopping.bestEpoch == item["best_epoch"]?.intValue && kept == stopping.bestEpoch, "case \(index)")
    }
  }

  @Test func monitorsKnowTheirDirection() {
    let report = EpochReport(
      epoch: 0, epochCount: 1, training: [MetricValue(name: "loss", value: 1), MetricValue(name: "accuracy", value: 0.5)],
      validation: [MetricValue(name: "loss", value: 2)], learningRate: 0.1, stepCount: 1, sampleCount: 1, seconds: 1)
    #expect(Monitor("val_loss").value(report) == 2 && Monitor("accuracy").value(report) == 0.5 && Monitor("val_accuracy").value(report) == nil)
    #expect(Monitor("val_accuracy").wantsGreater && !Monitor("val_loss").wantsGreater && !Monitor("mean_absolute_error").wantsGreater)
  }

  @Test func options() throws {
    let cosine = try ScheduleOption("cosine").schedule(rate: 0.1, steps: 100)
    #expect(cosine == .cosine(rate: 0.1, steps: 100))
    #expect(try ScheduleOption("step,factor=0.5,drops=3").schedule(rate: 1, steps: 100).rate(99) == 0.125)
    let steps = try ScheduleOption("step").schedule(rate: 1, steps: 30)
    #expect((0..<30).map(steps.rate) == [Double](repeating: 1, count: 10) + [Double](repeating: 0.1, count: 10) + [Double](repeating: 0.1 * 0.1, count: 10))
    #expect(abs(try ScheduleOption("exponential").schedule(rate: 1, steps: 50).rate(50) - 0.01) < 1e-12)
    // torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=10) of PyTorch
    let cycle = try ScheduleOption("one-cycle").schedule(rate: 1, steps: 10)
    let torch = [
      0.04, 0.52, 1.0, 0.950484634, 0.811744900, 0.611260467, 0.388741533, 0.188257100, 0.049517366, 4e-06,
    ]
    for (step, rate) in torch.enumerated() { #expect(abs(cycle.rate(step) - rate) < 1e-5, "step \(step): \(cycle.rate(step))") }
    #expect(try ScheduleOption("plateau,patience=2").plateau()?.patience == 2)
    #expect(try ScheduleOption("cosine").plateau() == nil)
    for bad in ["linear", "cosine,alpha=x", "cosine,beta=1", "step,factor=-1", "plateau,factor=1", "one-cycle,rise=1", "exponential,end=0"] {
      #expect(DataSupport.line { _ = try ScheduleOption(bad) }.hasPrefix("--schedule"), "\(bad)")
    }
    for bad in [#"{"class_name":"Mine","config":{}}"#, #"{"class_name":"CosineDecay","config":{"initial_learning_rate":0.1,"decay_steps":0}}"#, #""fast""#, "-1",
      #"{"class_name":"PiecewiseConstantDecay","config":{"boundaries":[1],"values":[1]}}"#]
    {
      #expect(throws: KilnError.self) { try LearningRateSchedule(keras: try JSON.parse(bad)) }
    }
  }
}
