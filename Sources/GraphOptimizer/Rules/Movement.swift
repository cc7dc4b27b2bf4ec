import GraphModule
import TensorModule

/// Rules about ops that only move or convert elements: cast, reshape, slice, concat, pad, broadcast.
enum MovementRules {
  static let all: [Rule] = [
    Rule(
      "cast-to-same", "cast(x, dtype of x) → x", find: .op(Cast.self, .exactly(["x"])), rewrite: { m, _ in try m.value("x") },
      when: { $0["x"].dtype == $0.result.dtype }, phase: .canonicalise,
      witness: { w in try w.add(Cast(.float32), try w.input(w.matrix())) },
      refusals: [{ w in try w.add(Cast(.float64), try w.input(w.matrix())) }]),
    Rule(
      "cast-of-cast", "cast(cast(x, A), B) → cast(x, B) when A holds every value of x",
      find: .op(Cast.self, as: "outer", .exactly([Pattern.op(Cast.self, as: "inner", .exactly(["x"])).shared])),
      rewrite: { m, draft in try draft.add(Cast(m.result.dtype), [try m.value("x")]) },
      when: { m in (m.op("inner") as Cast?).map { $0.dtype.holds(m["x"].dtype) } ?? false }, phase: .canonicalise,
      witness: { w in try w.add(Cast(.float16), try w.add(Cast(.float64), try w.input(w.matrix()))) },
      refusals: [{ w in try w.add(Cast(.float32), try w.add(Cast(.int32), try w.input(w.matrix()))) }]),
    Rule(
      "reshape-to-same", "reshape(x, dims of x) → x", find: .op(Reshape.self, .exactly(["x"])),
      rewrite: { m, _ in try m.value("x") }, when: { $0["x"] == $0.result }, phase: .canonicalise,
      witness: { w in
        let dims = w.matrix()
        return try w.add(Reshape(dims), try w.input(dims))
      },
      refusals: [{ w in try w.add(Reshape([6]), try w.input([2, 3])) }]),
    Rule(
      "reshape-of-reshape", "reshape(reshape(x)) → reshape(x)",
      find: .op(Reshape.self, as: "outer", .exactly([Pattern.op(Reshape.self, .exactly(["x"])).shared])),
      rewrite: { m, draft in
        guard let outer: Reshape = m.op("outer") else { return nil }
        return try draft.add(outer, [try m.value("x")])
      }, phase: .canonicalise,
      witness: { w in try w.add(Reshape([3, 2, 2]), try w.add(Reshape([4, 3]), try w.input([2, 6]))) }),
    Rule(
      "slice-of-everything", "slice(x, everything) → x", find: .op(Slice.self, as: "slice", .exactly(["x"])),
      rewrite: { m, _ in try m.value("x") },
      when: { m in
        guard let slice: Slice = m.op("slice"), m["x"] == m.result else { return false }
        return zip(slice.ranges, m["x"].dims).allSatisfy { range, dim in
          range.step == 1 && (dim.fixed != nil || ((range.start ?? 0) == 0 && range.end == nil))
        }
      }, phase: .canonicalise,
      witness: { w in
        try w.add(Slice([.all, Slice.Range(start: 0, end: 99, step: 1)]), try w.input(w.matrix()))
      },
      refusals: [
        { w in try w.add(Slice([.all, Slice.Range(start: 1)]), try w.input([3, 4])) },
        { w in try w.add(Slice([.all, Slice.Range(step: -1)]), try w.input([3, 4])) },
      ]),
    sliceOfConcat,
    Rule(
      "concat-of-one", "concat(x) → x", find: .op(Concat.self, .exactly(["x"])), rewrite: { m, _ in try m.value("x") },
      phase: .canonicalise, witness: { w in try w.add(Concat(axis: 0), try w.input(w.matrix())) },
      refusals: [{ w in try w.add(Concat(axis: 0), try w.input([1, 2]), try w.input([3, 2])) }]),
    concatOfConcat,
    Rule(
      "pad-with-nothing", "pad(x, 0, 0) → x",
      find: .op(Pad.self, .exactly(["x"])) { ($0.low + $0.high).allSatisfy { $0 == 0 } },
      rewrite: { m, _ in try m.value("x") }, phase: .canonicalise,
      witness: { w in try w.add(Pad(.constant, low: [0, 0], high: [0, 0]), try w.input(w.matrix())) },
      refusals: [{ w in try w.add(Pad(.constant, low: [0, 1], high: [0, 0]), try w.input(w.matrix())) }]),
    Rule(
      "pad-of-pad", "pad(pad(x)) → pad(x), for one constant",
      find: .op(
        Pad.self, as: "outer",
        .exactly([.op(Pad.self, as: "inner", .exactly(["x"])) { $0.mode == .constant }])) { $0.mode == .constant },
      rewrite: { m, draft in
        guard let outer: Pad = m.op("outer"), let inner: Pad = m.op("inner") else { return nil }
        let low = zip(outer.low, inner.low).map(+)
        let high = zip(outer.high, inner.high).map(+)
        return try draft.add(Pad(.constant, low: low, high: high, value: outer.value), [try m.value("x")])
      },
      when: { m in (m.op("outer") as Pad?)?.value == (m.op("inner") as Pad?)?.value }, phase: .simplify,
      witness: { w in
        try w.add(
          Pad(.constant, low: [0, 1], high: [2, 0]),
          try w.add(Pad(.constant, low: [1, 0], high: [0, 3]), try w.input(w.matrix())))
      },
      refusals: [
        { w in
          try w.add(
            Pad(.constant, low: [0, 1], high: [2, 0]),
            try w.add(Pad(.constant, low: [1, 0], high: [0, 3], value: 1), try w.input(w.matrix())))
        }
      ]),
    Rule(
      "broadcast-to-same", "broadcast_to(x, dims of x) → x", find: .op(BroadcastTo.self, .exactly(["x"])),
      rewrite: { m, _ in try m.value("x") }, when: { $0["x"] == $0.result }, phase: .canonicalise,
      witness: { w in
        let dims = w.matrix()
        return try w.add(BroadcastTo(dims), try w.input(dims))
      },
      refusals: [{ w in try w.add(BroadcastTo([2, 3]), try w.input([3])) }]),
    broadcastIntoElementwise,
    Rule(
      "reduce-of-single-elements", "reduce over axes of length 1 → reshape",
      find: .op(Reduce.self, as: "reduce", .exactly(["x"])) { $0.kind != .logsumexp },
      rewrite: { m, draft in try draft.add(Reshape(m.result.dims), [try m.value("x")]) },
      when: { m in (m.op("reduce") as Reduce?).map { $0.axes.allSatisfy { m["x"].dims[$0].fixed == 1 } } ?? false },
      mayDiffer: .signedZero, phase: .simplify, witness: { w in try w.add(Reduce(.mean, axes: [1], keepDims: false), try w.input([3, 1, 2])) },
      refusals: [{ w in try w.add(Reduce(.mean, axes: [1], keepDims: false), try w.input([3, 2, 1])) }]),
  ]

  private static let sliceOfConcat = Rule(
    "slice-of-concat", "slice(concat(…, x, …), the part that is x) → x",
    find: .op(Slice.self, as: "slice", .exactly([Pattern.op(Concat.self, as: "concat", .every("part")).shared])),
    rewrite: { m, _ in
      guard let slice: Slice = m.op("slice"), let concat: Concat = m.op("concat") else { return nil }
      let parts = m.operands("concat")
      let axis = concat.axis < 0 ? concat.axis + slice.ranges.count : concat.axis
      let lengths = parts.compactMap { m.type(of: $0).dims[axis].fixed }
      guard lengths.count == parts.count, slice.ranges.indices.allSatisfy({ $0 == axis || slice.ranges[$0] == .all }), slice.ranges[axis].step == 1 else { return nil }
      let (start, count) = slice.ranges[axis].resolved(lengths.reduce(0, +))
      var offset = 0
      for (part, length) in zip(parts, lengths) {
        if offset == start, length == count, length > 0 { return part }
        offset += length
      }
      return nil
    }, phase: .simplify,
    witness: { w in
      let parts = [try w.input([2, 3, 4]), try w.input([2, 1, 4]), try w.input([2, 2, 4])]
      let range = [Slice.Range(end: 3), Slice.Range(start: 3, end: 4), Slice.Range(start: -2)][w.size(0...2)]
      return try w.addMany(Slice([.all, range, .all]), [try w.addMany(Concat(axis: 1), parts)[0]])[0]
    },
    refusals: [
      { w in try w.add(Slice([.all, .init(start: 1, end: 4)]), try w.add(Concat(axis: 1), try w.input([2, 3]), try w.input([2, 3]))) },
      { w in try w.add(Slice([.init(start: 1), .init(end: 3)]), try w.add(Concat(axis: 1), try w.input([2, 3]), try w.input([2, 3]))) },
    ])

  private static let concatOfConcat = Rule(
    "concat-of-concat", "concat(a, concat(b, c)) → concat(a, b, c) along one axis",
    find: .op(Concat.self, as: "outer", .every("x")),
    rewrite: { m, draft in
      guard let outer: Concat = m.op("outer") else { return nil }
      let operands = m.operands("outer").flatMap { inner($0, outer, m)?.inputs ?? [$0] }
      return try draft.add(outer, operands)
    },
    when: { m in
      guard let outer: Concat = m.op("outer") else { return false }
      return m.operands("outer").contains { inner($0, outer, m) != nil }
    }, phase: .simplify,
    witness: { w in
      let inner = try w.add(Concat(axis: 1), try w.input([2, 3]), try w.input([2, 1]))
      return try w.add(Concat(axis: 1), try w.input([2, 4]), inner)
    },
    refusals: [
      { w in
        let inner = try w.add(Concat(axis: 0), try w.input([1, 3]), try w.input([1, 3]))
        return try w.add(Concat(axis: 1), try w.input([2, 4]), inner)
      },
      { w in
        let inner = try w.add(Concat(axis: 1), try w.input([2, 3]), try w.input([2, 1]))
        return try w.add(Concat(axis: 1), inner, try w.add(.neg, inner))
      },
    ])

  /// The node that makes an operand, when it is a concat along the same axis that only this node reads.
  private static func inner(_ operand: ValueID, _ outer: Concat, _ match: Match) -> Node? {
    guard match.isPrivate(operand), let node = match.producer(of: operand), let concat = node.op as? Concat,
      concat.axis == outer.axis
    else { return nil }
    return node
  }

  private static let broadcastIntoElementwise = Rule(
    "broadcast-into-elementwise", "f(broadcast_to(x), y) → f(x, y) when y has the dims",
    find: .elementwise(as: "f"),
    rewrite: { m, draft in
      guard let op = m.anyOp("f") else { return nil }
      let operands = m.operands("f").map { source($0, m) ?? $0 }
      return try draft.add(op, operands)
    }, when: { m in m.operands("f").contains { source($0, m) != nil } }, phase: .simplify,
    witness: { w in try w.add(.add, try w.input([4, 3, 5]), try w.add(BroadcastTo([4, 3, 5]), try w.input([3, 1]))) },
    refusals: [
      { w in try w.add(.neg, try w.add(BroadcastTo([3, 5]), try w.input([5]))) },
      { w in try w.add(.add, try w.input([1, 5]), try w.add(BroadcastTo([3, 5]), try w.input([5]))) },
    ])

  private static func source(_ operand: ValueID, _ match: Match) -> ValueID? {
    guard let node = match.producer(of: operand), node.op is BroadcastTo else { return nil }
    return node.inputs.first
  }
}

extension DType {
  /// Whether every value of another dtype is one of this dtype.
  func holds(_ other: DType) -> Bool {
    if self == other { return true }
    if other == .string || self == .string || self == .bool { return false }
    if other == .bool { return true }
    if let range = other.integerRange {
      if let own = integerRange { return own.lowerBound <= range.lowerBound && own.upperBound >= range.upperBound }
      let digits = other.byteCount * 8 - (other == .uint8 ? 0 : 1)
      return digits <= significandDigits
    }
    switch (other, self) {
    case (.float16, .float32), (.bfloat16, .float32), (.float16, .float64), (.bfloat16, .float64), (.float32, .float64): return true
    default: return false
    }
  }

  private var significandDigits: Int {
    switch self {
    case .float64: 53
    case .float32: 24
    case .float16: 11
    case .bfloat16: 8
    default: 0
    }
  }
}
