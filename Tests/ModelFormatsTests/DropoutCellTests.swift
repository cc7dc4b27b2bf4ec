import GraphModule
import Kiln
import TensorModule
import Testing
import Training

/// Recurrent layers written out step by step, as training has those with dropout inside.
@Suite struct DropoutCellTests {
  private static let folder = "\(FixtureCase.root)/fixtures/keras-3.15.1"

  /// At a rate of nearly nothing their steps are the op's own, forward and backward: GRU of both kinds, SimpleRNN, LSTM, backwards and masked.
  @Test(arguments: ["arch_gru_both_reset_after", "masking_any_length", "simple_rnn_any_length", "arch_stacked_bidirectional_lstm"])
  func stepsAreTheOps(_ name: String) throws {
    let imported = try TrainingParityTests.Imported("\(Self.folder)/\(name)/model.h5")
    var options = FineTuning.Options()
    options.loss = try LossConfiguration("mse")
    options.metrics = []
    options.optimizer = try OptimizerConfiguration("sgd")
    options.threads = 2
    let plain = try FineTuning(contentsOf: imported.path, options: options).trainer
    var model = plain.model
    var count = 0
    for index in model.graph.nodes.indices {
      guard var rnn = model.graph.nodes[index].op as? RNN else { continue }
      rnn.dropout = RNN.Dropout(input: 1e-9, recurrent: 1e-9, stream: 2 * count)
      model.graph.nodes[index].op = rnn
      count += 1
    }
    try #require(count > 0)
    let dropping = try Trainer(model, configuration: plain.configuration)
    let shape = [3] + model.graph.type(of: model.graph.inputs[0]).dims.dropFirst().map { $0.fixed ?? 5 }
    let numbers: [Float] = (0..<shape.reduce(1, *)).map { place in
      let step = (place * 7) % 11
      return step < 3 ? 0 : Float(step) / 6 - 0.8
    }
    let x = try Tensor(numbers, shape: shape)
    let graph = try model.graph.specialized(to: [shape])
    let target = try #require(graph.type(of: graph.outputs[0].value).shape)
    let batch = StepBatch(data: [x], targets: [try Tensor([Float](repeating: 0.3, count: target.reduce(1, *)), shape: target)], weights: [nil])
    for _ in 0..<3 {
      let (a, b) = (try plain.engine.train(batch, rate: 0.1).loss, try dropping.engine.train(batch, rate: 0.1).loss)
      #expect(abs(a - b) <= 2e-6 * max(a, 1e-3), "\(a), \(b)")
    }
    for (a, b) in zip(try plain.trainedVariables(), try dropping.trainedVariables()) {
      for (own, other) in zip(a.tensor.doubles, b.tensor.doubles) { #expect(abs(own - other) <= 2e-6, "\(a.name)") }
    }
  }
}
