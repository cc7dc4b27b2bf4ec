import GraphModule
import TensorModule

/// Keras `ReversibleEmbedding`: rows of a table by index, or with `reverse` the product with the table.
struct ReversibleEmbedding: KerasLayerReader {
  let embedding: Embedding
  let tiesWeights: Bool
  let cap: Double?
  /// What the way back is computed in, when it is not the layer's dtype.
  let reverseDType: DType?

  init(_ config: LayerConfig) {
    embedding = Embedding(config)
    tiesWeights = config.bool("tie_weights", true)
    cap = config.optionalDouble("logit_soft_cap")
    let name = config.json("reverse_dtype") == nil ? nil : config.string("reverse_dtype", "")
    reverseDType = name.flatMap { DType(name: $0) }
    if let name, reverseDType?.isFloat != true {
      config.unsupported("reverse_dtype \(KilnError.quoted(name))", nearest: "float16, bfloat16, float32, float64")
    }
  }

  private var reversedSlots: [WeightSlot] {
    tiesWeights ? [] : KerasQuantization.tableSlots(embedding.quantization, reversed: true)
  }
  var weights: [WeightSlot] { embedding.weights + reversedSlots }
  var objects: [VariableObject] { [VariableObject("", slots: (embedding.tableSlots + reversedSlots).map(\.name))] }
  var masking: MaskRule { .computed }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    guard call.flag("reverse") else { return try embedding.call(call) }
    let x = try call.floatInput()
    var logits: ValueID
    if let quantization = embedding.quantization {
      logits = try quantized(call, x, quantization)
    } else {
      let table =
        tiesWeights ? try embedding.table(call) : try call.weight("reverse_embeddings", [embedding.columns, embedding.rows])
      let operands = try [x, table].map { try rounded(call, $0) }
      logits = try rounded(call, try call.add(MatMul(transposeB: tiesWeights), operands, "matmul"))
    }
    guard let cap else { return [KerasTensor(logits)] }
    guard cap != 0 else { throw KilnError(.badInput, "logit_soft_cap is 0") }
    logits = try call.unary(.tanh, try call.unary(.affine, [1 / cap, 0], logits))
    return [KerasTensor(try call.unary(.affine, [cap, 0], logits))]
  }

  /// The value as `reverse_dtype` has it. Products of half precision are summed in the layer's dtype.
  private func rounded(_ call: LayerCall, _ value: ValueID) throws -> ValueID {
    guard let reverseDType else { return value }
    if reverseDType == .float64 { return try call.cast(value, to: .float64) }
    return reverseDType == .float32 ? value : try call.cast(try call.cast(value, to: reverseDType), to: call.dtype)
  }

  private func quantized(_ call: LayerCall, _ x: ValueID, _ q: KerasQuantization) throws -> ValueID {
    let (rows, columns) = (embedding.rows, embedding.columns)
    let (values, inputScale) =
      q.quantizesInputs(byDefault: true)
      ? try call.quantizedInput(x, axes: [call.type(x).rank - 1], q) : (x, try call.scalar(1, call.dtype))
    if q.mode == .int4, let block = q.blockSize {
      guard !tiesWeights else {
        let product = try call.add(MatMul(transposeB: true), [values, try embedding.table(call)], "matmul")
        return try call.binary(.div, product, inputScale)
      }
      let count = (columns + block - 1) / block
      let table = try call.madeWeight("reverse_embeddings", [columns, rows]) {
        let packed = try call.storedTensor("reverse_embeddings", [(columns + 1) / 2, rows], .int8)
        return QuantizedWeights.ungrouped(
          QuantizedWeights.unpackedRows(packed, rows: columns, columns: rows, signed: true), columns: rows,
          scale: try QuantizedWeights.floats(try call.storedTensor("reverse_embeddings_scale", [count, rows])),
          zero: try QuantizedWeights.floats(try call.storedTensor("reverse_embeddings_zero", [count, rows])),
          groups: try QuantizedWeights.groups(try call.storedTensor("g_idx", [columns]), count: count))
      }
      return try call.binary(.div, try call.add(MatMul(), [values, table], "matmul"), inputScale)
    }
    let name = tiesWeights ? "embeddings" : "reverse_embeddings"
    let shape = tiesWeights ? [rows, columns] : [columns, rows]
    let table = try call.madeWeight("\(name)/integers", shape) {
      if q.mode == .int8 { return try QuantizedWeights.floats(try call.storedTensor(name, shape, .int8)) }
      if tiesWeights {
        let packed = try call.storedTensor(name, [rows, (columns + 1) / 2], .int8)
        return QuantizedWeights.unpackedColumns(packed, rows: rows, columns: columns, signed: true)
      }
      let packed = try call.storedTensor(name, [(columns + 1) / 2, rows], .int8)
      return QuantizedWeights.unpackedRows(packed, rows: columns, columns: rows, signed: true)
    }
    let scale = try call.madeWeight("\(name)_scale", [rows]) {
      try QuantizedWeights.floats(try call.storedTensor("\(name)_scale", [rows]))
    }
    let product = try call.add(MatMul(transposeB: tiesWeights), [values, table], "matmul")
    return try call.binary(.div, product, try call.binary(.mul, inputScale, scale))
  }
}
