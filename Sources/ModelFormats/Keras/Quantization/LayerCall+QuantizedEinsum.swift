import GraphModule
import TensorModule

extension LayerCall {
  /// The einsum of a value and a quantized kernel of that shape, without bias.
  func quantizedEinsum(_ equation: EinsumEquation, _ x: ValueID, _ q: KerasQuantization, shape: Shape) throws -> ValueID {
    let lengths = Dictionary(zip(equation.right, shape), uniquingKeysWith: { first, _ in first })
    let kept = equation.right.filter { equation.result.contains($0) }
    guard let whole = checkedProduct(shape), let columns = checkedProduct(kept.compactMap { lengths[$0] }), columns > 0 else {
      throw KilnError(.badInput, "a kernel of \(shape.shapeText)")
    }
    // GPTQ and AWQ take the longest axis for the inputs when it is the first one, else for the outputs.
    var split = (rows: whole / columns, columns: columns)
    if (q.mode == .gptq || q.mode == .awq), shape.count > 1 {
      guard shape.count <= 3 else { throw KilnError(.unsupportedModel, "a \(q.mode.rawValue) kernel of \(shape.count) axes is not supported") }
      let isProjection = shape.count == 2 || shape.firstIndex(of: shape.max() ?? 0) == 0
      split.rows = isProjection ? shape[0] : shape[0] * shape[1]
      split.columns = whole / max(split.rows, 1)
    }
    // A scale has the axes of the result, 1 where the kernel has none.
    let scaleShape = equation.result.map { equation.right.contains($0) ? lengths[$0] ?? 1 : 1 }
    let quantizes = q.quantizesProductInputs
    let axes = equation.left.indices.filter { !equation.result.contains(equation.left[$0]) }
    guard q.mode != .int8, !q.packsRows else {
      let kernel = try madeWeight("kernel", shape) { try einsumIntegers(equation, q, shape) }
      let scale = try madeWeight("kernel_scale", scaleShape) { try QuantizedWeights.floats(try storedTensor("kernel_scale", scaleShape)) }
      guard quantizes else { return try binary(.div, try einsum(equation, x, kernel), scale) }
      let (values, inputScale) = try quantizedInput(x, axes: axes, q)
      let product = try einsum(equation, values, kernel)
      return try binary(.div, product, try binary(.mul, try aligned(inputScale, equation), scale))
    }
    let kernel = try madeWeight("kernel", shape) {
      try dequantized(q, "", rows: split.rows, columns: split.columns, original: shape, scaleShape: [])
    }
    if q.mode == .float8 { return try einsum(equation, try float8Input(x, ""), kernel) }
    guard quantizes else { return try einsum(equation, x, kernel) }
    let (values, inputScale) = try quantizedInput(x, axes: axes, q)
    return try binary(.div, try einsum(equation, values, kernel), try aligned(inputScale, equation))
  }

  /// The integers of a kernel that keeps its axes; int4 ones are packed along the first axis that is summed over.
  private func einsumIntegers(_ equation: EinsumEquation, _ q: KerasQuantization, _ shape: Shape) throws -> [Float] {
    guard q.mode == .int4 else { return try QuantizedWeights.floats(try storedTensor("kernel", shape, .int8)) }
    let axis = equation.right.indices.first { !equation.result.contains(equation.right[$0]) } ?? 0
    var packed = shape
    packed[axis] = (shape[axis] + 1) / 2
    let stored = try storedTensor("kernel", packed, .int8)
    guard let inner = checkedProduct(Array(shape[(axis + 1)...])), let outer = checkedProduct(Array(shape[..<axis])), stored.count > 0 else { return [] }
    let size = packed[axis] * inner
    return (0..<outer).flatMap { outer in
      QuantizedWeights.unpackedRows(stored, from: outer * size, rows: shape[axis], columns: inner, signed: true)
    }
  }

  /// A scale with the axes of the left operand, those that are summed over of length 1, in the axes of the result.
  private func aligned(_ scale: ValueID, _ equation: EinsumEquation) throws -> ValueID {
    let dims = type(scale).dims
    let order = equation.result.compactMap { equation.left.firstIndex(of: $0) }
    let summed = equation.left.indices.filter { !equation.result.contains(equation.left[$0]) }
    let turned = try transpose(scale, order + summed)
    return try reshape(turned, equation.result.map { label in equation.left.firstIndex(of: label).map { dims[$0] } ?? 1 })
  }
}
