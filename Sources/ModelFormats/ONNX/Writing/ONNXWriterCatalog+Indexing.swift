import GraphModule
import TensorModule

extension ONNXWriterCatalog {
  static let indexing: [Row] = [
    .written(Gather.self, "Gather; with batch axes GatherND") { op, w in
      let (data, indices) = (w.type(0), w.type(1))
      let index = [.int32, .int64].contains(indices.dtype) ? try w.x(1) : w.cast(try w.x(1), .int64)
      if op.batchDims == 0 { return w.finish("Gather", [try w.x(0), index], [("axis", .int(op.axis))]) }
      let batch = op.batchDims
      // [batch..., n, before..., after...], so that the index picks from the first axis behind the batch.
      let before = Array(batch..<op.axis)
      let front = Array(0..<batch) + [op.axis] + before + Array(op.axis + 1..<data.rank)
      let turned = try w.x(0, order: ONNXGraphWriter.inverse(front))
      let wide = try w.unsqueeze(indices.dtype == .int64 ? index : w.cast(index, .int64), [indices.rank])
      let picks = indices.rank - batch
      let name = w.emit("GatherND", [turned, wide], [("batch_dims", .int(batch))])[0]
      // [batch..., picks..., before..., after...] → [batch..., before..., picks..., after...].
      let rank = w.resultType().rank
      let order = (0..<rank).map { axis in
        if axis < batch || axis >= batch + before.count + picks { return axis }
        return axis < batch + before.count ? axis + picks : axis - before.count
      }
      w.define(0, name, order: order)
    },
    .written(Scatter.self, "ScatterND; places outside go to a row that is cut off again") { op, w in
      let (x, indices) = (w.type(0), w.type(1))
      guard let depth = indices.dims.last?.fixed else { throw w.unsupported("indices of open depth") }
      let reduction: [(String, ONNXDraftAttribute)] = op.kind == .update ? [] : [("reduction", .text(op.kind.rawValue))]
      var index = w.cast(try w.x(1), .int64)
      if depth == 0 { throw w.unsupported("a scatter over no axes") }
      if op.outside == .error { return w.finish("ScatterND", [try w.x(0), index, try w.x(2)], reduction) }
      let limits = try w.scope.shape(Array(x.dims.prefix(depth)))
      let zero = try w.scalar(0, .int64)
      let isInside = w.one("And", w.one("GreaterOrEqual", index, zero), w.one("Less", index, limits))
      let all = w.cast(
        w.one("ReduceMin", w.cast(isInside, .int32), try w.ints([indices.rank - 1]), attributes: [("keepdims", .int(1))]), .bool)
      let spare = depth == 1 ? try w.scope.length(x.dims[0]) : w.emit("Concat", [try w.scope.length(x.dims[0]), try w.ints([Int](repeating: 0, count: depth - 1))], [("axis", .int(0))])[0]
      index = w.one("Where", all, index, spare)
      guard x.dtype != .string else { throw w.unsupported("a scatter of strings that leaves places out") }
      let wider = w.one("Pad", try w.x(0), try w.ints([Int](repeating: 0, count: x.rank) + [1] + [Int](repeating: 0, count: x.rank - 1)))
      let result = w.one("ScatterND", wider, index, try w.x(2), attributes: reduction)
      w.define(0, w.one("Slice", result, try w.ints([0]), try w.ints([-1]), try w.ints([0])))
    },
    .written(NonZero.self, "NonZero") { _, w in
      let x = w.type(0)
      if x.rank == 0 { throw w.unsupported("nonzero of a scalar") }
      // onnxruntime's NonZero takes bool, the float and the wide integer types.
      let name = [.float32, .int32, .int64, .bool, .uint8].contains(x.dtype) ? try w.x(0) : w.one("Not", w.one("Equal", try w.x(0), try w.scalar(0, x.dtype)))
      w.define(0, w.one("NonZero", name), order: [1, 0])
    },
    .written(NonMaxSuppression.self, "NonMaxSuppression") { op, w in
      guard !op.padded, !op.overlaps, op.style == .current, w.constant(5)?.doubles == [0] else {
        throw w.unsupported("non-max suppression that is soft, padded, of given overlaps or of TensorFlow 1.15")
      }
      guard w.type(0).dtype == .float32 else { throw w.unsupported("non-max suppression of \(w.type(0).dtype.name)") }
      let boxes = try w.unsqueeze(try w.x(0), [0])
      let scores = try w.unsqueeze(try w.x(1), [0, 1])
      func vector(_ index: Int, _ dtype: DType) throws -> String {
        let name = w.type(index).dtype == dtype ? try w.x(index) : w.cast(try w.x(index), dtype)
        return w.one("Reshape", name, try w.ints([1]))
      }
      let picks = w.one("NonMaxSuppression", boxes, scores, try vector(2, .int64), try vector(3, .float32), try vector(4, .float32))
      let index = w.one("Gather", picks, try w.scope.draft.numbers([2], .int64, []), attributes: [("axis", .int(1))])
      w.define(0, w.cast(index, .int32))
      w.define(1, w.one("Gather", try w.x(1), index))
      w.define(2, w.cast(w.one("Size", index), .int32))
    },
  ]
}
