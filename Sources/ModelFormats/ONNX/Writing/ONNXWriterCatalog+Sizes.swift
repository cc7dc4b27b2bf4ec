import GraphModule
import TensorModule

extension ONNXWriterCatalog {
  static let sizes: [Row] = [
    .written(ShapeOf.self, "Shape") { _, w in w.finish("Shape", [try w.x(0)]) },
    .written(DynamicReshape.self, "Reshape") { _, w in w.finish("Reshape", [try w.x(0), try wide(1, w)], [("allowzero", .int(1))]) },
    .written(DynamicBroadcastTo.self, "Expand") { _, w in w.finish("Expand", [try w.x(0), try wide(1, w)]) },
    .written(DynamicTile.self, "Tile") { _, w in w.finish("Tile", [try w.x(0), try wide(1, w)]) },
    .written(DynamicRange.self, "Range") { _, w in
      let dtype = w.type(0).dtype
      guard [.float32, .float64, .int16, .int32, .int64].contains(dtype) else { throw w.unsupported("a range of \(dtype.name)") }
      w.finish("Range", [try w.x(0), try w.x(1), try w.x(2)])
    },
    .written(DynamicSlice.self, "Slice") { op, w in
      w.finish("Slice", [try w.x(0), try wide(1, w), try wide(2, w), try w.ints(op.axes), try w.ints(op.steps)])
    },
  ]

  /// An operand of sizes as int64.
  private static func wide(_ index: Int, _ w: ONNXNodeWriter) throws -> String {
    w.type(index).dtype == .int64 ? try w.x(index) : w.cast(try w.x(index), .int64)
  }
}
