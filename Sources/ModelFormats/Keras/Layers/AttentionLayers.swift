import GraphModule
import TensorModule

/// Keras `MultiHeadAttention`.
///
/// Scores are over `attention_axes` of query and value; every other axis is a batch axis.
struct MultiHeadAttention: KerasLayerReader {
  let heads: Int
  let keyWidth: Int
  let valueWidth: Int
  let usesBias: Bool
  let usesGate: Bool
  let outputShape: [Int]?
  let attentionAxes: [Int]?
  let window: Int?
  let dropout: Double
  let quantization: KerasQuantization?

  init(_ config: LayerConfig) {
    quantization = config.quantization
    heads = config.int("num_heads", in: 1...1 << 20)
    keyWidth = config.int("key_dim", in: 1...1 << 24)
    valueWidth = config.int("value_dim", keyWidth, in: 1...1 << 24)
    usesBias = config.bool("use_bias", true)
    usesGate = config.bool("use_gate", false)
    outputShape = config.intList("output_shape").flatMap { $0.isEmpty ? nil : $0 }
    attentionAxes = config.intList("attention_axes").flatMap { $0.isEmpty ? nil : $0 }
    window = config.json("sliding_window") == nil ? nil : config.int("sliding_window")
    dropout = config.double("dropout", 0)
    if outputShape?.contains(where: { $0 < 1 }) == true { config.malformed("output_shape must be lengths from 1") }
    config.ignore("query_shape", "key_shape", "value_shape", "softmax_robust_masking", "flash_attention", "is_quantized")
  }

  var weights: [WeightSlot] {
    AttentionOperands.weights(quantization, usesGate: usesGate, usesBias: usesBias)
  }
  var objects: [VariableObject] {
    AttentionOperands.objects(quantization, usesGate: usesGate, usesBias: usesBias)
  }
  var masking: MaskRule { .computed }
  var trainsDropout: Bool { true }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let operands = try AttentionOperands(call)
    let (query, value, key) = (operands.query, operands.value, operands.key)
    let rank = call.type(query).rank
    guard rank >= 3, rank <= maximumRank - 2, call.type(value).rank == rank, call.type(key).rank == rank else {
      throw KilnError(
        .badInput, "needs a query and a value of one rank from 3, found \(call.type(query).message) and \(call.type(value).message)")
    }
    let axes = try (attentionAxes ?? Array(1..<rank - 1)).map { axis -> Int in
      let positive = axis < 0 ? axis + rank : axis
      guard (1..<rank - 1).contains(positive) else { throw KilnError(.badInput, "attention_axes \(axis) does not fit rank \(rank)") }
      return positive
    }
    func project(_ x: ValueID, _ slot: String, _ width: Int, _ activation: Activation = .identity) throws -> ValueID {
      let features = try call.fixed(x, axis: -1)
      return try call.projection(x, slot, inner: [features], outer: [heads, width], usesBias: usesBias, activation)
    }
    let q = try call.unary(.affine, [1 / Double(keyWidth).squareRoot(), 0], try project(query, "query", keyWidth))
    let k = try project(key, "key", keyWidth)
    let v = try project(value, "value", valueWidth)
    // Labels: one for each axis of the query, others for the attention axes of the value, then head and feature.
    let names = Array("abcdefgh".prefix(rank - 1))
    let others = Array("ijklmnop".prefix(rank - 1))
    let source = names.indices.map { axes.contains($0) ? others[$0] : names[$0] }
    let batch = names.indices.filter { !axes.contains($0) }.map { names[$0] } + ["x"]
    let scoreLabels = batch + axes.map { names[$0] } + axes.map { others[$0] }
    var scores = try call.einsum(
      EinsumEquation(left: names + ["x", "y"], right: source + ["x", "y"], result: scoreLabels), q, k, "scores")
    // Before 2.10 the layer neither reads nor passes masks.
    let readsMasks = call.dialect.isKeras3 || !call.dialect.isBefore(2, 10)
    let mask = try call.attentionMask(
      rows: call.type(query).dims[1], columns: call.type(value).dims[1], window: window, readsMasks: readsMasks, query: operands.queryTensor, value: operands.valueTensor, key: operands.keyTensor)
    let wantsScores = call.flag("return_attention_scores")
    let zeroes = call.softmaxZeroes && (dropout > 0 || wantsScores || rank != 3)
    let scoreDims = call.type(scores).dims
    let spread = try mask.map { try expanded(call, $0, rank: scoreDims.count, axisCount: axes.count) }
    if axes.count == 1 {
      scores = try call.maskedSoftmax(scores, spread, zeroes: zeroes)
    } else {
      // Softmax over several axes is softmax over them made one.
      let inner = scoreDims.suffix(axes.count).reduce(1, *)
      let outer = Array(scoreDims.dropLast(axes.count))
      let flatMask = try spread.map { value in
        try call.reshape(try call.add(BroadcastTo(scoreDims), [value], "mask"), outer + [inner])
      }
      scores = try call.reshape(try call.maskedSoftmax(try call.reshape(scores, outer + [inner]), flatMask, zeroes: zeroes), scoreDims)
    }
    var context = try call.einsum(
      EinsumEquation(left: scoreLabels, right: source + ["x", "z"], result: names + ["x", "z"]), try call.dropout(scores, dropout), v, "context")
    if usesGate { context = try call.binary(.mul, context, try project(query, "gate", valueWidth, Activation(.sigmoid))) }
    let outer = try outputShape ?? [call.fixed(query, axis: -1)]
    let output = try call.projection(context, "attention_output", inner: [heads, valueWidth], outer: outer, usesBias: usesBias)
    let passed = KerasTensor(output, mask: readsMasks ? call.mask(of: operands.queryTensor, "query_mask") : nil)
    return wantsScores ? [passed, KerasTensor(scores)] : [passed]
  }

  /// The mask with axes of length 1 for the heads, put in where Keras does.
  private func expanded(_ call: LayerCall, _ mask: ValueID, rank: Int, axisCount: Int) throws -> ValueID {
    var result = mask
    while call.type(result).rank < rank {
      let place = call.type(result).rank - 2 * axisCount
      guard place >= 0 else {
        throw KilnError(.unsupportedModel, "a mask \(call.type(mask).message) for attention over \(axisCount) axes is not supported")
      }
      result = try call.expand(result, axis: place)
    }
    return result
  }
}

/// Keras `GroupQueryAttention`: several query heads to each head of keys and values.
struct GroupQueryAttention: KerasLayerReader {
  let width: Int
  let queryHeads: Int
  let valueHeads: Int
  let usesBias: Bool
  let usesGate: Bool
  let window: Int?
  let dropout: Double
  let quantization: KerasQuantization?

  init(_ config: LayerConfig) {
    quantization = config.quantization
    width = config.int("head_dim", in: 1...1 << 24)
    queryHeads = config.int("num_query_heads", in: 1...1 << 20)
    valueHeads = config.int("num_key_value_heads", in: 1...1 << 20)
    usesBias = config.bool("use_bias", true)
    usesGate = config.bool("use_gate", false)
    window = config.json("sliding_window") == nil ? nil : config.int("sliding_window")
    dropout = config.double("dropout", 0)
    config.ignore("flash_attention")
    if queryHeads % valueHeads != 0 { config.malformed("num_query_heads must be a multiple of num_key_value_heads") }
  }

  var weights: [WeightSlot] {
    AttentionOperands.weights(quantization, usesGate: usesGate, usesBias: usesBias)
  }
  var objects: [VariableObject] {
    AttentionOperands.objects(quantization, usesGate: usesGate, usesBias: usesBias)
  }
  var masking: MaskRule { .computed }
  var trainsDropout: Bool { true }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let operands = try AttentionOperands(call)
    let (query, value, key) = (operands.query, operands.value, operands.key)
    guard [query, key, value].allSatisfy({ call.type($0).rank == 3 }), queryHeads % valueHeads == 0 else {
      throw KilnError(.badInput, "needs inputs of rank 3, found \(call.type(query).message) and \(call.type(value).message)")
    }
    func project(_ x: ValueID, _ slot: String, _ heads: Int, _ activation: Activation = .identity) throws -> ValueID {
      try call.projection(
        x, slot, inner: [try call.fixed(x, axis: -1)], outer: [heads, width], usesBias: usesBias, activation)
    }
    let (batch, rows) = (call.type(query).dims[0], call.type(query).dims[1])
    let columns = call.type(value).dims[1]
    let (groups, shared) = (Dim(valueHeads), Dim(queryHeads / valueHeads))
    let q = try call.unary(.affine, [1 / Double(width).squareRoot(), 0], try project(query, "query", queryHeads))
    // The query heads of a group become rows of one product: [batch, groups, shared · rows, width].
    let split = try call.reshape(q, [batch, rows, groups, shared, Dim(width)])
    let merged = try call.reshape(try call.transpose(split, [0, 2, 3, 1, 4]), [batch, groups, shared * rows, Dim(width)])
    let k = try call.transpose(try project(key, "key", valueHeads), [0, 2, 3, 1])
    let v = try call.transpose(try project(value, "value", valueHeads), [0, 2, 1, 3])
    var scores = try call.add(MatMul(), [merged, k], "scores")
    scores = try call.reshape(scores, [batch, Dim(queryHeads), rows, columns])
    let mask = try call.attentionMask(
      rows: rows, columns: columns, window: window, readsMasks: true, query: operands.queryTensor, value: operands.valueTensor, key: operands.keyTensor)
    let wantsScores = call.flag("return_attention_scores")
    let spread = try mask.map { call.type($0).rank == 3 ? try call.expand($0, axis: 1) : $0 }
    scores = try call.maskedSoftmax(scores, spread, zeroes: call.softmaxZeroes && (dropout > 0 || wantsScores))
    let weighted = try call.reshape(try call.dropout(scores, dropout), [batch, groups, shared * rows, columns])
    var context = try call.add(MatMul(), [weighted, v], "context")
    context = try call.transpose(
      try call.reshape(context, [batch, groups, shared, rows, Dim(width)]), [0, 3, 1, 2, 4])
    context = try call.reshape(context, [batch, rows, Dim(queryHeads), Dim(width)])
    if usesGate { context = try call.binary(.mul, context, try project(query, "gate", queryHeads, Activation(.sigmoid))) }
    let output = try call.projection(
      context, "attention_output", inner: [queryHeads, width], outer: [try call.fixed(query, axis: -1)], usesBias: usesBias)
    let passed = KerasTensor(output, mask: call.mask(of: operands.queryTensor, "query_mask"))
    return wantsScores ? [passed, KerasTensor(scores)] : [passed]
  }
}

/// Keras `Attention` (scores by product, or by the sum's tanh with `score_mode` concat) and `AdditiveAttention`.
struct DotAttention: KerasLayerReader {
  enum Score: String, CaseIterable { case dot, concat }

  let isAdditive: Bool
  let score: Score
  let usesScale: Bool
  let isCausal: Bool
  let dropout: Double

  init(_ config: LayerConfig, additive: Bool) {
    isAdditive = additive
    usesScale = config.bool("use_scale", additive)
    score = additive ? .dot : config.choice("score_mode", .dot)
    isCausal = config.bool("causal", false)
    dropout = config.double("dropout", 0)
    config.ignore("score_mode")
  }

  var weights: [WeightSlot] {
    (usesScale ? [WeightSlot("scale")] : []) + (score == .concat ? [WeightSlot("concat_score_weight")] : [])
  }
  var masking: MaskRule { .computed }
  var trainsDropout: Bool { true }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let tensors = call.tensors
    guard (2...3).contains(tensors.count) else { throw KilnError(.badInput, "takes a query, a value and a key, found \(tensors.count) inputs") }
    let inputs = try tensors.map { try call.cast($0.value, to: call.dtype) }
    let (query, value, key) = (inputs[0], inputs[1], inputs.count > 2 ? inputs[2] : inputs[1])
    guard [query, value, key].allSatisfy({ call.type($0).rank == 3 }) else {
      throw KilnError(.badInput, "needs inputs of rank 3, found \(call.type(query).message) and \(call.type(value).message)")
    }
    var scores: ValueID
    if isAdditive || score == .concat {
      var sum = try call.binary(.add, try call.expand(query, axis: 2), try call.expand(key, axis: 1))
      if !isAdditive, usesScale { sum = try call.binary(.mul, try call.weight("scale", []), sum) }
      sum = try call.unary(.tanh, sum)
      if isAdditive, usesScale { sum = try call.binary(.mul, try call.weight("scale", [try call.fixed(query, axis: -1)]), sum) }
      scores = try call.add(Reduce(.sum, axes: [3], keepDims: false), [sum], "scores")
      if !isAdditive { scores = try call.binary(.mul, scores, try call.weight("concat_score_weight", [])) }
    } else {
      scores = try call.add(MatMul(transposeB: true), [query, key], "scores")
      if usesScale { scores = try call.binary(.mul, scores, try call.weight("scale", [])) }
    }
    let masks = call.masks
    let queryMask = masks.first ?? nil
    var mask: ValueID?
    if masks.count > 1, let found = masks[1] { mask = try call.expand(try call.truth(found), axis: 1) }
    if isCausal || call.flag("use_causal_mask") {
      mask = try call.both(mask, try call.causalMask(call.type(scores).dims[1], call.type(scores).dims[2]))
    }
    let weights = try call.dropout(try call.maskedSoftmax(scores, mask, zeroes: false), dropout)
    var result = try call.add(MatMul(), [weights, value], "attention")
    if let queryMask {
      let kept = try call.expand(try call.truth(queryMask), axis: -1)
      result = try call.add(Elementwise(.select), [kept, result, try call.scalar(0, call.dtype)], "kept")
    }
    let output = KerasTensor(result, mask: queryMask)
    return call.flag("return_attention_scores") ? [output, KerasTensor(weights)] : [output]
  }
}
