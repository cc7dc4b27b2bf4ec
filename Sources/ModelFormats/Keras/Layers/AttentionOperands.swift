import GraphModule
import TensorModule

/// The query, value and key of a call of an attention layer with projections: as Keras passed them, with their masks, and
/// under the dtype that the layer computes in. Without a key the value stands for it.
struct AttentionOperands {
  let queryTensor: KerasTensor
  let valueTensor: KerasTensor
  let keyTensor: KerasTensor?
  let query: ValueID
  let value: ValueID
  let key: ValueID

  /// - Throws: `KilnError` (`badInput`) when the query or the value is missing.
  init(_ call: LayerCall) throws {
    guard let queryTensor = call.operand(0, "query"), let valueTensor = call.operand(1, "value") else {
      throw KilnError(.badInput, "needs a query and a value")
    }
    self.queryTensor = queryTensor
    self.valueTensor = valueTensor
    keyTensor = call.operand(2, "key")
    query = try call.cast(queryTensor.value, to: call.dtype)
    value = try call.cast(valueTensor.value, to: call.dtype)
    key = try keyTensor.map { try call.cast($0.value, to: call.dtype) } ?? value
  }

  /// The weights in Keras's order: kernel and bias of each projection.
  static func weights(_ quantization: KerasQuantization?, usesGate: Bool, usesBias: Bool) -> [WeightSlot] {
    projections(usesGate).flatMap { KerasQuantization.slots(quantization, "\($0.slot)/", usesBias: usesBias) }
  }

  /// Each projection is an object of its own.
  static func objects(_ quantization: KerasQuantization?, usesGate: Bool, usesBias: Bool) -> [VariableObject] {
    projections(usesGate).map { slot, attribute in
      // MultiHeadAttention has no property for the gate's.
      VariableObject(
        slot == "gate" ? "_gate_dense" : "\(attribute)_dense", slot == "gate" ? "gate_dense" : "_\(attribute)_dense",
        slots: KerasQuantization.slots(quantization, "\(slot)/", usesBias: usesBias).map(\.name))
    }
  }

  private static func projections(_ usesGate: Bool) -> [(slot: String, attribute: String)] {
    [("query", "query"), ("key", "key")] + (usesGate ? [("gate", "gate")] : [])
      + [("value", "value"), ("attention_output", "output")]
  }
}
