import Foundation
import GraphModule
import TensorModule
import TestSupport
import Testing
import Training

private func names(_ path: String) -> [String] { (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] }

/// Lines for terminals and programs.
@Suite struct ReportingTests {
  private func step(_ step: Int) -> StepReport {
    StepReport(
      epoch: 2, step: step, stepCount: 100, sampleCount: (step + 1) * 32,
      metrics: [MetricValue(name: "loss", value: 0.34567), MetricValue(name: "accuracy", value: 0.875), MetricValue(name: "auc", value: 0.5)],
      learningRate: 0.001)
  }

  @Test func theLineFitsTheTerminal() {
    let line = ProgressLine(epochCount: 10, sampleCount: 3190, batchSize: 32)
    let wide = line.text(step(24), seconds: 2, width: 120)
    #expect(wide == "epoch 3/10  ██████░░░░░░░░░░░░░░░░░░  25/100  loss 0.3457  accuracy 0.875  auc 0.5  400 samples/s  0:06 left")
    for width in 1...130 {
      let text = line.text(step(24), seconds: 2, width: width)
      #expect(text.count < max(2, width), "\(width): \(text)")
      #expect(!text.contains("\n"))
    }
    #expect(line.text(step(24), seconds: 2, width: 60) == "epoch 3/10  25/100  loss 0.3457  400 samples/s  0:06 left")
    #expect(line.text(step(24), seconds: 2, width: 34) == "epoch 3/10  25/100  loss 0.3457")
    #expect(line.text(step(0), seconds: 0, width: 80).hasPrefix("epoch 3/10"))
    var unknown = step(3)
    unknown.stepCount = nil
    unknown.metrics = [MetricValue(name: "loss", value: .nan)]
    #expect(ProgressLine(epochCount: 1, sampleCount: nil, batchSize: 1).text(unknown, seconds: 1, width: 80) == "epoch 3/1  4  loss nan  128 samples/s")
  }

  @Test func epochs() throws {
    let report = EpochReport(
      epoch: 0, epochCount: 3, training: [MetricValue(name: "loss", value: 0.5), MetricValue(name: "accuracy", value: 1)],
      validation: [MetricValue(name: "loss", value: .infinity)], learningRate: 0.01, stepCount: 4, sampleCount: 128, skippedCount: 2, seconds: 64)
    #expect(report.text == "epoch 1/3  loss 0.5  accuracy 1  val_loss inf  2 samples/s  1:04  2 unreadable")
    #expect(
      report.json.text()
        == #"{"schema":1,"epoch":1,"epochs":3,"metrics":{"loss":0.5,"accuracy":1.0,"val_loss":null},"learning_rate":0.01,"steps":4,"samples":128,"skipped":2,"seconds":64.0}"#)
  }

  @Test func picturesComeBack() throws {
    var random = TestRandom(named: "png")
    for channels in [1, 3, 4] {
      let samples = (0..<7 * 5 * channels).map { _ in UInt8.random(in: 0...255, using: &random) }
      let png = try PNGWriter.encode(samples, height: 7, width: 5, channels: channels)
      let back = try png.withUnsafeBytes { try PictureFile($0, channels: channels, manner: .tensorFlow) }
      #expect(back.height == 7 && back.width == 5 && Array(back.samples) == samples)
    }
    #expect(throws: KilnError.self) { try PNGWriter.encode([1, 2], height: 1, width: 1, channels: 3) }
  }

  /// numpy: tensorboard.plugins.histogram.summary_v2.histogram_pb("t", [-1, 0, 0.1, 2])
  @Test func histograms() throws {
    let histogram = EventHistogram(try Tensor([-1, 0, 0.1, 2, .nan] as [Double], shape: [5]))
    let counts = histogram.buckets.map(\.count)
    #expect(counts.enumerated().filter { $1 > 0 }.map(\.offset) == [0, 10, 11, 29])
    #expect(histogram.buckets[0].left == -1 && histogram.buckets[29].right == 2 && abs(histogram.buckets[9].right) < 1e-12)
    let equal = EventHistogram(try Tensor([3, 3] as [Float], shape: [2]))
    #expect(equal.buckets.allSatisfy { $0.left == 3 && $0.right == 3 } && equal.buckets.map(\.count) == [Double](repeating: 0, count: 29) + [2])
    let tiny = EventHistogram(try Tensor([0, 5e-324] as [Double], shape: [2]))
    #expect(tiny.buckets.last?.count == 2)
    #expect(EventHistogram(try Tensor([] as [Float], shape: [0])).buckets.allSatisfy { $0 == (0, 0, 0) })
  }

  @Test func theWorstMispredictionsAreKept() throws {
    var list = MispredictionList(limit: 2, classNames: ["cat", "dog"])
    let inputs = try Tensor((0..<16).map { Float($0) }, shape: [4, 2, 2, 1])
    list.add(
      inputs: inputs, targets: try Tensor([0, 1, 0, 1] as [Int32], shape: [4]),
      scores: try Tensor([0.9, 0.1, 0.8, 0.2, 0.1, 0.9, 0.6, 0.4] as [Float], shape: [4, 2]))
    #expect(list.found.map(\.expected) == ["cat", "dog"] && list.found.map(\.predicted) == ["dog", "cat"])
    #expect(list.found[0].picture.floats == [8, 9, 10, 11])
    list.add(
      inputs: inputs, targets: try Tensor([0, 1, 0, 1, 0, 1, 1, 0] as [Float], shape: [4, 2]), scores: try Tensor([0, 0.99, 0.5, 1] as [Float], shape: [4, 1]))
    #expect(list.found.count == 2 && list.found[0].margin > 0.9)
    list.add(
      inputs: inputs, targets: try Tensor([1e30, -0.5, .nan, 7] as [Float], shape: [4]), scores: try Tensor([1, 2, 3, 4] as [Float], shape: [4, 1]))
    #expect(list.found[0].margin < 2, "numbers are no classes")
  }

  /// Every record of an event file is whole and checked.
  @Test func eventFilesAreRecords() throws {
    let folder = TemporaryFolder()
    let log = try TrainingLog(folder: folder.file("log"))
    var graph = Graph(name: "g")
    let x = graph.declareInput("x", TensorType(.float32, [.symbol("batch"), Dim(3)]))
    let w = graph.addConstant("dense/kernel", try Tensor([1, 2, 3] as [Float], shape: [3]))
    _ = (x, w)
    graph.outputs = [Graph.Output(name: "y", value: x)]
    try log.graph(graph)
    try log.epoch(
      EpochReport(
        epoch: 0, epochCount: 1, training: [MetricValue(name: "loss", value: 1)], validation: [MetricValue(name: "loss", value: 2)],
        learningRate: 0.1, stepCount: 1, sampleCount: 1, seconds: 1))
    try log.histograms([("dense/kernel", try Tensor([1, 2, 3] as [Float], shape: [3]))], suffix: "gradient", epoch: 0)
    let found = names(folder.file("log/train"))
    #expect(found.count == 1 && found[0].hasPrefix("events.out.tfevents."))
    let file = try MappedFile(path: folder.file("log/train/\(found[0])"))
    var reader = try RecordReader(file.bytes)
    var events: [String] = []
    while let range = try reader.next() { events.append(String(decoding: file.bytes[range], as: UTF8.self)) }
    #expect(events.count == 4)
    #expect(events[0].contains("brain.Event:2") && events[1].contains("Placeholder") && events[2].contains("epoch_loss"))
    #expect(events[3].contains("dense/kernel/gradient") && events[3].contains("histograms"))
    #expect(names(folder.file("log/validation")).count == 1)
    #expect(DataSupport.line { _ = try TrainingLog(folder: "/proc/none") }.hasPrefix("/proc/none: cannot be made"))
  }
}
