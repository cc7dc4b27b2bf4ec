import GraphModule
import TensorModule

/// What `--log-dir` writes, in the layout of Keras's `TensorBoard` callback: one run `train` and one `validation`, tags `epoch_loss`,
/// `epoch_accuracy`, …, so that the curves of both lie over each other.
package final class TrainingLog {
  private let folder: String
  private let restart: Int?
  private let training: EventFile
  private var validation: EventFile?

  /// - Parameters:
  ///   - epoch: the epoch that training goes on from, when it was resumed.
  /// - Throws: `KilnError` (`failed`) when the folder cannot be written.
  package init(folder: String, resumedAt epoch: Int? = nil) throws {
    (self.folder, restart) = (folder, epoch)
    training = try EventFile(folder: "\(folder)/train", restart: epoch)
  }

  /// The numbers of an epoch.
  package func epoch(_ report: EpochReport) throws {
    var values = report.training.map { (tag: "epoch_" + $0.name, value: $0.value) }
    values.append(("epoch_learning_rate", report.learningRate))
    if report.seconds > 0 { values.append(("epoch_samples_per_second", Double(report.sampleCount) / report.seconds)) }
    try training.scalars(values, step: report.epoch)
    guard !report.validation.isEmpty else { return }
    let file = try validation ?? EventFile(folder: "\(folder)/validation", restart: restart)
    validation = file
    try file.scalars(report.validation.map { ("epoch_" + $0.name, $0.value) }, step: report.epoch)
  }

  /// Histograms of weights or gradients, under `NAME/suffix`.
  package func histograms(_ tensors: [(name: String, tensor: Tensor)], suffix: String = "", epoch: Int) throws {
    for (name, tensor) in tensors where tensor.dtype.isFloat {
      try training.histogram(suffix.isEmpty ? name : "\(name)/\(suffix)", tensor, step: epoch)
    }
  }

  /// The graph of the model.
  package func graph(_ graph: Graph) throws { try training.graph(GraphDefinition.bytes(graph)) }

  /// Pictures that the model was wrong about.
  package func mispredictions(_ found: [Misprediction], epoch: Int) throws {
    let file = try validation ?? training
    var seen: [String: Int] = [:]
    for one in found {
      // A tag that comes again in later epochs becomes a slider there.
      let pair = "\(one.expected.replacing("/", with: "_")) taken for \(one.predicted.replacing("/", with: "_"))"
      let number = seen[pair, default: 0]
      seen[pair] = number + 1
      guard let layout = SampleStore.pictureLayout(one.picture.shape) else { continue }
      let png = try PNGWriter.encode(
        PNGWriter.samples(one.picture.floats, layout), height: layout.height, width: layout.width, channels: layout.channels)
      try file.picture(
        "mispredictions/\(pair)/\(number)", png: png, height: layout.height, width: layout.width,
        channels: layout.channels, step: epoch)
    }
  }
}
