import GraphModule
import TensorModule

/// Keras `Dense`: activation(x · kernel + bias) over the last axis.
struct Dense: KerasLayerReader {
  let units: Int
  let activation: ActivationFunction
  let usesBias: Bool
  let quantization: KerasQuantization?
  let lora: LowRank?

  init(_ config: LayerConfig, _ models: KerasModelReader) {
    units = config.int("units")
    activation = .read(config, models)
    usesBias = config.bool("use_bias", true)
    quantization = config.quantization
    lora = LowRank(config)
  }

  private var own: [WeightSlot] { KerasQuantization.slots(quantization, usesBias: usesBias) }
  var weights: [WeightSlot] { lora?.weights(beside: own, of: "kernel") ?? own }
  var objects: [VariableObject] { [VariableObject("", slots: own.map(\.name))] }
  var masking: MaskRule { .passes }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = try call.floatInput()
    let shape = [try call.fixed(x, axis: -1), units]
    if let quantization {
      let product = try call.quantizedProduct(
        x, quantization, shape: shape, rows: shape[0], columns: units, scaleShape: [units], bias: usesBias ? [units] : nil)
      return [KerasTensor(try activation.apply(call, product))]
    }
    let kernel = try call.mergedWeight("kernel", shape, lora)
    let bias = usesBias ? [try call.weight("bias", [units])] : []
    let product = try call.add(MatMul(epilogue: Epilogue(bias: usesBias)), [x, kernel] + bias, "matmul")
    return [KerasTensor(try activation.apply(call, product))]
  }
}

/// Keras `Activation`.
struct ActivationLayer: KerasLayerReader {
  let activation: ActivationFunction

  init(_ config: LayerConfig, _ models: KerasModelReader) { activation = .read(config, models) }

  var masking: MaskRule { .passes }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    [KerasTensor(try activation.apply(call, activation.isIdentity ? try call.input() : try call.floatInput()))]
  }
}

/// Keras `Embedding`: rows of a table by index; with `mask_zero` index 0 is padding.
struct Embedding: KerasLayerReader {
  let rows: Int
  let columns: Int
  let masksZero: Bool
  let quantization: KerasQuantization?
  let lora: LowRank?

  init(_ config: LayerConfig) {
    quantization = config.quantization.flatMap { $0.mode == .int8 || $0.mode == .int4 ? $0 : nil }
    lora = LowRank(config)
    rows = config.int("input_dim")
    columns = config.int("output_dim")
    masksZero = config.bool("mask_zero", false)
    if config.bool("sparse", false) { config.unsupported("sparse: true") }
  }

  var tableSlots: [WeightSlot] { KerasQuantization.tableSlots(quantization) }
  var weights: [WeightSlot] { lora?.weights(beside: tableSlots, of: "embeddings") ?? tableSlots }
  var objects: [VariableObject] { [VariableObject("", slots: tableSlots.map(\.name))] }
  var masking: MaskRule { .computed }

  /// The table as floats.
  func table(_ call: LayerCall) throws -> ValueID {
    if let quantization { return try call.dequantizedTable(quantization, rows: rows, columns: columns) }
    return try call.mergedWeight("embeddings", [rows, columns], lora)
  }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    guard let ids = call.tensors.first?.value, call.tensors.count == 1 else {
      throw KilnError(.badInput, "takes one input, found \(call.tensors.count)")
    }
    let table = try table(call)
    let dtype = call.type(ids).dtype
    let indices = dtype == .int32 || dtype == .int64 ? ids : try call.cast(ids, to: .int32)
    let result = try call.add(Gather(axis: 0), [table, indices], "gather")
    let mask = masksZero ? try call.binary(.notEqual, ids, try call.scalar(0, dtype)) : nil
    return [KerasTensor(result, mask: mask)]
  }
}

/// Keras `Masking`: a step whose features all equal the mask value is padding, and becomes zeros.
struct Masking: KerasLayerReader {
  let value: Double

  init(_ config: LayerConfig) { value = config.double("mask_value", 0) }

  var masking: MaskRule { .computed }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = try call.input()
    let type = call.type(x)
    guard type.rank >= 2 else { throw KilnError(.badInput, "needs an input with features, found \(type.message)") }
    let differs = try call.binary(.notEqual, x, try call.scalar(value, type.dtype))
    let mask = try call.add(Reduce(.any, axes: [type.rank - 1], keepDims: false), [differs], "mask")
    let kept = try call.expand(mask, axis: -1)
    let result = try call.add(Elementwise(.select), [kept, x, try call.scalar(0, type.dtype)], "select")
    return [KerasTensor(result, mask: mask)]
  }
}

/// Layers that do nothing when predicting: dropout, noise, regularisation.
struct IdentityLayer: KerasLayerReader {
  let masking: MaskRule

  /// - Parameter masking: `Identity` of Keras 2 drops masks.
  init(_ config: LayerConfig, masking: MaskRule = .passes) {
    self.masking = masking
    config.ignore("rate", "noise_shape", "stddev", "l1", "l2", "data_format", "p", "sigma")
  }

  var isIdentity: Bool { true }

  func call(_ call: LayerCall) throws -> [KerasTensor] { [KerasTensor(try call.input())] }
}
