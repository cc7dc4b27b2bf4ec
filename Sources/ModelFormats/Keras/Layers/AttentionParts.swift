import GraphModule
import TensorModule

extension LayerCall {
  /// A boolean argument: positional constants do not occur in files.
  func flag(_ key: String) -> Bool { keyword(key)?.constant?.boolValue ?? false }

  /// The tensor of an argument by position or keyword.
  func operand(_ position: Int, _ key: String) -> KerasTensor? {
    if let given = keyword(key)?.leaves.first { return given }
    let flat = arguments.count == 1 ? arguments.first.map { Array($0.leaves) } ?? [] : arguments.compactMap { $0.leaves.first }
    return flat.indices.contains(position) ? flat[position] : nil
  }

  /// The mask of an argument: the keyword, or what is attached to it.
  func mask(of tensor: KerasTensor?, _ key: String) -> ValueID? { keyword(key)?.leaves.first?.value ?? tensor?.mask }

  /// 1, 2, … length as floats: [length].
  private func ranks(_ length: Dim) throws -> ValueID {
    if let count = length.fixed, count <= 1 << 20 {
      return constant(try Tensor(converting: (0..<count).map { Double($0 + 1) }, to: .float32, shape: [count]), "ranks")
    }
    let ones = try add(BroadcastTo([length]), [try scalar(1, .float32)], "ones")
    return try add(Cumulative(.sum, axis: 0), [ones], "ranks")
  }

  /// [rows, columns]: row ≥ column.
  func causalMask(_ rows: Dim, _ columns: Dim) throws -> ValueID {
    try binary(.greaterEqual, try reshape(try ranks(rows), [rows, 1]), try ranks(columns))
  }

  /// [rows, columns]: |row − column| < window.
  func bandMask(_ rows: Dim, _ columns: Dim, window: Int) throws -> ValueID {
    let distance = try binary(.sub, try reshape(try ranks(rows), [rows, 1]), try ranks(columns))
    return try binary(.less, try unary(.abs, distance), try scalar(Double(window), .float32))
  }

  /// Both masks, or the one there is.
  func both(_ left: ValueID?, _ right: ValueID?) throws -> ValueID? {
    guard let left else { return right }
    guard let right else { return left }
    return try binary(.and, left, right)
  }

  /// The mask of the scores of multi-head attention: masks of query, key and value, the given one, causal, band. Its dims
  /// broadcast to [batch, rows, columns].
  func attentionMask(rows: Dim, columns: Dim, window: Int?, readsMasks: Bool, query: KerasTensor, value: KerasTensor, key: KerasTensor?)
    throws -> ValueID?
  {
    var mask: ValueID?
    if readsMasks {
      if let found = self.mask(of: query, "query_mask") { mask = try expand(try truth(found), axis: -1) }
      if let found = self.mask(of: value, "value_mask") { mask = try both(mask, try expand(try truth(found), axis: -2)) }
      if let found = self.mask(of: key, "key_mask") { mask = try both(mask, try expand(try truth(found), axis: -2)) }
    }
    if flag("use_causal_mask") { mask = try both(mask, try causalMask(rows, columns)) }
    if let window { mask = try both(mask, try bandMask(rows, columns, window: window)) }
    if let given = keyword("attention_mask")?.leaves.first { mask = try both(mask, try truth(given.value)) }
    return mask
  }

  /// Whether this Keras's `Softmax` makes zeros of what a mask leaves out.
  var softmaxZeroes: Bool { dialect.isKeras3 && !dialect.isBefore(3, 10) }

  /// Softmax over the last axis of the scores; positions outside the mask get nothing.
  ///
  /// - Parameter zeroes: whether a row without any position becomes zeros; else it is uniform.
  func maskedSoftmax(_ scores: ValueID, _ mask: ValueID?, zeroes: Bool) throws -> ValueID {
    let dtype = type(scores).dtype
    guard let mask else { return try add(Softmax(axis: -1), [scores], "softmax") }
    if zeroes, !dialect.hasVersion {
      builder.diagnostics.warn(layer.path, "the file does not say its version: a row that the mask leaves out becomes zeros, as in Keras 3.10 and later")
    }
    let bounded = try add(Elementwise(.select), [mask, scores, try scalar(-1e9, dtype)], "masked")
    let result = try add(Softmax(axis: -1), [bounded], "softmax")
    return zeroes ? try add(Elementwise(.select), [mask, result, try scalar(0, dtype)], "kept") : result
  }

  /// x · kernel + bias for a kernel [in…, out…]: its axes made one, [in, out].
  func projection(_ x: ValueID, _ slot: String, inner: Shape, outer: Shape, usesBias: Bool, _ activation: Activation = .identity) throws
    -> ValueID
  {
    guard let rows = checkedProduct(inner), let columns = checkedProduct(outer) else {
      throw KilnError(.badInput, "a kernel of \(inner.shapeText) times \(outer.shapeText)")
    }
    let kept = type(x).dims.dropLast(inner.count)
    let flat = try reshape(x, kept + [Dim(rows)])
    if let quantization = layer.config.quantization {
      // A projection is an EinsumDense; its scale has the axes of its result.
      let scaleShape = [Int](repeating: 1, count: kept.count) + outer
      var product = try quantizedProduct(
        flat, quantization, "\(slot)/", shape: inner + outer, rows: rows, columns: columns, scaleShape: scaleShape,
        bias: usesBias ? outer : nil)
      if activation != .identity { product = try add(Elementwise(activation.function, activation.parameters), [product], slot) }
      return try reshape(product, kept + outer.map { Dim($0) })
    }
    let kernel = try weight("\(slot)/kernel", inner + outer) { $0.reshaped([rows, columns]) }
    let split = kept + outer.map { Dim($0) }
    if usesBias, biasAxis(of: Array(split), adding: outer.map { Dim($0) }) != nil {
      let product = try reshape(try add(MatMul(epilogue: Epilogue(activation: .identity)), [flat, kernel], slot), Array(split))
      let sum = try kerasAdd(product, try weight("\(slot)/bias", outer))
      return activation == .identity ? sum : try unary(activation.function, activation.parameters, sum)
    }
    let bias = usesBias ? [try weight("\(slot)/bias", outer) { $0.reshaped([columns]) }] : []
    let product = try add(
      MatMul(epilogue: Epilogue(bias: usesBias, activation: activation)), [flat, kernel] + bias, slot)
    return try reshape(product, Array(split))
  }
}
