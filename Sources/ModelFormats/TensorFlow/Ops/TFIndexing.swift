import GraphModule
import TensorModule

extension TFOpCatalog {
  static let indexing = Family(
    "Picking and putting",
    [
      "Gather": { call in
        let (data, indices) = (try call.x(0), try call.x(1))
        return [try call.add(Gather(axis: 0), [data, indices], "gather")]
      },
      "GatherV2": { call in
        let (data, indices) = (try call.x(0), try call.x(1))
        let axis = try call.axis(try call.integer(2, "an axis"), call.type(data).rank)
        var batch = try call.int("batch_dims", 0)
        if batch < 0 { batch += call.type(indices).rank }
        return [try call.add(Gather(axis: axis, batchDims: batch), [data, indices], "gather")]
      },
      "GatherNd": { [try gatherNd($0)] },
      "OneHot": { call in
        let indices = try call.x(0)
        let depth = try call.size(1, "a depth")
        guard (0...1 << 24).contains(depth.fixed ?? 0) else { throw call.wrong("its depth \(depth) is out of range") }
        let (on, off) = (try call.input(2), try call.input(3))
        let rank = call.type(indices).rank
        let axis = try call.int("axis", -1) == -1 ? rank : try call.axis(try call.int("axis", -1), rank + 1)
        let dtype = on.type.dtype
        var hot: ValueID
        if let depth = depth.fixed, let yes = on.evaluated?.doubles.first, let no = off.evaluated?.doubles.first {
          hot = try call.add(OneHot(depth: depth, dtype: dtype, on: yes, off: no), [indices], "one_hot")
        } else {
          let picked =
            if let depth = depth.fixed {
              try call.add(OneHot(depth: depth, dtype: .bool), [indices], "one_hot")
            } else {
              try call.binary(.equal, try call.expand(indices, rank), try counted(call, depth, call.type(indices).dtype))
            }
          hot = try call.select(picked, try call.x(2), try call.x(3))
        }
        hot = try call.transpose(hot, Array(0..<axis) + [rank] + Array(axis..<rank))
        return [hot]
      },
      "DynamicStitch": { [try stitch($0)] },
      "ParallelDynamicStitch": { [try stitch($0)] },
    ])

  /// Elements by whole coordinates: the axes they name are joined, the coordinates become one number.
  private static func gatherNd(_ call: TFCall) throws -> ValueID {
    let (data, indices) = (try call.x(0), try call.x(1))
    let (dims, type) = (call.type(data).dims, call.type(indices))
    guard type.rank >= 1 else { throw call.wrong("its indices are a scalar") }
    let depth = try call.length(indices, -1)
    guard (1...max(dims.count, 1)).contains(depth), depth <= dims.count else { throw call.unsupported("indices \(type.message) into \(call.type(data).message)") }
    let steps = (0..<depth).map { dims[($0 + 1)..<depth].reduce(1, *) }
    let flat = try call.reshape(data, [dims[..<depth].reduce(1, *)] + dims[depth...])
    let wide = try call.cast(indices, .int64)
    let place = try call.reduce(.sum, try call.binary(.mul, wide, try call.builder.vector(steps)), [type.rank - 1])
    return try call.add(Gather(axis: 0), [flat, place], "gather")
  }
}
