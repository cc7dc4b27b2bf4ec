import GraphModule
import TensorModule

extension ONNXWriterCatalog {
  static let movement: [Row] = [
    .written(Transpose.self, "Transpose, where an order of axes is needed that is not there yet") { op, w in
      let id = w.node.inputs[0]
      if w.scope.isConstant(id) { _ = try w.x(0) }
      let all = w.scope.forms[id] ?? []
      w.scope.define(w.node.outputs[0], all.map { form in ONNXGraphWriter.Form(name: form.name, order: op.permutation.map { form.order[$0] }) })
    },
    .written(Reshape.self, "Reshape") { op, w in
      let dims = w.resultType().dims
      if try flatten(w, dims) { return }
      let from = w.type(0).dims
      // A form whose axes longer than 1 are in the graph's order serves as it is.
      let form = (w.scope.forms[w.node.inputs[0]] ?? []).first { form in
        let places = from.indices.filter { from[$0].fixed != 1 }.map { form.order[$0] }
        return places == places.sorted()
      }
      let order = form?.order ?? ONNXGraphWriter.straight(from.count)
      let name = try form?.name ?? w.x(0)
      let source = ONNXGraphWriter.inverse(order).map { from[$0] }
      if source == dims { return w.define(0, name) }
      w.define(0, try w.scope.reshaped(name, source, to: dims, named: w.label))
    },
    .written(BroadcastTo.self, "Expand") { op, w in
      let (from, to) = (w.type(0).dims, w.resultType().dims)
      let offset = to.count - from.count
      if from == to { return w.define(0, try w.x(0)) }
      // 1 leaves the operand's dim.
      let dims = to.indices.map { $0 >= offset && from[$0 - offset] == to[$0] ? 1 : to[$0] }
      w.finish("Expand", [try w.x(0), try w.scope.shape(dims)])
    },
    .written(Concat.self, "Concat") { op, w in
      let rank = w.resultType().rank
      let order = try w.commonOrder(Array(w.node.inputs.indices), rank: rank)
      let axis = op.axis < 0 ? op.axis + rank : op.axis
      w.finish("Concat", try w.node.inputs.indices.map { try w.x($0, order: order) }, [("axis", .int(order[axis]))], order: order)
    },
    .written(Slice.self, "Slice") { op, w in
      let form = try w.scope.native(w.node.inputs[0])
      let picked = op.ranges.indices.filter { op.ranges[$0] != .all }
      if picked.isEmpty { return w.define(0, form.name, order: form.order) }
      let ranges = picked.map { op.ranges[$0] }
      let starts = ranges.map { $0.start ?? ($0.step < 0 ? ONNXNodeWriter.highest : 0) }
      let ends = ranges.map { $0.end ?? ($0.step < 0 ? ONNXNodeWriter.lowest : ONNXNodeWriter.highest) }
      w.finish(
        "Slice",
        [form.name, try w.ints(starts), try w.ints(ends), try w.ints(picked.map { form.order[$0] }), try w.ints(ranges.map(\.step))],
        order: form.order)
    },
    .written(Reverse.self, "Slice with step −1") { op, w in
      let id = w.node.inputs[0]
      if op.axes == [1], let form = w.scope.reversed[id] { return w.define(0, form.name, order: form.order) }
      let form = try w.scope.native(id)
      if op.axes.isEmpty { return w.define(0, form.name, order: form.order) }
      w.define(0, try w.reverse(form.name, op.axes.map { form.order[$0] }), order: form.order)
    },
    .written(Pad.self, "Pad; symmetric padding as Slice and Concat") { op, w in
      let form = try w.scope.native(w.node.inputs[0])
      let axes = op.low.indices.filter { op.low[$0] > 0 || op.high[$0] > 0 }
      if axes.isEmpty { return w.define(0, form.name, order: form.order) }
      if op.mode == .symmetric {
        var name = form.name
        for axis in axes {
          let place = form.order[axis]
          var parts = [name]
          if op.low[axis] > 0 { parts.insert(try w.reverse(try w.slice(name, axis: place, 0, op.low[axis]), [place]), at: 0) }
          if op.high[axis] > 0 { parts.append(try w.reverse(try w.slice(name, axis: place, -op.high[axis], ONNXNodeWriter.highest), [place])) }
          name = w.emit("Concat", parts, [("axis", .int(place))])[0]
        }
        return w.define(0, name, order: form.order)
      }
      let dtype = w.type(0).dtype
      if dtype == .string { throw w.unsupported("padding of strings") }
      let places = ONNXGraphWriter.inverse(form.order)
      let pads = try w.ints(places.map { op.low[$0] } + places.map { op.high[$0] })
      // Types that onnxruntime does not pad go through one that it does.
      let wide: DType? = dtype == .bool && op.mode != .constant ? .int32 : dtype == .int16 ? .int32 : nil
      let inputs = [wide.map { w.cast(form.name, $0) } ?? form.name, pads]
      let value = op.mode == .constant ? [try w.scalar(op.value, wide ?? dtype)] : []
      let padded = w.emit("Pad", inputs + value, [("mode", .text(op.mode.rawValue))])[0]
      w.define(0, wide == nil ? padded : w.cast(padded, dtype), order: form.order)
    },
    .written(SetItem.self, "ScatterND") { _, w in
      let place = w.one("Reshape", w.cast(try w.x(1), .int64), try w.ints([1, 1]))
      w.finish("ScatterND", [try w.x(0), place, try w.unsqueeze(try w.x(2), [0])])
    },
  ]

  /// A flatten of a channels-first value before products with constants: the products' rows are turned instead of the value.
  private static func flatten(_ w: ONNXNodeWriter, _ dims: [Dim]) throws -> Bool {
    let (id, result) = (w.node.inputs[0], w.node.outputs[0])
    let from = w.type(0).dims
    guard dims.count == 2, from.count >= 3, dims[0] == from[0], let forms = w.scope.forms[id],
      !forms.contains(where: { $0.order == ONNXGraphWriter.straight(from.count) }), let form = forms.first, form.order[0] == 0,
      let lengths = TensorType(.float32, Array(from.dropFirst())).shape, let users = w.scope.users[result],
      !w.scope.graph.outputs.contains(where: { $0.value == result })
    else { return false }
    let long = from.indices.filter { from[$0].fixed != 1 }.map { form.order[$0] }
    if long == long.sorted() { return false }
    for index in users {
      let node = w.scope.graph.nodes[index]
      guard let product = node.op as? MatMul, !product.transposeA, !product.transposeB, node.inputs[0] == result, node.inputs[1] != result,
        w.scope.isConstant(node.inputs[1])
      else { return false }
    }
    let source = ONNXGraphWriter.inverse(form.order).map { from[$0] }
    let name = try w.scope.reshaped(form.name, source, to: dims, named: w.label)
    w.scope.flattened[result] = (name, lengths, form.order.dropFirst().map { $0 - 1 })
    // A reader that is no such product would find the axes in the wrong order; there is none.
    w.define(0, name)
    return true
  }
}
