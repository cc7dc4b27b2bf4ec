import CommandSupport
import Kiln
import Synchronization

/// Runs all samples through a model, some at a time.
struct Batches {
  private let model: Model
  private let samples: Samples
  private let size: Int
  private let resetsStates: Bool

  /// Samples that run at once when nobody says otherwise: enough to keep the kernels busy, few enough to stay in memory.
  private static let defaultSize = 32

  /// - Parameter size: nil for the default. A model with inputs or outputs that do not count samples runs all at once.
  /// - Parameter resetsStates: a stateful model begins each batch afresh.
  init(model: Model, samples: Samples, size: Int?, resetsStates: Bool = false) throws {
    self.model = model
    self.samples = samples
    self.resetsStates = resetsStates
    if let batch = model.stateBatch {
      guard size ?? batch == batch else {
        throw KilnError(.usage, "--batch-size: the model is stateful and takes \(batch) samples at once")
      }
      self.size = batch
      return
    }
    guard model.isBatched else {
      if size != nil { throw KilnError(.usage, "--batch-size: the model's inputs and outputs do not all count samples") }
      self.size = samples.count
      return
    }
    self.size = size ?? Batches.defaultSize
  }

  /// How many batches there are.
  var count: Int { size > 0 ? (samples.count + size - 1) / size : 1 }

  func predict() throws -> Prediction {
    let bar = Mutex(ProgressBar(total: samples.count, unit: "samples"))
    let parts: [[Tensor]]
    if model.isStateful {
      var state = model.initialState
      parts = try (0..<max(1, count)).map { index in
        if resetsStates { state = model.initialState }
        return try predict(index, &state, bar)
      }
    } else {
      parts = try model.inLanes(max(1, count)) { index in
        var state = model.initialState
        return try predict(index, &state, bar)
      }
    }
    ProgressBar.clear()
    let outputs = try model.outputs.indices.map { index in
      (model.outputs[index].name, try Tensor.joined(parts.map { $0[index] }))
    }
    return Prediction(sampleNames: samples.names, outputs: outputs)
  }

  private func predict(_ index: Int, _ state: inout ModelState, _ bar: borrowing Mutex<ProgressBar>) throws -> [Tensor] {
    let range = index * size..<min((index + 1) * size, samples.count)
    let outputs = try model.predict(try model.isBatched ? samples.batch(range) : samples.all(), state: &state)
    if model.isBatched, range.count < samples.count {
      for (output, tensor) in zip(model.outputs, outputs) where tensor.shape.first != range.count {
        throw KilnError(
          .failed, "output \(KilnError.quoted(output.name)) has the shape \(tensor.shape.shapeText) for \(range.count) samples",
          hint: "--batch-size \(samples.count) runs all at once")
      }
    }
    bar.withLock { $0.advance(by: range.count) }
    return outputs
  }
}
