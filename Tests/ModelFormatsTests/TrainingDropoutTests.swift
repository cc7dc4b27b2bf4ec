import Foundation
import GraphModule
import Kiln
import TensorModule
import Testing
import Training

/// What layers drop in training, against Keras's own (`scripts/fixtures/train_dropout.py`): mean and deviation of each element of
/// the outputs over many samples that are all the same.
@Suite struct TrainingDropoutTests {
  static let folder = "\(FixtureCase.root)/fixtures/keras-3.15.1/train_dropout"

  @Test(arguments: ["model.keras", "old.h5"]) func momentsAreKeras(_ file: String) throws {
    let expected = try JSON.parse(String(contentsOfFile: "\(Self.folder)/\(file).json", encoding: .utf8))
    let outputs = try #require(expected["outputs"]?.objectValue?.entries)
    let sample = try #require(expected["x"]?.arrayValue).compactMap(\.doubleValue).map { Float($0) }
    let imported = try TrainingParityTests.Imported("\(Self.folder)/\(file)")
    var options = FineTuning.Options()
    options.metrics = try [MetricConfiguration("mean_squared_error")]
    (options.threads, options.seed) = (2, 11)
    let trainer = try FineTuning(contentsOf: imported.path, options: options).trainer
    let (rounds, count) = (5, 2000)
    let batch = StepBatch(
      data: [try Tensor((0..<count).flatMap { _ in sample }, shape: [count, 4, 3])],
      targets: try trainer.model.graph.outputs.map { output in
        let shape = [count] + trainer.model.graph.type(of: output.value).dims.dropFirst().map { $0.fixed ?? 1 }
        return try Tensor([Float](repeating: 0, count: shape.reduce(1, *)), shape: shape)
      }, weights: outputs.map { _ in nil })
    var sums = outputs.map { _ in (first: [Double](), second: [Double]()) }
    for _ in 0..<rounds {
      let result = try trainer.engine.train(batch, rate: 0)
      for (index, prediction) in result.predictions.enumerated() {
        let values = try #require(prediction).doubles
        let width = values.count / count
        if sums[index].first.isEmpty { sums[index] = ([Double](repeating: 0, count: width), [Double](repeating: 0, count: width)) }
        for (place, value) in values.enumerated() {
          sums[index].first[place % width] += value
          sums[index].second[place % width] += value * value
        }
      }
    }
    let samples = Double(rounds * count)
    for (index, output) in outputs.enumerated() {
      let (means, deviations) = (output.value["mean"]?.arrayValue ?? [], output.value["deviation"]?.arrayValue ?? [])
      try #require(means.count == sums[index].first.count && means.count == deviations.count && !means.isEmpty)
      for place in means.indices {
        let (mean, deviation) = (try #require(means[place].doubleValue), try #require(deviations[place].doubleValue))
        let own = sums[index].first[place] / samples
        let spread = max(0, sums[index].second[place] / samples - own * own).squareRoot()
        // Six deviations of the difference of two such means, and the five digits that are written.
        let slack = 6 * deviation * (1 / samples + 1 / 20000).squareRoot() + 5e-5 * abs(mean) + 1e-5
        #expect(abs(own - mean) <= slack, "\(output.key)[\(place)]: mean \(own), Keras's \(mean) ± \(slack)")
        #expect(abs(spread - deviation) <= 0.08 * deviation + 1e-4, "\(output.key)[\(place)]: deviation \(spread), Keras's \(deviation)")
      }
    }
  }
}
