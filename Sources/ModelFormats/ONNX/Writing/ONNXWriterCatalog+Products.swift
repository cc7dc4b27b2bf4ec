import GraphModule
import TensorModule

extension ONNXWriterCatalog {
  static let products: [Row] = [
    .written(MatMul.self, "Gemm for matrices with a bias, else MatMul") { op, w in
      let rank = w.resultType().rank
      let dtype = w.type(0).dtype
      let straight = ONNXGraphWriter.straight(rank)
      if w.type(0).rank == 2, w.type(1).rank == 2, let bias = op.epilogue.biasIndex(), dtype.isFloat {
        let (a, turnsA) = try matrix(0, op.transposeA, w)
        let (b, turnsB) = try matrix(1, op.transposeB, w)
        let name = w.emit("Gemm", [a, b, try w.x(bias)], (turnsA ? [("transA", .int(1))] : []) + (turnsB ? [("transB", .int(1))] : []))[0]
        return try w.epilogue(op.epilogue, name, order: straight, dtype: dtype)
      }
      var (a, b) = (try operand(0, op.transposeA, w), try operand(1, op.transposeB, w))
      let isNarrow = !dtype.isFloat && dtype != .int32 && dtype != .int64
      if isNarrow { (a, b) = (w.cast(a, .int32), w.cast(b, .int32)) }
      let product = w.one("MatMul", a, b)
      try w.epilogue(
        op.epilogue, isNarrow ? w.cast(product, dtype) : product, order: straight, dtype: dtype, bias: try op.epilogue.biasIndex().map { try w.x($0) })
    },
    .written(LayerNorm.self, "LayerNormalization") { op, w in
      let x = w.type(0)
      let axis = op.axis < 0 ? op.axis + x.rank : op.axis
      guard let shape = TensorType(x.dtype, Array(x.dims[axis...])).shape else { throw w.unsupported("layer normalization over an axis of open length") }
      let ones = [Double](repeating: 1, count: shape.elementCount)
      let gamma = op.scale ? try w.x(1) : try w.scope.draft.numbers(ones, x.dtype, shape)
      let beta = op.offset ? [try w.x(op.scale ? 2 : 1)] : []
      w.finish("LayerNormalization", [try w.x(0), gamma] + beta, [("axis", .int(axis)), ("epsilon", .float(op.epsilon))])
    },
    .written(RMSNorm.self, "ReduceMean of squares, Sqrt, Div, Mul") { op, w in
      let x = w.type(0)
      let axis = op.axis < 0 ? op.axis + x.rank : op.axis
      let name = try w.x(0)
      let mean = w.one("ReduceMean", w.one("Mul", name, name), try w.ints(Array(axis..<x.rank)))
      let scaled = w.one("Div", name, w.one("Sqrt", w.one("Add", mean, try w.scalar(op.epsilon, x.dtype))))
      w.define(0, op.scale ? w.one("Mul", scaled, try w.x(1)) : scaled)
    },
    .written(Softmax.self, "Softmax, LogSoftmax") { op, w in
      let form = try w.scope.native(w.node.inputs[0])
      let axis = op.axis < 0 ? op.axis + w.type(0).rank : op.axis
      w.finish(op.log ? "LogSoftmax" : "Softmax", [form.name], [("axis", .int(form.order[axis]))], order: form.order)
    },
    .written(FourierTransform.self, "DFT") { op, w in
      let rank = w.type(0).rank
      let parts = w.emit("Concat", try [0, 1].map { try w.unsqueeze(try w.x($0), [rank]) }, [("axis", .int(rank))])[0]
      // Axis and length are operands from operator set 20 on.
      let axis = try w.scope.draft.numbers([Double(rank - 1)], .int64, [])
      let result = w.one("DFT", parts, "", axis, attributes: [("inverse", .int(op.inverse ? 1 : 0))])
      for part in 0..<2 { w.define(part, w.one("Gather", result, try w.scope.draft.numbers([Double(part)], .int64, []), attributes: [("axis", .int(rank))])) }
    },
  ]

  private static func swapped(_ rank: Int) -> [Int] { Array(0..<rank - 2) + [rank - 1, rank - 2] }

  /// An operand of MatMul.
  private static func operand(_ index: Int, _ isTransposed: Bool, _ w: ONNXNodeWriter) throws -> String {
    if let name = try turnedRows(index, isTransposed, w) { return name }
    return isTransposed ? try w.x(index, order: swapped(w.type(index).rank)) : try w.x(index)
  }

  /// An operand of Gemm, and whether Gemm transposes it.
  private static func matrix(_ index: Int, _ isTransposed: Bool, _ w: ONNXNodeWriter) throws -> (String, Bool) {
    if let name = try turnedRows(index, isTransposed, w) { return (name, false) }
    let form = try w.scope.native(w.node.inputs[index])
    return (form.name, isTransposed != (form.order == [1, 0]))
  }

  /// The weights behind a value that was flattened channels-first, with their rows in its order; nil for other operands.
  private static func turnedRows(_ index: Int, _ isTransposed: Bool, _ w: ONNXNodeWriter) throws -> String? {
    guard index == 1, !isTransposed, let flat = w.scope.flattened[w.node.inputs[0]], let weights = w.constant(1) else { return nil }
    let (columns, permutation) = (weights.shape[1], ONNXGraphWriter.inverse(flat.order))
    return w.scope.draft.initializer(w.scope.graph[w.node.inputs[1]].name, weights.dtype, weights.shape) {
      try weights.reshaped(flat.dims + [columns]).transposed(permutation + [flat.dims.count]).reshaped(weights.shape)
    }
  }
}
