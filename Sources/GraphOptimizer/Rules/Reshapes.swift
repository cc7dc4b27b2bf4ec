import GraphModule
import TensorModule

/// Rules that move reshapes towards the outputs, so that they meet others, and what they stood between can be fused.
enum ReshapeRules {
  static let all = [throughElementwise, throughLastAxis, aroundRows, throughWindow]

  /// The operand of the reshape that makes a value, when nothing else reads the value.
  private static func source(_ id: ValueID, _ m: Match) -> ValueID? {
    guard m.isRead(id), m.users(of: id).count == 1, let node = m.producer(of: id), node.op is Reshape, let x = node.inputs.first,
      m.type(of: x).dims != m.type(of: id).dims
    else { return nil }
    return x
  }

  // MARK: Elementwise

  private static let throughElementwise = Rule(
    "reshape-through-elementwise", "f(reshape(x), reshape(y), c) → reshape(f(x, y, reshape⁻¹(c)))",
    find: .elementwise(as: "f"),
    rewrite: { m, draft in
      guard let op = m.anyOp("f"), let dims = sourceDims(m) else { return nil }
      var moved: [ValueID] = []
      for operand in m.operands("f") {
        if let x = source(operand, m), m.type(of: operand) == TensorType(m.type(of: operand).dtype, m.result.dims) {
          guard m.type(of: x).dims == dims else { return nil }
          moved.append(x)
        } else if let tensor = draft.constantValue(operand), tensor.dtype != .string {
          guard let shape = shape(tensor.shape, m.result.dims, dims) else { return nil }
          moved.append(shape == tensor.shape ? operand : draft.constant(tensor.reshaped(shape), like: operand))
        } else {
          return nil
        }
      }
      return try draft.add(Reshape(m.result.dims), [try draft.add(op, moved)])
    }, when: { sourceDims($0) != nil }, phase: .simplify,
    witness: { w in
      let x = try w.add(Reshape([2, 3, 2, 2]), try w.input([6, 4]))
      switch w.size(0...4) {
      case 0: return try w.add(.relu, x)
      case 1: return try w.add(.mul, x, try w.weights([2, 2]))
      case 2: return try w.add(.sub, try w.scalar(2), x)
      case 3: return try w.add(.add, try w.add(Reshape([2, 3, 4]), try w.input([2, 1, 3, 4])), try w.weights([4]))
      default: return try w.add(.sub, try w.add(Reshape([2, 3, 2, 2]), try w.input([6, 4])), x)
      }
    },
    refusals: [
      { w in try w.add(.add, try w.add(Reshape([2, 3, 2, 2]), try w.input([6, 4])), try w.weights([3, 1, 2])) },
      { w in try w.add(.add, try w.add(Reshape([2, 3, 2, 2]), try w.input([6, 4])), try w.input([2, 2])) },
      { w in try w.add(.add, try w.add(Reshape([6, 4]), try w.input([2, 3, 4])), try w.add(Reshape([6, 4]), try w.input([2, 12]))) },
    ])

  private static func sourceDims(_ m: Match) -> [Dim]? {
    for operand in m.operands("f") where m.type(of: operand).dims == m.result.dims {
      if let x = source(operand, m) { return m.type(of: x).dims }
    }
    return nil
  }

  /// The shape under which a constant, spread over `dims`, is spread over `source` in the same order of elements; nil when there is none.
  private static func shape(_ shape: Shape, _ dims: [Dim], _ source: [Dim]) -> Shape? {
    let core = Array(shape.drop { $0 == 1 })
    if core.isEmpty { return shape.count <= source.count ? shape : [] }
    guard core.count <= dims.count, zip(dims.suffix(core.count), core).allSatisfy({ $0.fixed == $1 }) else { return nil }
    let count = core.reduce(1, *)
    var found: Shape = []
    var product = 1
    for dim in source.reversed() {
      guard product < count, let length = dim.fixed, length > 0 else { break }
      found.insert(length, at: 0)
      product *= length
    }
    return product == count ? found : nil
  }

  // MARK: Ops of the last axis

  /// Whether an op works on the last axis alone, row by row.
  private static func isRowWise(_ op: any OpDefinition, _ m: Match) -> Bool {
    switch op {
    case let op as MatMul: return !op.transposeA && !op.epilogue.residual && m.operands("op").count > 1 && m.type(of: m.operands("op")[1]).rank == 2
    case let op as Softmax: return op.axis == -1 || op.axis == m.result.rank - 1
    case let op as LayerNorm: return op.axis == -1 || op.axis == m.result.rank - 1
    case let op as RMSNorm: return op.axis == -1 || op.axis == m.result.rank - 1
    default: return op is BatchNorm
    }
  }

  /// The operand of a reshape that only ops like these read.
  private static func rowSource(_ id: ValueID, _ m: Match) -> ValueID? {
    if let x = source(id, m) { return x }
    guard m.isRead(id), let node = m.producer(of: id), node.op is Reshape, let x = node.inputs.first, m.type(of: x).dims != m.type(of: id).dims
    else { return nil }
    let readers = m.users(of: id)
    let areRowWise = readers.allSatisfy { reader in
      guard let product = reader.op as? MatMul, reader.inputs.count > 1 else { return false }
      return !product.transposeA && !product.epilogue.residual && reader.inputs[0] == id && reader.inputs[1] != id
        && m.type(of: reader.inputs[1]).rank == 2
    }
    return areRowWise ? x : nil
  }

  private static func atLastAxis(_ op: any OpDefinition) -> any OpDefinition {
    switch op {
    case var op as Softmax:
      op.axis = -1
      return op
    case var op as LayerNorm:
      op.axis = -1
      return op
    case var op as RMSNorm:
      op.axis = -1
      return op
    default: return op
    }
  }

  private static let rows: [Pattern] = [
    .op(MatMul.self, as: "op", .first(["r"])), .op(Softmax.self, as: "op", .first(["r"])),
    .op(LayerNorm.self, as: "op", .first(["r"])), .op(RMSNorm.self, as: "op", .first(["r"])),
    .op(BatchNorm.self, as: "op", .first(["r"])),
  ]

  private static let throughLastAxis = Rule(
    "reshape-through-last-axis", "f(reshape(x)) → reshape(f(x)) for matmul, softmax and norms, where the reshape keeps the last axis",
    find: .oneOf(rows),
    rewrite: { m, draft in
      guard let op = m.anyOp("op"), let x = rowSource(try m.value("r"), m) else { return nil }
      let moved = try draft.add(atLastAxis(op), [x] + m.operands("op").dropFirst())
      return try draft.add(Reshape(m.result.dims), [moved])
    },
    when: { m in
      guard let op = m.anyOp("op"), let id = m.values["r"], let x = rowSource(id, m) else { return false }
      let type = m.type(of: x)
      return isRowWise(op, m) && type.rank >= 2 && m["r"].rank >= 2 && type.dims.last == m["r"].dims.last
        && !m.operands("op").dropFirst().contains(id)
    }, exactness: .folded, phase: .simplify,
    witness: { w in
      let x = w.size(0...1) == 0 ? try w.add(Reshape([6, 4]), try w.input([2, 3, 4])) : try w.add(Reshape([3, 2, 4]), try w.input([6, 4]))
      switch w.size(0...3) {
      case 0: return try w.add(MatMul(), x, try w.weights([4, 5]))
      case 1: return try w.add(Softmax(axis: -1), x)
      case 2: return try w.add(LayerNorm(axis: -1, epsilon: 1e-3, scale: true, offset: false), x, try w.weights([4]))
      default: return try WeightFoldingRules.batchNorm(&w, x, channels: 4)
      }
    },
    refusals: [
      { w in try w.add(MatMul(), try w.add(Reshape([3, 8]), try w.input([2, 3, 4])), try w.weights([8, 5])) },
      { w in try w.add(Softmax(axis: 0), try w.add(Reshape([6, 4]), try w.input([2, 3, 4]))) },
      { w in try w.add(MatMul(), try w.add(Reshape([2, 3, 4]), try w.input([6, 4])), try w.input([2, 4, 5])) },
    ])

  private static let aroundRows = Rule(
    "reshape-around-rows", "reshape(reshape(x) · w) → reshape(x) · w, where the outer reshape keeps the last axis",
    find: .op(
      Reshape.self, as: "outer",
      .exactly([.op(MatMul.self, as: "product", .first([.op(Reshape.self, as: "inner", .exactly(["x"])), "w"])) { !$0.transposeA && !$0.epilogue.residual }])),
    rewrite: { m, draft in
      guard let product = m.anyOp("product"), let inner: Reshape = m.op("inner"), let depth = inner.dims.last else { return nil }
      let rows = try draft.add(Reshape(m.result.dims.dropLast() + [depth]), [try m.value("x")])
      return try draft.add(product, [rows] + m.operands("product").dropFirst())
    },
    when: { m in
      guard let product: MatMul = m.op("product"), m["w"].rank == 2, m.result.rank >= 2 else { return false }
      return m["w"].dims[product.transposeB ? 0 : 1] == m.result.dims.last
    }, exactness: .folded, phase: .simplify,
    witness: { w in
      let rows = try w.add(Reshape([6, 4]), try w.input([2, 3, 2, 2]))
      return try w.add(Reshape([2, 3, 5]), try w.add(MatMul(), rows, try w.weights([4, 5])))
    },
    refusals: [
      { w in
        let rows = try w.add(Reshape([6, 4]), try w.input([2, 3, 2, 2]))
        return try w.add(Reshape([6, 2, 3]), try w.add(MatMul(), rows, try w.weights([4, 6])))
      }
    ])

  // MARK: Windows

  /// A window op that leaves out a spatial axis of length 1, along which it does nothing; and its kernel's shape.
  private static func without(_ axis: Int, _ op: any OpDefinition, kernel: Shape?) -> (op: any OpDefinition, kernel: Shape?)? {
    func drop(_ list: [Int]) -> [Int] {
      var list = list
      list.remove(at: axis)
      return list
    }
    func drop(_ padding: Padding) -> Padding? {
      guard case .explicit(var amounts) = padding else { return padding }
      guard amounts.indices.contains(axis), amounts[axis].low == 0, amounts[axis].high == 0 else { return nil }
      amounts.remove(at: axis)
      return .explicit(amounts)
    }
    var shape = kernel
    if let kernel {
      guard kernel.indices.contains(axis), kernel[axis] == 1 else { return nil }
      shape?.remove(at: axis)
    }
    switch op {
    case var op as Conv:
      guard let padding = drop(op.padding), op.strides.count > 1, !op.epilogue.residual else { return nil }
      (op.strides, op.dilations, op.padding) = (drop(op.strides), drop(op.dilations), padding)
      return (op, shape)
    case var op as ConvTranspose:
      guard let padding = drop(op.padding), op.strides.count > 1, op.strides[axis] == 1, !op.epilogue.residual, (op.outputPadding?[axis] ?? 0) == 0
      else { return nil }
      (op.strides, op.dilations, op.padding) = (drop(op.strides), drop(op.dilations), padding)
      op.outputPadding = op.outputPadding.map(drop)
      return (op, shape)
    case var op as Pool:
      guard let padding = drop(op.padding), op.strides.count > 1, op.window[axis] == 1 else { return nil }
      (op.window, op.strides, op.dilations, op.padding) = (drop(op.window), drop(op.strides), drop(op.dilations), padding)
      return (op, nil)
    default: return nil
    }
  }

  /// The spatial axis of length 1 that a reshape puts in and the window op does not need.
  private static func unit(_ m: Match) -> (x: ValueID, axis: Int, op: any OpDefinition, kernel: Shape?)? {
    guard let op = m.anyOp("window"), let id = m.values["r"], let x = source(id, m) else { return nil }
    let (dims, wide) = (m.type(of: x).dims, m.type(of: id).dims)
    guard dims.count + 1 == wide.count, dims.count >= 3 else { return nil }
    var kernel: Shape?
    if !(op is Pool) {
      guard let shape = m.tensor("w")?.shape, shape.count == wide.count else { return nil }
      kernel = shape
    }
    for axis in 1..<(wide.count - 1) where wide[axis] == 1 && m.result.dims[axis] == 1 {
      var rest = wide
      rest.remove(at: axis)
      guard rest == dims, let made = without(axis - 1, op, kernel: kernel) else { continue }
      return (x, axis, made.op, made.kernel)
    }
    return nil
  }

  private static let throughWindow = Rule(
    "reshape-through-window", "conv or pool of x with an axis of length 1 put in → the same over one axis less, then the axis put in",
    find: .oneOf([
      .op(Conv.self, as: "window", .first(["r", .constant("w")])), .op(ConvTranspose.self, as: "window", .first(["r", .constant("w")])),
      .op(Pool.self, as: "window", .exactly(["r"])),
    ]),
    rewrite: { m, draft in
      guard let (x, _, op, kernel) = unit(m) else { return nil }
      var operands = [x] + m.operands("window").dropFirst()
      if let kernel, let w = m.tensor("w") { operands[1] = draft.constant(w.reshaped(kernel), like: operands[1]) }
      return try draft.add(Reshape(m.result.dims), [try draft.add(op, operands)])
    }, when: { unit($0) != nil }, exactness: .folded, phase: .simplify,
    witness: { w in
      let x = try w.add(Reshape([2, 1, 7, 4]), try w.input([2, 7, 4]))
      switch w.size(0...3) {
      case 0: return try w.add(Conv(strides: [1, 2], padding: .same), x, try w.weights([1, 3, 4, 3]))
      case 1: return try w.add(Conv(strides: [2, 1], dilations: [1, 2], padding: .explicit([.init(0, 0), .init(2, 1)]), groups: 4), x, try w.weights([1, 3, 1, 4]))
      case 2: return try w.add(ConvTranspose(strides: [1, 2], padding: .same), x, try w.weights([1, 3, 3, 4]))
      default: return try w.add(Pool(w.size(0...1) == 0 ? .max : .average, window: [1, 3], strides: [1, 2], padding: .same), x)
      }
    },
    refusals: [
      { w in try w.add(Conv(strides: [1, 1], padding: .same), try w.add(Reshape([2, 1, 7, 4]), try w.input([2, 7, 4])), try w.weights([3, 3, 4, 3])) },
      { w in try w.add(Conv(strides: [1, 1]), try w.add(Reshape([2, 2, 7, 4]), try w.input([4, 7, 4])), try w.weights([1, 3, 4, 3])) },
      { w in try w.add(Pool(.max, window: [1, 2], strides: [1, 1], padding: .same), try w.add(Reshape([2, 7, 1, 4]), try w.input([2, 7, 4]))) },
    ])
}
