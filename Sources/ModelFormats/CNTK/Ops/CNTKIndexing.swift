import GraphModule
import TensorModule

extension CNTKOpCatalog {
  static let indexing = Family(
    "Indexing",
    [
      Row("Gather") { call in
        // The indices come first; they pick along the axis that runs slowest, NumPy's first.
        let (indices, table) = (try call.value(0), try call.value(1))
        let places = try call.cast(try call.x(0), .int32)
        guard table.axes.count == 0 else {
          guard indices.axes.count == 0 || indices.axes.count == table.axes.count else { throw call.unsupported("indices with other dynamic axes than the values") }
          let axis = table.axes.count
          guard !table.shape.isEmpty else { throw call.wrong("picks from scalars") }
          let picked = try call.add(Gather(axis: axis, batchDims: indices.axes.count), [try call.x(1), places], "gather")
          return [call.result(picked, table.axes)]
        }
        guard !table.shape.isEmpty else { throw call.wrong("picks from a scalar") }
        return [call.result(try call.add(Gather(axis: 0), [try call.x(1), places], "gather"), indices.axes)]
      },
      Row("OneHot") { call in
        let value = try call.value(0)
        let count = try call.int("numClass")
        guard (1...1 << 30).contains(count) else { throw call.wrong("has \(count) classes") }
        let rank = value.shape.count
        let axis = call.has("onehotAxis") ? try call.axis("onehotAxis") : CNTKAxis(index: 0, name: "", isOrdered: true)
        guard axis.isStatic || axis.index == CNTKAxis.end else { throw call.unsupported("the axis \(KilnError.quoted(axis.name)) for classes") }
        let index = axis.index == CNTKAxis.end ? rank : axis.index < 0 ? axis.index + rank + 1 : axis.index
        guard (0...rank).contains(index) else { throw call.wrong("puts classes at the axis \(axis.index) of \(rank)") }
        let hot = try call.add(OneHot(depth: count, dtype: value.value.type.dtype), [try call.cast(try call.x(0), .int64)], "one_hot")
        // The new axis is NumPy's last; it belongs `index` axes before it.
        var order = Array(0..<value.axes.count + rank)
        order.insert(value.axes.count + rank, at: value.axes.count + rank - index)
        return [call.result(try call.transpose(hot, order), value.axes)]
      },
      Row("TopK") { call in
        let value = try call.value(0)
        let axis = call.has("axis") ? try call.axis("axis") : CNTKAxis(index: 0, name: "", isOrdered: true)
        let place = try call.place(axis, of: value)
        let rank = value.value.type.rank
        let order = (0..<rank).filter { $0 != place } + [place]
        var back = Array(0..<rank - 1)
        back.insert(rank - 1, at: place)
        let count = try call.int("numItems")
        guard count >= 1, count <= value.value.type.dims[place].fixed ?? count else { throw call.wrong("takes the \(count) greatest of \(value.value.type.dims[place])") }
        let found = try call.addAll(TopK(k: count), [try call.transpose(try call.x(0), order)], "top_k")
        let dtype = value.value.type.dtype
        return [
          call.result(try call.transpose(found[0], back), value.axes),
          call.result(try call.cast(try call.transpose(found[1], back), dtype), value.axes, 1),
        ]
      },
    ])
}
