import TensorModule

/// A model used as a layer: its graph is put in place of the call.
struct NestedModel: KerasModelContainer {
  let model: KerasModel

  init(_ model: KerasModel) { self.model = model }

  var children: [KerasLayer] { model.layers }
  var masking: MaskRule { .computed }

  /// The inner model's own inputs.
  var inputReaders: [InputReader] {
    model.inputs.leaves.compactMap { reference in
      let layer = model.layers.first { $0.name == reference.layer }
      return layer?.reader as? InputReader ?? (layer?.reader as? NestedModel)?.inputReaders.first
    }
  }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let masks = call.masks
    let inputs = zip(call.tensors, masks).map { KerasTensor($0.value, mask: $1) }
    return try call.builder.run(model, inputs)?.leaves ?? []
  }
}
