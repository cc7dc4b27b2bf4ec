import GraphModule
import TensorModule

extension LayerCall {
  /// What is in the file for a slot, in the file's dtype.
  ///
  /// - Throws: `KilnError` (`badInput`) when its shape or dtype is another.
  func storedTensor(_ slot: String, _ shape: Shape, _ dtypes: DType...) throws -> Tensor {
    guard let stored = layer.stored[slot] else { throw KilnError(.badInput, "weight \(KilnError.quoted(slot)) is missing") }
    guard stored.shape == shape, dtypes.isEmpty || dtypes.contains(stored.dtype) else {
      let wanted = dtypes.map(\.name).joined(separator: " or ")
      throw KilnError(
        .badInput,
        "weight \(KilnError.quoted(slot)) must be \(wanted)\(shape.shapeText), found \(stored.dtype.name)\(stored.shape.shapeText) in \(KilnError.quoted(stored.path))"
      )
    }
    return try stored.load()
  }

  /// A constant of the compute dtype made from floats; one for each slot.
  func madeWeight(_ slot: String, _ shape: Shape, _ make: () throws -> [Float]) throws -> ValueID {
    if let made = layer.constants[slot] { return made }
    let values = try make()
    let tensor = try Tensor(dtype: .float32, shape: shape) { out in
      values.withUnsafeBytes { out.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0.prefix(out.count))) }
    }
    let id = builder.graph.addConstant("\(layer.path)/\(slot)", try tensor.converted(to: dtype))
    layer.constants[slot] = id
    return id
  }

  private func floats(_ slot: String, _ shape: Shape, _ dtypes: DType...) throws -> [Float] {
    try QuantizedWeights.floats(try storedTensor(slot, shape))
  }

  /// The values and scales of a quantized kernel that is a matrix [rows, columns].
  ///
  /// - Parameter original: the shape that int8 kernels keep.
  private func integers(_ q: KerasQuantization, _ prefix: String, rows: Int, columns: Int, original: Shape) throws -> [Float] {
    if q.mode == .int8 { return try QuantizedWeights.floats(try storedTensor("\(prefix)kernel", original, .int8)) }
    if q.packsRows {
      let packed = try storedTensor("\(prefix)kernel", [(rows + 1) / 2, columns], .int8)
      return QuantizedWeights.unpackedRows(packed, rows: rows, columns: columns, signed: true)
    }
    let packed = try storedTensor("\(prefix)kernel", [rows, (columns + 1) / 2], .int8)
    return QuantizedWeights.unpackedColumns(packed, rows: rows, columns: columns, signed: true)
  }

  /// The kernel that the weights stand for, as floats [rows, columns]; for the modes whose inputs stay as they are.
  ///
  /// - Parameter scaleShape: of an int8 kernel's scale.
  func dequantized(
    _ q: KerasQuantization, _ prefix: String, rows: Int, columns: Int, original: Shape, scaleShape: Shape
  ) throws -> [Float] {
    switch q.mode {
    case .int8, .int4:
      var values = try integers(q, prefix, rows: rows, columns: columns, original: original)
      if let block = q.blockSize, q.mode == .int4 {
        let count = (rows + block - 1) / block
        return QuantizedWeights.ungrouped(
          values, columns: columns, scale: try floats("\(prefix)kernel_scale", [count, columns]),
          zero: try floats("\(prefix)kernel_zero", [count, columns]),
          groups: try QuantizedWeights.groups(try storedTensor("\(prefix)g_idx", [rows]), count: count))
      }
      let scale = try floats("\(prefix)kernel_scale", q.mode == .int8 ? scaleShape : [columns])
      for row in 0..<rows { for column in 0..<columns { values[row * columns + column] /= scale[column] } }
      return values
    case .gptq, .awq:
      let isPacked = q.bits == 4
      let packed = try storedTensor("\(prefix)kernel", [isPacked ? (columns + 1) / 2 : columns, rows], .uint8)
      let turned =
        isPacked
        ? QuantizedWeights.unpackedRows(packed, rows: columns, columns: rows, signed: false) : try QuantizedWeights.floats(packed)
      let count = q.blockSize.map { (rows + $0 - 1) / $0 } ?? 1
      func byGroup(_ slot: String) throws -> [Float] {
        QuantizedWeights.transposed(try floats("\(prefix)\(slot)", [columns, count]), rows: columns, columns: count)
      }
      var values = QuantizedWeights.ungrouped(
        QuantizedWeights.transposed(turned, rows: columns, columns: rows), columns: columns, scale: try byGroup("kernel_scale"),
        zero: try byGroup("kernel_zero"),
        groups: try QuantizedWeights.groups(try storedTensor("\(prefix)g_idx", [rows]), count: count))
      if q.mode == .awq {
        let scales = try floats("\(prefix)awq_scales", [rows])
        for row in 0..<rows { for column in 0..<columns { values[row * columns + column] /= scales[row] } }
      }
      return values
    case .float8:
      let scale = try floats("\(prefix)kernel_scale", [])[0]
      for slot in ["inputs_amax_history", "kernel_amax_history", "outputs_grad_amax_history"] {
        _ = try storedTensor("\(prefix)\(slot)", [q.historyLength])
      }
      return try floats("\(prefix)kernel", original).map { QuantizedWeights.float8($0 / scale) * scale }
    }
  }

  // MARK: Activations

  /// The input as integers in a float, and their scale, which is 1 along `axes`: Keras's `abs_max_quantize`.
  func quantizedInput(_ x: ValueID, axes: [Int], _ q: KerasQuantization) throws -> (values: ValueID, scale: ValueID) {
    let largest = try add(Reduce(.max, axes: axes, keepDims: true), [try unary(.abs, x)], "largest")
    let bounded = try binary(.add, largest, try scalar(Double(Float(q.epsilon)), dtype))
    let scale = try binary(.div, try scalar(q.limits.upperBound, dtype), bounded)
    let rounded = try unary(.round, try binary(.mul, x, scale))
    return (try unary(.clip, [q.limits.lowerBound, q.limits.upperBound], rounded), scale)
  }

  /// The input rounded to float8 e4m3fn and back: Keras's `quantize_and_dequantize`.
  func float8Input(_ x: ValueID, _ prefix: String) throws -> ValueID {
    let scale = try madeWeight("\(prefix)inputs_scale", []) { try floats("\(prefix)inputs_scale", []) }
    let bounded = try unary(.clip, [-448, 448], try binary(.div, x, scale))
    let magnitude = try unary(.abs, bounded)
    // The step between neighbours: 2^(e − 3) from 2^e on, 2^-9 below 2^-6.
    var step = try scalar(0x1p-9, dtype)
    for exponent in -5...8 {
      let isReached = try binary(.greaterEqual, magnitude, try scalar(Double(sign: .plus, exponent: exponent, significand: 1), dtype))
      step = try add(
        Elementwise(.select), [isReached, try scalar(Double(sign: .plus, exponent: exponent - 3, significand: 1), dtype), step], "step")
    }
    return try binary(.mul, try binary(.mul, try unary(.round, try binary(.div, bounded, step)), step), scale)
  }

  /// The bias of a product; float8 rounds it to bfloat16.
  func quantizedBias(_ q: KerasQuantization?, _ slot: String, _ shape: Shape, as flat: Shape) throws -> ValueID {
    try weight(slot, shape) { bias in
      guard q?.mode == .float8, self.dtype == .float32 else { return bias.reshaped(flat) }
      return try bias.converted(to: .bfloat16).converted(to: .float32).reshaped(flat)
    }
  }

  // MARK: Products

  /// x · kernel + bias over the last axis, quantized as the layer says: [..., rows] gives [..., columns].
  ///
  /// - Parameters:
  ///   - shape: the kernel's own shape, which may have several axes for its rows and columns.
  ///   - scaleShape: of an int8 kernel's scale; `columns` numbers.
  func quantizedProduct(
    _ x: ValueID, _ q: KerasQuantization, _ prefix: String = "", shape: Shape, rows: Int, columns: Int, scaleShape: Shape,
    bias biasShape: Shape?
  ) throws -> ValueID {
    let bias = try biasShape.map { try quantizedBias(q, "\(prefix)bias", $0, as: [columns]) }
    guard q.quantizesProductInputs else {
      let kernel = try madeWeight("\(prefix)kernel", [rows, columns]) {
        try dequantized(q, prefix, rows: rows, columns: columns, original: shape, scaleShape: scaleShape)
      }
      let input = q.mode == .float8 ? try float8Input(x, prefix) : x
      return try add(MatMul(epilogue: Epilogue(bias: bias != nil)), [input, kernel] + (bias.map { [$0] } ?? []), "\(prefix)matmul")
    }
    guard q.mode == .int8 || q.blockSize == nil else {
      throw KilnError(.unsupportedModel, "int4 blocks with quantized activations are not supported")
    }
    let (values, scale) = try quantizedInput(x, axes: [type(x).rank - 1], q)
    let kernel = try madeWeight("\(prefix)kernel", [rows, columns]) {
      try integers(q, prefix, rows: rows, columns: columns, original: shape)
    }
    let kernelScale = try madeWeight("\(prefix)kernel_scale", [columns]) {
      try floats("\(prefix)kernel_scale", q.mode == .int8 ? scaleShape : [columns])
    }
    let product = try add(MatMul(), [values, kernel], "\(prefix)matmul")
    let result = try binary(.div, product, try binary(.mul, kernelScale, scale))
    return try bias.map { try binary(.add, result, $0) } ?? result
  }

  /// An embedding's table [rows, columns] as floats.
  func dequantizedTable(_ q: KerasQuantization, rows: Int, columns: Int) throws -> ValueID {
    try madeWeight("embeddings", [rows, columns]) {
      var values =
        q.mode == .int8
        ? try QuantizedWeights.floats(try storedTensor("embeddings", [rows, columns], .int8))
        : QuantizedWeights.unpackedColumns(
          try storedTensor("embeddings", [rows, (columns + 1) / 2], .int8), rows: rows, columns: columns, signed: true)
      guard let block = q.blockSize, q.mode == .int4 else {
        let scale = try floats("embeddings_scale", [rows])
        for row in 0..<rows { for column in 0..<columns { values[row * columns + column] /= scale[row] } }
        return values
      }
      let count = (columns + block - 1) / block
      let (scale, zero) = (try floats("embeddings_scale", [rows, count]), try floats("embeddings_zero", [rows, count]))
      let groups = try QuantizedWeights.groups(try storedTensor("g_idx", [columns]), count: count)
      for row in 0..<rows {
        for (column, group) in groups.enumerated() {
          let place = row * columns + column
          values[place] = (values[place] - zero[row * count + group]) * scale[row * count + group]
        }
      }
      return values
    }
  }
}
