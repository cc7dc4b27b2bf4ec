import GraphModule
import TensorModule

/// Rules that cancel transposes, and move those that remain towards the outputs so that they meet others.
enum TransposeRules {
  static let all: [Rule] = [
    Rule(
      "transpose-of-nothing", "transpose(x, 0, 1, …) → x",
      find: .op(Transpose.self, .exactly(["x"])) { $0.permutation == Array($0.permutation.indices) },
      rewrite: { m, _ in try m.value("x") }, phase: .canonicalise,
      witness: { w in try w.add(Transpose([0, 1]), try w.input(w.matrix())) },
      refusals: [{ w in try w.add(Transpose([1, 0]), try w.input([2, 2])) }]),
    Rule(
      "transpose-of-transpose", "transpose(transpose(x, p), q) → transpose(x, p∘q), or x when they cancel",
      find: .op(Transpose.self, as: "outer", .exactly([Pattern.op(Transpose.self, as: "inner", .exactly(["x"])).shared])),
      rewrite: { m, draft in
        guard let outer: Transpose = m.op("outer"), let inner: Transpose = m.op("inner") else { return nil }
        let permutation = outer.permutation.map { inner.permutation[$0] }
        if permutation == Array(permutation.indices) { return try m.value("x") }
        return try draft.add(Transpose(permutation), [try m.value("x")])
      }, phase: .canonicalise,
      witness: { w in
        let second = [[0, 2, 3, 1], [0, 3, 1, 2], [3, 2, 1, 0]][w.size(0...2)]
        return try w.add(Transpose(second), try w.add(Transpose([0, 3, 1, 2]), try w.input([2, 3, 4, 5])))
      }),
    Rule(
      "transpose-of-single-elements", "transpose that moves axes of length 1 only → reshape",
      find: .op(Transpose.self, as: "transpose", .exactly(["x"])),
      rewrite: { m, draft in try draft.add(Reshape(m.result.dims), [try m.value("x")]) },
      when: { m in
        guard let op: Transpose = m.op("transpose") else { return false }
        let moved = op.permutation.filter { m["x"].dims[$0].fixed != 1 }
        return moved == moved.sorted()
      }, phase: .simplify, witness: { w in try w.add(Transpose([0, 3, 1, 2]), try w.input([2, 1, 1, 5])) },
      refusals: [{ w in try w.add(Transpose([0, 3, 1, 2]), try w.input([2, 1, 3, 5])) }]),
    throughElementwise, throughConcat, throughPad, throughReduce, throughSoftmax, throughSlice, intoMatMulA, intoMatMulB, ofProduct,
    intoDense,
  ]

  /// The transpose that makes a value, when moving it behind its readers may help: each of them lets it through.
  static func movable(_ id: ValueID, _ match: Match) -> (op: Transpose, x: ValueID)? {
    guard let node = match.producer(of: id), let op = node.op as? Transpose, let x = node.inputs.first,
      op.permutation != Array(op.permutation.indices)
    else { return nil }
    let readers = match.users(of: id)
    guard readers.count > 1 || !match.isPrivate(id) else { return (op, x) }
    let movable = readers.allSatisfy { $0.op is Transpose || $0.op is Elementwise || $0.op is Concat || $0.op is Pad }
    return movable && match.isRead(id) ? (op, x) : nil
  }

  /// The operand of a reshape and the dims to give it, so that a transpose can move behind the reader of both: where it would
  /// move only axes of length 1 of the reshaped value.
  static func turnedReshape(_ id: ValueID, _ permutation: [Int], _ match: Match) -> (source: ValueID, dims: [Dim])? {
    let dims = match.type(of: id).dims
    guard dims.count == permutation.count, let node = match.producer(of: id), node.op is Reshape, let source = node.inputs.first else { return nil }
    let back = inverse(permutation)
    let long = back.filter { dims[$0].fixed != 1 }
    return long == long.sorted() ? (source, back.map { dims[$0] }) : nil
  }

  static func inverse(_ permutation: [Int]) -> [Int] {
    var result = permutation
    for (to, from) in permutation.enumerated() { result[from] = to }
    return result
  }

  private static let nchw = [0, 3, 1, 2]

  private static let ofProduct = Rule(
    "transpose-of-product", "(a · b)ᵀ → bᵀ · aᵀ, by what the product reads transposed",
    find: .op(
      Transpose.self, as: "transpose",
      .exactly([.op(MatMul.self, as: "product", .exactly(["a", "b"])) { $0.epilogue.activation == .identity }])),
    rewrite: { m, draft in
      guard let product: MatMul = m.op("product") else { return nil }
      let turned = MatMul(transposeA: !product.transposeB, transposeB: !product.transposeA)
      return try draft.add(turned, [try m.value("b"), try m.value("a")])
    },
    when: { m in
      guard let permutation = (m.op("transpose") as Transpose?)?.permutation, permutation.count >= 2 else { return false }
      let last = permutation.count - 1
      return permutation == Array(0..<last - 1) + [last, last - 1]
    }, phase: .simplify,
    witness: { w in
      let a = w.size(0...1) == 0
      let product = try w.add(MatMul(transposeA: a), try w.input(a ? [2, 4, 3] : [2, 3, 4]), try w.input([2, 4, 5]))
      return try w.add(Transpose([0, 2, 1]), product)
    },
    refusals: [
      { w in try w.add(Transpose([1, 0, 2]), try w.add(MatMul(), try w.input([2, 3, 4]), try w.input([2, 4, 3]))) }
    ])

  private static let throughElementwise = Rule(
    "transpose-through-elementwise", "f(transpose(x), transpose(y), c) → transpose(f(x, y, transpose⁻¹(c)))",
    find: .elementwise(as: "f"),
    rewrite: { m, draft in
      guard let op = m.anyOp("f") else { return nil }
      let operands = m.operands("f")
      guard let permutation = operands.lazy.compactMap({ movable($0, m)?.op.permutation }).first,
        permutation.count == m.result.rank
      else { return nil }
      var moved: [ValueID] = []
      for operand in operands {
        if let (transpose, x) = movable(operand, m) {
          guard transpose.permutation == permutation else { return nil }
          moved.append(x)
        } else if m.type(of: operand).dims.allSatisfy({ $0.fixed == 1 }) {
          guard m.type(of: operand).rank == 0 || m.type(of: operand).rank <= permutation.count else { return nil }
          moved.append(operand)
        } else if let tensor = draft.constantValue(operand), tensor.dtype != .string {
          let shape = [Int](repeating: 1, count: permutation.count - tensor.shape.count) + tensor.shape
          moved.append(draft.constant(try tensor.reshaped(shape).transposed(inverse(permutation)), like: operand))
        } else if let (source, dims) = turnedReshape(operand, permutation, m) {
          moved.append(m.type(of: source).dims == dims ? source : try draft.add(Reshape(dims), [source]))
        } else {
          return nil
        }
      }
      return try draft.add(Transpose(permutation), [try draft.add(op, moved)])
    }, when: { m in m.operands("f").contains { movable($0, m) != nil } }, phase: .simplify,
    witness: { w in
      let x = try w.add(Transpose(nchw), try w.input([2, 3, 4, 5]))
      switch w.size(0...3) {
      case 0: return try w.add(.relu, x)
      case 3: return try w.add(.mul, x, try w.add(Reshape([2, 5, 1, 1]), try w.input([2, 1, 1, 5])))
      case 1: return try w.add(.mul, x, try w.weights([5, 1, 1]))
      default: return try w.add(.sub, try w.add(Transpose(nchw), try w.input([2, 3, 4, 5])), x)
      }
    },
    refusals: [
      { w in try w.add(.add, try w.add(Transpose(nchw), try w.input([2, 3, 4, 5])), try w.input([2, 5, 3, 4])) },
      { w in
        try w.add(
          .add, try w.add(Transpose(nchw), try w.input([2, 3, 3, 3])),
          try w.add(Transpose([0, 2, 1, 3]), try w.input([2, 3, 3, 3])))
      },
    ])

  private static let throughConcat = Rule(
    "transpose-through-concat", "concat(transpose(x), transpose(y)) → transpose(concat(x, y))",
    find: .op(Concat.self, as: "concat", .every("x")),
    rewrite: { m, draft in
      guard let concat: Concat = m.op("concat") else { return nil }
      let sources = m.operands("concat").compactMap { movable($0, m) }
      guard let permutation = sources.first?.op.permutation, sources.count == m.operands("concat").count,
        sources.allSatisfy({ $0.op.permutation == permutation })
      else { return nil }
      let joined = try draft.add(Concat(axis: permutation[concat.axis]), sources.map(\.x))
      return try draft.add(Transpose(permutation), [joined])
    }, phase: .simplify,
    witness: { w in
      let x = try w.add(Transpose(nchw), try w.input([2, 3, 4, 5]))
      return try w.add(Concat(axis: 1), x, try w.add(Transpose(nchw), try w.input([2, 3, 4, 2])))
    },
    refusals: [
      { w in try w.add(Concat(axis: 1), try w.add(Transpose(nchw), try w.input([2, 3, 4, 5])), try w.input([2, 1, 3, 4])) }
    ])

  private static let throughPad = Rule(
    "transpose-through-pad", "pad(transpose(x)) → transpose(pad(x))", find: .op(Pad.self, as: "pad", .exactly(["t"])),
    rewrite: { m, draft in
      guard var pad: Pad = m.op("pad"), let (transpose, x) = movable(try m.value("t"), m) else { return nil }
      let back = inverse(transpose.permutation)
      pad.low = back.map { pad.low[$0] }
      pad.high = back.map { pad.high[$0] }
      return try draft.add(transpose, [try draft.add(pad, [x])])
    }, phase: .simplify,
    witness: { w in
      try w.add(Pad(.constant, low: [0, 0, 1, 2], high: [0, 0, 3, 4]), try w.add(Transpose(nchw), try w.input([2, 3, 4, 5])))
    })

  private static let throughReduce = Rule(
    "transpose-through-reduce", "reduce(transpose(x)) → transpose(reduce(x)), without the transpose where the order allows",
    find: .op(Reduce.self, as: "reduce", .exactly(["t"])),
    rewrite: { m, draft in
      guard let reduce: Reduce = m.op("reduce"), let (transpose, x) = movable(try m.value("t"), m) else { return nil }
      let permutation = transpose.permutation
      let axes = reduce.axes.map { permutation[$0] }.sorted()
      let reduced = try draft.add(Reduce(reduce.kind, axes: axes, keepDims: reduce.keepDims), [x])
      if reduce.keepDims { return try draft.add(transpose, [reduced]) }
      let kept = permutation.indices.filter { !reduce.axes.contains($0) }.map { permutation[$0] }
      let order = kept.sorted()
      if kept == order { return reduced }
      return try draft.add(Transpose(kept.map { axis in order.firstIndex(of: axis) ?? 0 }), [reduced])
    }, exactness: .folded, phase: .simplify,
    witness: { w in
      let axes = [[2, 3], [1], [0, 2]][w.size(0...2)]
      return try w.add(
        Reduce(.mean, axes: axes, keepDims: w.size(0...1) == 0), try w.add(Transpose(nchw), try w.input([2, 3, 4, 5])))
    })

  private static let throughSoftmax = Rule(
    "transpose-through-softmax", "softmax(transpose(x)) → transpose(softmax(x))",
    find: .op(Softmax.self, as: "softmax", .exactly(["t"])),
    rewrite: { m, draft in
      guard let softmax: Softmax = m.op("softmax"), let (transpose, x) = movable(try m.value("t"), m) else { return nil }
      let axis = softmax.axis < 0 ? softmax.axis + transpose.permutation.count : softmax.axis
      return try draft.add(transpose, [try draft.add(Softmax(axis: transpose.permutation[axis], log: softmax.log), [x])])
    }, phase: .simplify,
    witness: { w in try w.add(Softmax(axis: 1), try w.add(Transpose(nchw), try w.input([2, 3, 4, 5]))) })

  private static let throughSlice = Rule(
    "transpose-through-slice", "slice(transpose(x)) → transpose(slice(x))",
    find: .op(Slice.self, as: "slice", .exactly(["t"])),
    rewrite: { m, draft in
      guard let slice: Slice = m.op("slice"), let (transpose, x) = movable(try m.value("t"), m) else { return nil }
      let ranges = inverse(transpose.permutation).map { slice.ranges[$0] }
      return try draft.add(transpose, [try draft.add(Slice(ranges), [x])])
    }, phase: .simplify,
    witness: { w in
      try w.add(
        Slice([.all, Slice.Range(start: 1), Slice.Range(step: 2), .all]),
        try w.add(Transpose(nchw), try w.input([2, 3, 4, 5])))
    })

  /// Whether a permutation swaps the last two axes only.
  private static func swapsLastTwo(_ permutation: [Int]) -> Bool {
    let rank = permutation.count
    guard rank >= 2 else { return false }
    return permutation == Array(0..<(rank - 2)) + [rank - 1, rank - 2]
  }

  private static func intoMatMul(_ name: String, _ summary: String, isLeft: Bool) -> Rule {
    let transpose = Pattern.op(Transpose.self, .exactly(["t"])) { swapsLastTwo($0.permutation) }.shared
    return Rule(
      name, summary, find: .op(MatMul.self, as: "product", .first(isLeft ? [transpose, "other"] : ["other", transpose])),
      rewrite: { m, draft in
        guard var op: MatMul = m.op("product") else { return nil }
        if isLeft { op.transposeA.toggle() } else { op.transposeB.toggle() }
        var operands = m.operands("product")
        operands[isLeft ? 0 : 1] = try m.value("t")
        return try draft.add(op, operands)
      }, phase: .simplify,
      witness: { w in
        let t = try w.add(Transpose([0, 2, 1]), try w.input([2, 3, 4]))
        return isLeft
          ? try w.add(MatMul(), t, try w.input([2, 3, 5])) : try w.add(MatMul(), try w.input([2, 5, 4]), t)
      },
      refusals: [
        { w in
          let t = try w.add(Transpose([1, 0, 2]), try w.input([3, 2, 4]))
          return isLeft ? try w.add(MatMul(), t, try w.input([2, 4, 5])) : try w.add(MatMul(), try w.input([2, 5, 3]), t)
        }
      ])
  }

  private static let intoMatMulA = intoMatMul(
    "transpose-into-left-operand", "matmul(transpose(a), b) → matmul(a, b) that reads a transposed", isLeft: true)
  private static let intoMatMulB = intoMatMul(
    "transpose-into-right-operand", "matmul(a, transpose(b)) → matmul(a, b) that reads b transposed", isLeft: false)

  private static let intoDense = Rule(
    "transpose-into-dense", "matmul(flatten(transpose(x)), w) → matmul(flatten(x), w with its rows reordered)",
    find: .op(
      MatMul.self, as: "product",
      .first([.op(Reshape.self, as: "flatten", .exactly([.op(Transpose.self, as: "transpose", .exactly(["x"]))])), .constant("w")])
    ) { !$0.transposeA && !$0.transposeB },
    rewrite: { m, draft in
      guard let product = m.anyOp("product"), let flatten: Reshape = m.op("flatten"), let w = m.tensor("w"),
        let transpose: Transpose = m.op("transpose")
      else { return nil }
      let lengths = transpose.permutation.dropFirst().compactMap { m["x"].dims[$0].fixed }
      guard lengths.count == transpose.permutation.count - 1, lengths.elementCount == w.shape[0] else { return nil }
      let back = inverse(transpose.permutation).dropFirst().map { $0 - 1 }
      let rows = try w.reshaped(lengths + [w.shape[1]]).transposed(back + [lengths.count]).reshaped(w.shape)
      var operands = m.operands("product")
      operands[0] = try draft.add(flatten, [try m.value("x")])
      operands[1] = draft.constant(rows, like: try m.value("w"))
      return try draft.add(product, operands)
    },
    when: { m in
      guard let flatten: Reshape = m.op("flatten"), let transpose: Transpose = m.op("transpose") else { return false }
      return transpose.permutation.first == 0 && transpose.permutation.count < maximumRank && flatten.dims.count == 2
        && flatten.dims[0] == m["x"].dims[0] && m["w"].rank == 2
    }, exactness: .folded, phase: .foldConstants,
    witness: { w in
      let flat = try w.add(Reshape([2, 60]), try w.add(Transpose(nchw), try w.input([2, 3, 4, 5])))
      return try w.add(MatMul(), flat, try w.weights([60, 4]))
    },
    refusals: [
      { w in
        let flat = try w.add(Reshape([3, 40]), try w.add(Transpose([1, 0, 2, 3]), try w.input([2, 3, 4, 5])))
        return try w.add(MatMul(), flat, try w.weights([40, 4]))
      },
      { w in
        let flat = try w.add(Reshape([2, 60]), try w.add(Transpose(nchw), try w.input([2, 3, 4, 5])))
        return try w.add(MatMul(), flat, try w.input([60, 4]))
      },
    ])
}
