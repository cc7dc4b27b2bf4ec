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
  static func weights(usesGate: Bool, usesBias: Bool) -> [WeightSlot] {
    (["query", "key"] + (usesGate ? ["gate"] : []) + ["value", "attention_output"]).flatMap { slot in
      [WeightSlot("\(slot)/kernel")] + (usesBias ? [WeightSlot("\(slot)/bias")] : [])
    }
  }
}
