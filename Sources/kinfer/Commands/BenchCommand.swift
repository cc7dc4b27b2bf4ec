import ArgumentParser
import CommandSupport
import Kiln

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Times predictions of a model.",
    discussion: """
      Without --input the inputs are drawn from a fixed seed: standard normal floats, integers 0…9. With --input its \
      samples are repeated or cut to the batch. --expected compares the outputs for all of --input.
      """)

  @OptionGroup var options: RunOptions

  @Option(help: ArgumentHelp("Samples that run at once.", valueName: "n"))
  var batch = 1

  @Option(help: ArgumentHelp("How long to measure; at least 3 runs are timed.", valueName: "s"))
  var seconds = 1.0

  @Option(help: ArgumentHelp("Data of one input.", valueName: "[name=]file"))
  var input: [String] = []

  @Option(help: ArgumentHelp("The outputs expected for --input: .npy of the first output, or .npz by name.", valueName: "file"))
  var expected: String?

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    if batch < 1 { throw ValidationError("--batch must be 1 or more, found \(batch)") }
    if !(seconds >= 0 && seconds <= 3600) { throw ValidationError("--seconds must be 0…3600, found \(seconds)") }
    if expected != nil, !options.hasInput(input) { throw ValidationError("--expected goes with --input") }
  }

  func run() throws {
    let start = ContinuousClock.now
    let model = try options.load()
    let loaded = ContinuousClock.now
    let difference = try self.difference(model)
    let inputs = try BenchInputs(model.inputs).tensors(batch: model.stateBatch ?? batch, from: samples(model))
    let first = ContinuousClock.now
    _ = try model.predict(inputs)
    let firstTime = ContinuousClock.now - first
    let error = try model.weightError(inputs)
    try report(try measure(model, inputs), load: loaded - start, first: firstTime, difference, error)
  }

  private func samples(_ model: Model) throws -> Samples? {
    options.hasInput(input) ? try options.samples(input, for: model) : nil
  }

  /// The largest absolute difference from the expected outputs.
  private func difference(_ model: Model) throws -> Double? {
    guard let expected, let samples = try samples(model) else { return nil }
    let prediction = try Batches(model: model, samples: samples, size: nil).predict()
    return try ExpectedOutputs(path: expected, of: model).largestDifference(from: prediction)
  }

  /// Milliseconds of single runs, sorted: of a session, whose inputs are in place, where the model has sessions.
  private func measure(_ model: Model, _ inputs: [Tensor]) throws -> [Double] {
    if !model.hasSessions {
      return try measure { _ = try model.predict(inputs) }
    }
    let shapes = zip(model.inputs, inputs).map { ($0.name, $1.shape) }
    let session = try model.session(shapes: Dictionary(uniqueKeysWithValues: shapes))
    for (index, input) in inputs.enumerated() { session.inputBytes(index).copyMemory(from: input.bytes) }
    return try measure { try session.run() }
  }

  private func measure(_ run: () throws -> Void) throws -> [Double] {
    let warmEnd = ContinuousClock.now + .seconds(min(0.3, seconds / 4))
    repeat { try run() } while ContinuousClock.now < warmEnd
    var times: [Double] = []
    let end = ContinuousClock.now + .seconds(seconds)
    repeat {
      let start = ContinuousClock.now
      try run()
      times.append((ContinuousClock.now - start).milliseconds)
    } while ContinuousClock.now < end || times.count < 3
    return times.sorted()
  }

  private func report(_ times: [Double], load: Duration, first: Duration, _ difference: Double?, _ error: WeightError?) throws {
    let median = times.count % 2 == 1 ? times[times.count / 2] : (times[times.count / 2 - 1] + times[times.count / 2]) / 2
    let p99 = times[min(times.count - 1, Int((Double(times.count) * 0.99).rounded(.up)) - 1)]
    var usage = rusage()
    #if canImport(Glibc)
      getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
      let memory = Double(usage.ru_maxrss) / 1024
    #else
      getrusage(RUSAGE_SELF, &usage)
      let memory = Double(usage.ru_maxrss) / 1_048_576
    #endif
    if json {
      var object = JSONObject([
        ("schema", .int(1)), ("median_ms", .double(median)), ("min_ms", .double(times[0])), ("p99_ms", .double(p99)),
        ("runs", .int(times.count)), ("batch", .int(batch)), ("load_ms", .double(load.milliseconds)),
        ("first_ms", .double(first.milliseconds)), ("peak_rss_mb", .double(memory)),
      ])
      if let difference { object["max_abs_diff"] = .double(difference) }
      if let error { (object["weights"], object["weight_error"]) = (.string(options.weights.rawValue), error.json) }
      try Console.write(JSON.object(object).text() + "\n")
      return
    }
    func number(_ value: Double) -> String { NumberText.format(value, "%.4g") }
    var text = "median \(number(median)) ms, min \(number(times[0])), p99 \(number(p99)) over \(times.count) runs of batch \(batch)\n"
    text += "load \(number(load.milliseconds)) ms, first prediction \(number(first.milliseconds)) ms, peak memory \(number(memory)) MB\n"
    if let difference { text += "largest difference from the expected outputs \(number(difference))\n" }
    if let error { text += "\(options.weights.rawValue) weights: \(error.text)\n" }
    try Console.write(text)
  }
}

extension Duration {
  var milliseconds: Double { Double(components.seconds) * 1e3 + Double(components.attoseconds) * 1e-15 }
}
