import TensorModule

extension Scatter: DifferentiableOp {
  package func gradient(_ call: GradientCall) throws {
    guard kind != .mul else { throw KilnError(.unsupportedModel, "'\(kind.rawValue)' has no derivative") }
    let dy = try call.cotangent()
    let shape = try call.shape(dy)
    let updates = call.inputs[2]
    let isEmpty = try call.shape(updates).contains(0)
    if shape.contains(0) || isEmpty {
      if call.wants(0) { try call.give(0, dy) }
      if call.wants(2) { try call.give(2, try call.fill(0, call.type(updates))) }
      return
    }
    switch kind {
    case .add:
      if call.wants(0) { try call.give(0, dy) }
      if call.wants(2) { try call.give(2, try picked(dy, call)) }
    case .update:
      if call.wants(0) {
        try call.give(0, try call.add(Scatter(.update, outside: outside), [dy, call.inputs[1], try call.fill(0, call.type(updates))]))
      }
      if call.wants(2) { try call.give(2, try picked(dy, call)) }
    case .min, .max:
      // All that are the extreme share its slope.
      let (x, y) = (call.inputs[0], call.outputs[0])
      func number(_ condition: ValueID) throws -> ValueID { try call.add(Cast(call.type(dy).dtype), [condition]) }
      let isOld = try number(try call.binary(.equal, x, y))
      let isNew = try number(try call.binary(.equal, updates, try picked(y, call)))
      let count = try call.add(Scatter(.add, outside: outside), [isOld, call.inputs[1], isNew])
      // A place whose number is neither is one of NaN.
      let share = try call.binary(.div, dy, try call.binary(.max, count, try call.scalar(1, like: count)))
      if call.wants(0) { try call.give(0, try call.mul(share, isOld)) }
      if call.wants(2) { try call.give(2, try call.mul(try picked(share, call), isNew)) }
    case .mul: break
    }
  }

  /// The parts of `x` at the places, in the updates' shape; 0 for those outside.
  private func picked(_ x: ValueID, _ call: GradientCall) throws -> ValueID {
    let (shape, indices) = (try call.shape(x), try call.shape(call.inputs[1]))
    let depth = indices[indices.count - 1]
    let places = indices.dropLast().reduce(1, *)
    let strides = Array(shape.prefix(depth)).rowMajorStrides
    func whole(_ value: Int) throws -> ValueID { call.constant(try Tensor(integers: [Int64(value)], dtype: .int64, shape: [])) }
    var flat = try call.fill(0, TensorType(.int64, shape: [places]))
    var isInside: ValueID?
    let wide = try call.offset(try call.reshape(call.inputs[1], [places, depth]), by: [], [0])
    for axis in 0..<depth {
      var column = try call.reshape(try call.add(Slice([.all, .init(start: axis, end: axis + 1)]), [wide]), [places])
      if outside == .skip {
        let (zero, last) = (try whole(0), try whole(shape[axis] - 1))
        let own = try call.binary(.and, try call.binary(.greaterEqual, column, zero), try call.binary(.lessEqual, column, last))
        isInside = try isInside.map { try call.binary(.and, $0, own) } ?? own
        column = try call.binary(.min, try call.binary(.max, column, zero), last)
      }
      flat = try call.binary(.add, flat, try call.mul(column, try whole(strides[axis])))
    }
    let rows = try call.reshape(x, [shape.prefix(depth).reduce(1, *), shape.dropFirst(depth).reduce(1, *)])
    var parts = try call.add(Gather(axis: 0), [rows, flat])
    if let isInside { parts = try call.gate(try call.reshape(isInside, [places, 1]), parts) }
    return try call.reshape(parts, try call.shape(call.inputs[2]))
  }
}
