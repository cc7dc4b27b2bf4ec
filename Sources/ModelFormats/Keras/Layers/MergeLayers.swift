import GraphModule
import TensorModule

/// Keras's elementwise merges. Inputs of lower rank get axes of length 1 after the batch.
struct Merge: KerasLayerReader {
  enum Kind { case add, subtract, multiply, average, maximum, minimum }

  let kind: Kind

  init(_ config: LayerConfig, _ kind: Kind) { self.kind = kind }

  var masking: MaskRule { .computed }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    var inputs = try call.inputs()
    guard kind != .subtract || inputs.count == 2, let first = inputs.first else {
      throw KilnError(.badInput, "takes \(kind == .subtract ? "2 inputs" : "1 input or more"), found \(inputs.count)")
    }
    let dtypes = Set(inputs.map { call.type($0).dtype })
    if dtypes.count > 1 || kind == .average { inputs = try inputs.map { try call.cast($0, to: call.dtype) } }
    let rank = inputs.map { call.type($0).rank }.max() ?? call.type(first).rank
    inputs = try inputs.map { value in
      let dims = call.type(value).dims
      let missing = rank - dims.count
      return missing == 0
        ? value : try call.reshape(value, dims.prefix(1) + [Dim](repeating: 1, count: missing) + dims.dropFirst())
    }
    let function: ScalarFunction =
      switch kind {
      case .add, .average: .add
      case .subtract: .sub
      case .multiply: .mul
      case .maximum: .max
      case .minimum: .min
      }
    guard var result = inputs.first else { throw KilnError(.badInput, "is called without a tensor") }
    let masks = call.masks
    if hidesMasked(call.dialect), masks.contains(where: { $0 != nil }), masks.count == inputs.count {
      result = try kind == .multiply ? maskedProduct(call, inputs, masks) : maskedExtreme(call, function, inputs, masks)
    } else {
      for input in inputs.dropFirst() {
        result = try function == .add ? call.kerasAdd(result, input) : call.binary(function, result, input)
      }
    }
    if kind == .average { result = try call.unary(.affine, [1 / Double(inputs.count), 0], result) }
    return [KerasTensor(result, mask: try mask(call))]
  }

  /// Since Keras 3.4: any mask that is set, and none as soon as one input has none. Before: all masks that there are.
  private func mask(_ call: LayerCall) throws -> ValueID? {
    let masks = call.masks
    let given = masks.compactMap { $0 }
    let joins = call.dialect.isKeras3 && !call.dialect.isBefore(3, 4)
    guard var result = given.first, !joins || given.count == masks.count else { return nil }
    for mask in given.dropFirst() { result = try call.binary(joins ? .or : .and, result, mask) }
    return result
  }

  /// Since Keras 3.4 these merges leave out what is masked.
  private func hidesMasked(_ dialect: KerasDialect) -> Bool {
    dialect.isKeras3 && !dialect.isBefore(3, 4) && [.multiply, .maximum, .minimum].contains(kind)
  }

  /// The product with 1 for what is masked; 0 where all inputs are.
  private func maskedProduct(_ call: LayerCall, _ inputs: [ValueID], _ masks: [ValueID?]) throws -> ValueID {
    var result: ValueID?
    var anyMask: ValueID?
    for (input, mask) in zip(inputs, masks) {
      var x = input
      if let mask {
        let kept = try call.expand(mask, axis: -1)
        x = try call.add(Elementwise(.select), [kept, x, try call.scalar(1, call.type(x).dtype)], "kept")
        anyMask = try anyMask.map { try call.binary(.or, $0, kept) } ?? kept
      }
      result = try result.map { try call.binary(.mul, $0, x) } ?? x
    }
    guard let result else { throw KilnError(.badInput, "is called without a tensor") }
    guard let anyMask, masks.allSatisfy({ $0 != nil }) else { return result }
    return try call.add(
      Elementwise(.select), [anyMask, result, try call.scalar(0, call.type(result).dtype)], "unmasked")
  }

  /// Maximum or minimum in which a masked element takes the other side's value.
  private func maskedExtreme(
    _ call: LayerCall, _ function: ScalarFunction, _ inputs: [ValueID], _ masks: [ValueID?]
  ) throws -> ValueID {
    guard var result = inputs.first else { throw KilnError(.badInput, "is called without a tensor") }
    var resultMask = try (masks.first ?? nil).map { try call.expand($0, axis: -1) }
    for (input, inputMask) in zip(inputs, masks).dropFirst() {
      var x = input
      let mask = try inputMask.map { try call.expand($0, axis: -1) }
      if let mask { x = try call.add(Elementwise(.select), [mask, x, result], "kept") }
      if let resultMask { result = try call.add(Elementwise(.select), [resultMask, result, x], "kept") }
      if let first = resultMask, let second = mask {
        resultMask = try call.binary(.or, first, second)
      } else {
        resultMask = nil
      }
      result = try call.binary(function, result, x)
    }
    return result
  }
}

/// Keras `Concatenate`.
struct Concatenate: KerasLayerReader {
  let axis: Int

  init(_ config: LayerConfig) { axis = config.int("axis", -1, in: -maximumRank...maximumRank) }

  var masking: MaskRule { .computed }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    var inputs = try call.inputs()
    if Set(inputs.map { call.type($0).dtype }).count > 1 {
      inputs = try inputs.map { try call.cast($0, to: call.dtype) }
    }
    guard let first = inputs.first, let positive = call.type(first).axis(axis) else {
      throw KilnError(.badInput, "axis \(axis) does not fit its inputs")
    }
    let result = try call.add(Concat(axis: positive), inputs, "concat")
    return [KerasTensor(result, mask: try mask(call, inputs, positive))]
  }

  /// The masks joined as the values are: all features of a step must be set (Keras 3: any).
  private func mask(_ call: LayerCall, _ inputs: [ValueID], _ axis: Int) throws -> ValueID? {
    let masks = call.masks
    guard masks.contains(where: { $0 != nil }), masks.count == inputs.count else { return nil }
    let whole = try zip(inputs, masks).map { input, mask -> ValueID in
      let dims = call.type(input).dims
      guard let mask else {
        let yes = call.constant(try Tensor([true], shape: []), "unmasked")
        return try call.add(BroadcastTo(dims), [yes], "mask_part")
      }
      let expanded = call.type(mask).rank < dims.count ? try call.expand(mask, axis: -1) : mask
      return try call.add(BroadcastTo(dims), [expanded], "mask_part")
    }
    let joined = try call.add(Concat(axis: axis), whole, "masks")
    return try call.add(
      Reduce(call.dialect.isKeras3 ? .any : .all, axes: [call.type(joined).rank - 1]), [joined], "mask")
  }
}

/// Keras `Dot`: the product over one axis of each of two inputs, sample by sample.
struct Dot: KerasLayerReader {
  let axes: [Int]
  let normalizes: Bool

  init(_ config: LayerConfig) {
    axes = config.intList("axes") ?? [-1]
    normalizes = config.bool("normalize", false)
    if axes.count > 2 || axes.isEmpty { config.malformed("axes \(axes) must be one or two axes") }
  }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    var inputs = try call.inputs()
    inputs = try inputs.map { try call.cast($0, to: call.dtype) }
    guard inputs.count == 2, let a = axes.first, let b = axes.last else {
      throw KilnError(.badInput, "takes 2 inputs, found \(inputs.count)")
    }
    var (x, y) = (inputs[0], inputs[1])
    guard let xAxis = call.type(x).axis(a), let yAxis = call.type(y).axis(b), xAxis > 0, yAxis > 0 else {
      throw KilnError(.badInput, "axes \(axes) do not fit \(call.type(x).message) and \(call.type(y).message)")
    }
    if normalizes { (x, y) = (try normalized(call, x, xAxis), try normalized(call, y, yAxis)) }
    let (xDims, yDims) = (call.type(x).dims, call.type(y).dims)
    // x: [batch, kept…, axis], y: [batch, axis, kept…].
    let xKept = xDims.indices.dropFirst().filter { $0 != xAxis }
    let yKept = yDims.indices.dropFirst().filter { $0 != yAxis }
    x = try call.transpose(x, [0] + xKept + [xAxis])
    y = try call.transpose(y, [0, yAxis] + yKept)
    let (rows, columns) = (xKept.map { xDims[$0] }, yKept.map { yDims[$0] })
    x = try call.reshape(x, [xDims[0], rows.reduce(1, *), xDims[xAxis]])
    y = try call.reshape(y, [yDims[0], yDims[yAxis], columns.reduce(1, *)])
    let product = try call.add(MatMul(), [x, y], "matmul")
    var dims = [xDims[0]] + rows + columns
    if dims.count == 1 { dims.append(1) }
    return [KerasTensor(try call.reshape(product, dims))]
  }

  /// x / √max(Σ x², 1e-12).
  private func normalized(_ call: LayerCall, _ x: ValueID, _ axis: Int) throws -> ValueID {
    let sum = try call.add(Reduce(.sum, axes: [axis], keepDims: true), [try call.unary(.square, x)], "norm")
    let bound = try call.binary(.max, sum, try call.scalar(1e-12, call.type(x).dtype))
    return try call.binary(.mul, x, try call.unary(.rsqrt, bound))
  }
}
