import GraphModule
import TensorModule

extension ONNXWriterCatalog {
  static let elementwise: [Row] = [
    .written(Elementwise.self, "by function, below") { op, w in
      try spread(w) { try w.function(op.function, op.parameters, $0, w.type(op.function == .select ? 1 : 0).dtype) }
    },
    .written(ElementwiseChain.self, "its functions one after another") { op, w in
      let dtypes = try op.dtypes(w.node.inputs.map { w.scope.type($0).dtype })
      try spread(w) { names in
        var results: [String] = []
        for (index, step) in op.steps.enumerated() {
          let operands = try zip(step.operands, dtypes.operands[index]).map { operand, dtype in
            switch operand {
            case .input(let input): names[input]
            case .step(let earlier): results[earlier]
            case .constant(let value): try w.scalar(value, dtype)
            }
          }
          results.append(try w.function(step.function, step.parameters, operands, dtypes.operands[index].last ?? .float32))
        }
        return results.last ?? ""
      }
    },
    .written(Cast.self, "Cast; floats that become small integers are clipped before") { op, w in
      let form = try w.scope.native(w.node.inputs[0])
      let from = w.type(0).dtype
      if from == op.dtype { return w.define(0, form.name, order: form.order) }
      var name = form.name
      if from.isFloat, op.dtype.isInteger, op.dtype != .int64, let range = op.dtype.integerRange {
        if op.dtype == .int32 {
          w.scope.draft.note("casts of floats beyond the range of int32 are undefined in ONNX")
        } else {
          name = w.one("Clip", name, try w.scalar(Double(range.lowerBound), from), try w.scalar(Double(range.upperBound), from))
        }
      }
      w.define(0, w.cast(name, op.dtype), order: form.order)
    },
    .written(CheckRange.self, "nothing: ONNX does not check values") { _, w in
      w.scope.draft.note("values are not checked against the ranges of the source")
      let form = try w.scope.native(w.node.inputs[0])
      w.define(0, form.name, order: form.order)
    },
    .written(OneHot.self, "Equal, Where") { op, w in
      let indices = w.cast(try w.unsqueezed(0), .int64)
      let depth = w.scope.draft.initializer("\(w.label)/depth", try Tensor((0..<op.depth).map(Int64.init), shape: [op.depth]))
      let hit = w.one("Equal", indices, depth)
      if op.dtype == .bool, op.on == 1, op.off == 0 { return w.define(0, hit) }
      w.define(0, try w.select(hit, try w.scalar(op.on, op.dtype), try w.scalar(op.off, op.dtype), op.dtype))
    },
    .written(Bincount.self, "Equal, ReduceSum over the elements") { op, w in
      let depth = w.scope.draft.initializer("\(w.label)/depth", try Tensor((0..<op.depth).map(Int64.init), shape: [op.depth]))
      let hit = w.one("Equal", w.cast(try w.unsqueezed(0), .int64), depth)
      let axis = try w.ints([w.type(0).rank - 1])
      var values = w.cast(hit, op.dtype)
      if w.node.inputs.count > 1 { values = w.one("Mul", values, try w.unsqueezed(1)) }
      w.finish(op.isBinary ? "ReduceMax" : "ReduceSum", [values, axis], [("keepdims", .int(0))])
    },
  ]

  /// Operands that broadcast together, in the order of axes that suits them.
  private static func spread(_ w: ONNXNodeWriter, _ write: ([String]) throws -> String) throws {
    let rank = w.resultType().rank
    let all = Array(w.node.inputs.indices)
    let order = try w.commonOrder(all, rank: rank)
    let names = try all.map { try w.spread($0, rank: rank, order: order) }
    w.define(0, try write(names), order: order)
  }
}

extension ONNXNodeWriter {
  /// An operand with a last axis of length 1.
  func unsqueezed(_ index: Int) throws -> String { try unsqueeze(try x(index), [type(index).rank]) }

  /// condition ? a : b, for every dtype.
  func select(_ condition: String, _ a: String, _ b: String, _ dtype: DType) throws -> String {
    switch dtype {
    case .bool: cast(one("Where", condition, cast(a, .int32), cast(b, .int32)), .bool)
    case .int8, .int16: cast(one("Where", condition, cast(a, .int32), cast(b, .int32)), dtype)
    default: one("Where", condition, a, b)
    }
  }
}
