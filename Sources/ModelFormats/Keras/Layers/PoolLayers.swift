import GraphModule
import TensorModule

/// Keras `MaxPooling` and `AveragePooling` in 1 to 3 dimensions; averages leave padding out, but in Keras 2.0.4 to 2.1.4 on
/// Theano in 1 and 2 dimensions.
struct PoolLayer: KerasLayerReader {
  private enum PoolPadding: String, CaseIterable { case valid, same }

  let kind: Pool.Kind
  let rank: Int
  let window: [Int]
  let strides: [Int]
  let padding: Padding
  let format: DataFormat
  let countsPadding: Bool

  init(_ config: LayerConfig, _ kind: Pool.Kind, rank: Int) {
    let dialect = config.dialect
    countsPadding = kind == .average && rank < 3 && dialect.generation == .keras2 && dialect.backend == .theano
      && !dialect.isBefore(2, 0, 4) && dialect.isBefore(2, 1, 5)
    self.kind = kind
    self.rank = rank
    window = config.ints("pool_size", count: rank) ?? [Int](repeating: 2, count: rank)
    strides = config.ints("strides", count: rank) ?? window
    padding = config.choice("padding", PoolPadding.valid) == .same
      ? config.dialect.backend.samePoolPadding(window: window) : .valid
    format = config.choice("data_format", .channelsLast)
  }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = kind == .average ? try call.floatInput() : try call.input()
    guard call.type(x).rank == rank + 2 else {
      throw KilnError(.badInput, "needs an input of rank \(rank + 2), found \(call.type(x).message)")
    }
    var last = try call.channelsLast(x, format)
    var padding = padding
    if padding != .valid { try checkBackend(call, last) }
    if padding == .same { (last, padding) = try call.dialect.backend.centred(call, last, window: window, strides: strides) }
    let pooled = try call.add(
      Pool(kind, window: window, strides: strides, padding: padding, countsPadding: countsPadding), [last],
      "\(kind.rawValue)_pool")
    return [KerasTensor(try call.back(pooled, format))]
  }
}

extension PoolLayer {
  /// Throws where the file does not tell its backend and the backends pad to different ends.
  private func checkBackend(_ call: LayerCall, _ x: ValueID) throws {
    let backends = call.dialect.possibleBackends
    for axis in 0..<rank {
      let length = call.type(x).dims[axis + 1].fixed
      if !KerasBackend.agreeOnPooling(backends, window: window[axis], stride: strides[axis], length: length) {
        throw KilnError(
          .unsupportedModel,
          "padding 'same' of this pooling is another on each backend, and the file does not tell its own: give "
            + call.dialect.backendChoices)
      }
    }
  }
}

/// Keras `GlobalMaxPooling` and `GlobalAveragePooling` in 1 to 3 dimensions. The 1-D average leaves masked steps out.
struct GlobalPoolLayer: KerasLayerReader {
  let kind: Reduce.Kind
  let rank: Int
  let format: DataFormat
  let keepsDims: Bool

  init(_ config: LayerConfig, _ kind: Reduce.Kind, rank: Int) {
    self.kind = kind
    self.rank = rank
    format = config.choice("data_format", .channelsLast)
    keepsDims = config.bool("keepdims", false)
  }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = kind == .mean ? try call.floatInput() : try call.input()
    guard call.type(x).rank == rank + 2 else {
      throw KilnError(.badInput, "needs an input of rank \(rank + 2), found \(call.type(x).message)")
    }
    let first = format == .channelsLast ? 1 : 2
    let axes = Array(first..<first + rank)
    if kind == .mean, rank == 1, let mask = call.mask { return [KerasTensor(try maskedMean(call, x, mask, axes))] }
    return [KerasTensor(try call.add(Reduce(kind, axes: axes, keepDims: keepsDims), [x], kind.rawValue))]
  }

  /// Σ x over the steps inside the mask, over their number.
  private func maskedMean(_ call: LayerCall, _ x: ValueID, _ mask: ValueID, _ axes: [Int]) throws -> ValueID {
    let dtype = call.type(x).dtype
    let kept = try call.expand(mask, axis: format == .channelsLast ? 2 : 1)
    let inside = try call.add(Elementwise(.select), [kept, x, try call.scalar(0, dtype)], "inside")
    let sum = try call.add(Reduce(.sum, axes: axes, keepDims: keepsDims), [inside], "sum")
    let count = try call.add(Reduce(.sum, axes: axes, keepDims: keepsDims), [try call.cast(kept, to: dtype)], "count")
    return try call.binary(.div, sum, count)
  }
}
