import GraphModule
import TensorModule
import Training

extension FineTuning {
  /// What the model takes and is taught, so that data can be brought to it.
  public var form: DataForm {
    let model = trainer.model
    func dims(_ id: ValueID) -> [Int?] { model.graph.type(of: id).dims.dropFirst().map(\.fixed) }
    let inputs = model.graph.inputs.map { DataForm.Input(model.graph[$0].name, dtype: model.graph.type(of: $0).dtype, dims: dims($0)) }
    let targets = model.outputs.enumerated().compactMap { index, name -> DataForm.Target? in
      guard let loss = trainer.configuration.losses[index] else { return nil }
      let dims = dims(model.graph.outputs[index].value)
      return DataForm.Target(name, dims: dims, labels: DataForm.Labels(loss: loss.function, dims: dims), ignoredLabel: loss.options["ignore_class"].flatMap { Int(exactly: $0) })
    }
    return DataForm(inputs: inputs, targets: targets, classNames: classNames)
  }
}
