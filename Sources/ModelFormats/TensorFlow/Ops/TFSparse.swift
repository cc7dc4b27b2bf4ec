import GraphModule
import TensorModule

extension TFOpCatalog {
  /// Tensors as coordinates [n, rank], values [n] and a shape [rank].
  static let sparse = Family(
    "Sparse tensors",
    [
      "SparseToDense": { [try dense($0)] },
      "SparseReorder": { call in
        let order = try sortedOrder(call, try call.x(0), try call.terms(2, "a shape"))
        return try [call.x(0), call.x(1)].map { try call.add(Gather(axis: 0), [$0, order], "gather") }
      },
      "SparseFillEmptyRows": { try filledRows($0) },
      "SparseTensorDenseMatMul": { [try product($0)] },
      "SparseTensorDenseAdd": { call in
        let (indices, values, x) = (try call.x(0), try call.x(1), try call.x(3))
        return [try call.add(Scatter(.add), [x, indices, values], "scatter")]
      },
      "SparseReduceSum": { [try reduced($0, .add)] }, "SparseReduceMax": { [try reduced($0, .max)] },
      "SparseDenseCwiseMul": { [try combined($0, .mul)] }, "SparseDenseCwiseDiv": { [try combined($0, .div)] },
      "SparseDenseCwiseAdd": { [try combined($0, .add)] },
      "SparseSoftmax": { [try softmax($0)] },
    ],
    values: [
      "SparseReshape": { try reshaped($0) },
      "SparseSlice": { try sliced($0) },
      "SparseConcat": { try joined($0) },
      "SparseSplit": { try split($0) },
    ])

  // MARK: Coordinates

  /// The number of elements after each axis.
  private static func strides(_ dims: [Dim]) -> [Dim] {
    dims.indices.map { dims[($0 + 1)...].reduce(1, *) }
  }

  /// Coordinates [n, rank] as numbers [n], row-major.
  private static func flat(_ call: TFCall, _ indices: ValueID, _ dims: [Dim]) throws -> ValueID {
    let products = try call.binary(.mul, try call.cast(indices, .int64), try call.builder.vector(strides(dims)))
    return try call.reduce(.sum, products, [1])
  }

  /// Numbers [n] as coordinates [n, rank].
  private static func coordinates(_ call: TFCall, _ numbers: ValueID, _ dims: [Dim]) throws -> ValueID {
    let columns = try zip(dims, strides(dims)).enumerated().map { axis, pair -> ValueID in
      let part = pair.1 == 1 ? numbers : try call.binary(.floorDiv, numbers, try call.builder.size(pair.1))
      return try call.expand(axis == 0 ? part : try call.binary(.mod, part, try call.builder.size(pair.0)), 1)
    }
    return try call.concat(columns, axis: 1)
  }

  /// The order that sorts coordinates row-major; equal ones keep theirs.
  private static func sortedOrder(_ call: TFCall, _ indices: ValueID, _ dims: [Dim]) throws -> ValueID {
    try call.addAll(Sort(axis: 0), [try flat(call, indices, dims)], "sort")[1]
  }

  private static func column(_ call: TFCall, _ indices: ValueID, _ axis: Int) throws -> ValueID {
    try call.drop(try call.slice(indices, axis: 1, axis, axis + 1), 1)
  }

  private static func count(_ call: TFCall, _ indices: ValueID, _ index: Int) throws -> Dim {
    let type = call.type(indices)
    guard type.rank == 2, type.dtype.isInteger else { throw call.wrong("coordinates must be a matrix of integers, found \(type.message)") }
    return type.dims[0]
  }

  // MARK: Dense results

  private static func dense(_ call: TFCall) throws -> ValueID {
    var (indices, values) = (try call.x(0), try call.x(2))
    let dims = try call.sizes(1, "a shape")
    let type = call.type(indices)
    switch type.rank {
    case 0: indices = try call.reshape(indices, [1, 1])
    case 1: indices = try call.expand(indices, 1)
    default: break
    }
    let count = try count(call, indices, 0)
    if call.type(values).rank == 0 { values = try call.broadcast(values, [count]) }
    let start = try call.broadcast(try call.x(3), dims)
    return try call.add(Scatter(.update), [start, indices, values], "scatter")
  }

  private static func product(_ call: TFCall) throws -> ValueID {
    let (indices, values, dense) = (try call.x(0), try call.x(1), try call.x(3))
    let dims = try call.sizes(2, "a shape")
    let (turnsA, turnsB) = (try call.bool("adjoint_a"), try call.bool("adjoint_b"))
    guard dims.count == 2, call.type(dense).rank == 2 else { throw call.wrong("needs matrices") }
    let b = turnsB ? try call.transpose(dense, [1, 0]) : dense
    let rows = try column(call, indices, turnsA ? 1 : 0), columns = try column(call, indices, turnsA ? 0 : 1)
    let picked = try call.add(Gather(axis: 0), [b, columns], "gather")
    let scaled = try call.binary(.mul, picked, try call.expand(values, 1))
    let start = try call.broadcast(try call.scalar(0, call.type(scaled).dtype), [turnsA ? dims[1] : dims[0], call.type(b).dims[1]])
    return try call.add(Scatter(.add), [start, try call.expand(rows, 1), scaled], "scatter")
  }

  private static func reduced(_ call: TFCall, _ kind: Scatter.Kind) throws -> ValueID {
    let (indices, values) = (try call.x(0), try call.x(1))
    let dims = try call.sizes(2, "a shape")
    let axes = Set(try call.integers(3, "axes").map { try call.axis($0, dims.count) })
    let dropped = axes.isEmpty ? Set(dims.indices) : axes
    let kept = dims.indices.filter { !dropped.contains($0) }
    let dtype = call.type(values).dtype
    let count = try count(call, indices, 0)
    let places =
      kept.isEmpty
      ? try call.broadcast(try call.scalar(0, .int64), [count, 1])
      : try call.concat(try kept.map { try call.slice(indices, axis: 1, $0, $0 + 1) }, axis: 1)
    let result = kept.isEmpty ? [Dim(1)] : kept.map { dims[$0] }
    let zeros = try call.broadcast(try call.scalar(0, dtype), result)
    var sum: ValueID
    if kind == .max {
      let lowest = dtype.isFloat ? -Double.infinity : Double(dtype.integerRange?.lowerBound ?? 0)
      let most = try call.add(Scatter(.max), [try call.broadcast(try call.scalar(lowest, dtype), result), places, values], "scatter")
      let ones = try call.broadcast(try call.scalar(1, .int32), [count])
      let filled = try call.add(Scatter(.add), [try call.broadcast(try call.scalar(0, .int32), result), places, ones], "filled")
      sum = try call.select(try call.binary(.greater, filled, try call.scalar(0, .int32)), most, zeros)
    } else {
      sum = try call.add(Scatter(kind), [zeros, places, values], "scatter")
    }
    return try call.reshape(sum, try call.bool("keep_dims") ? dims.indices.map { dropped.contains($0) ? 1 : dims[$0] } : kept.map { dims[$0] })
  }

  /// The values joined with those of a dense tensor, broadcast, at the same places.
  private static func combined(_ call: TFCall, _ function: ScalarFunction) throws -> ValueID {
    let (indices, values, x) = (try call.x(0), try call.x(1), try call.x(3))
    let dims = try call.sizes(2, "a shape")
    let whole = try call.broadcast(x, dims)
    let flattened = try call.reshape(whole, [dims.reduce(1, *)])
    let picked = try call.add(Gather(axis: 0), [flattened, try flat(call, indices, dims)], "gather")
    return try call.binary(function, values, picked)
  }

  /// Over the values of each row of the last axis.
  private static func softmax(_ call: TFCall) throws -> ValueID {
    let (indices, values) = (try call.x(0), try call.x(1))
    let dims = try call.sizes(2, "a shape")
    guard dims.count >= 2 else { throw call.wrong("needs a matrix or more") }
    let rows = try call.add(Slice([.all, .init(end: -1)]), [indices], "slice")
    let ids = try flat(call, rows, Array(dims.dropLast()))
    let count = dims.dropLast().reduce(1, *)
    let most = try TFSegments.segments(call, values, ids, count, .max)
    let shifted = try call.unary(.exp, try call.binary(.sub, values, try call.add(Gather(axis: 0), [most, ids], "gather")))
    let sums = try TFSegments.segments(call, shifted, ids, count, .sum)
    return try call.binary(.div, shifted, try call.add(Gather(axis: 0), [sums, ids], "gather"))
  }

  // MARK: Sparse results

  private static func reshaped(_ call: TFCall) throws -> [TFValue] {
    let indices = try call.x(0)
    let dims = try call.terms(1, "a shape")
    var wanted = try call.terms(2, "a shape")
    if let open = wanted.firstIndex(of: -1) {
      wanted[open] = 1
      let (total, rest) = (dims.reduce(1, *), wanted.reduce(1, *))
      if let left = total.exactlyDivided(by: rest) { wanted[open] = left } else {
        wanted[open] = try call.bound(try call.binary(.floorDiv, try call.builder.size(total), try call.builder.size(rest)))
      }
    }
    let moved = dims == wanted ? indices : try coordinates(call, try flat(call, indices, dims), wanted)
    return [call.values([moved])[0], try call.vector(wanted, output: 1)]
  }

  /// One entry with a default value for each row that has none. Entries are in the order of rows.
  private static func filledRows(_ call: TFCall) throws -> [ValueID] {
    let (indices, values, filling) = (try call.x(0), try call.x(1), try call.x(3))
    let shape = try call.terms(2, "a shape")
    guard let first = shape.first else { throw call.wrong("needs a shape of one axis or more") }
    let rows = try call.builder.bound(first)
    let length = try count(call, indices, 0)
    let row = try column(call, indices, 0)
    let ones = try call.broadcast(try call.scalar(1, .int32), [length])
    let zeros = try call.broadcast(try call.scalar(0, .int32), [rows])
    let filled = try call.add(Scatter(.add), [zeros, try call.expand(row, 1), ones], "filled")
    let isEmpty = try call.binary(.equal, filled, try call.scalar(0, .int32))
    let empty = try places(call, isEmpty)
    let added = call.type(empty).dims[0]
    let rest = try call.broadcast(try call.scalar(0, .int64), [added, Dim(shape.count - 1)])
    let entries = shape.count == 1 ? empty : try call.concat([empty, rest], axis: 1)
    let all = try call.concat([indices, entries], axis: 0)
    let allValues = try call.concat([values, try call.broadcast(filling, [added])], axis: 0)
    let order = try call.addAll(Sort(axis: 0), [try column(call, all, 0)], "sort")[1]
    let back = try call.addAll(Sort(axis: 0), [order], "sort")[1]
    let map = try TFDynamicSlice.part(call, back, 0, 0, length)
    return [
      try call.add(Gather(axis: 0), [all, order], "gather"), try call.add(Gather(axis: 0), [allValues, order], "gather"), isEmpty,
      try call.cast(map, .int64),
    ]
  }

  /// The entries that a condition for each picks.
  private static func kept(_ call: TFCall, _ condition: ValueID, _ parts: [ValueID]) throws -> [ValueID] {
    let places = try positions(call, condition)
    return try parts.map { try call.add(Gather(axis: 0), [$0, places], "gather") }
  }

  private static func sliced(_ call: TFCall) throws -> [TFValue] {
    let (start, size, shape) = (try call.vector(3), try call.vector(4), try call.vector(2))
    let results = try window(call, try call.x(0), try call.x(1), start, try call.binary(.add, start, size))
    let left = try call.binary(.max, try call.binary(.sub, shape, start), try call.builder.size(0))
    return call.values(results + [try call.binary(.min, size, left)])
  }

  /// The entries between two corners, from the first on.
  private static func window(_ call: TFCall, _ indices: ValueID, _ values: ValueID, _ start: ValueID, _ end: ValueID) throws -> [ValueID] {
    let inside = try call.binary(.and, try call.binary(.greaterEqual, indices, start), try call.binary(.less, indices, end))
    let found = try kept(call, try call.reduce(.all, inside, [1]), [indices, values])
    return [try call.binary(.sub, found[0], start), found[1]]
  }

  private static func joined(_ call: TFCall) throws -> [TFValue] {
    let count = try call.int("N")
    guard count >= 1, call.inputs.count == 3 * count else { throw call.wrong("has \(call.inputs.count) inputs for \(count) tensors") }
    let shapes = try (0..<count).map { try call.terms(2 * count + $0, "a shape") }
    let rank = shapes[0].count
    guard shapes.allSatisfy({ $0.count == rank }) else { throw call.wrong("joins tensors of different ranks") }
    let axis = try call.axis(try call.int("concat_dim"), rank)
    var offset = Dim(0)
    let indices = try (0..<count).map { part -> ValueID in
      defer { offset = offset + shapes[part][axis] }
      let own = try call.x(part)
      if offset == 0 { return own }
      return try call.binary(.add, own, try call.builder.vector((0..<rank).map { $0 == axis ? offset : 0 }))
    }
    var dims = shapes[0]
    dims[axis] = offset
    let all = try call.concat(indices, axis: 0)
    let values = try call.concat(try (0..<count).map { try call.x(count + $0) }, axis: 0)
    let order = try sortedOrder(call, all, dims)
    let results = try [all, values].map { try call.add(Gather(axis: 0), [$0, order], "gather") }
    return call.values(results) + [try call.vector(dims, output: 2)]
  }

  /// Parts along an axis; the first ones are longer when the length does not divide.
  private static func split(_ call: TFCall) throws -> [TFValue] {
    let count = try call.int("num_split")
    guard count >= 1, count <= 1 << 12 else { throw call.wrong("\(count) parts are out of range") }
    let shape = try call.terms(3, "a shape")
    let axis = try call.axis(try call.integer(0, "an axis"), shape.count)
    guard let length = shape[axis].fixed else { throw call.unsupported("a split of an axis of unknown length") }
    var (indices, values, shapes): ([ValueID], [ValueID], [TFValue]) = ([], [], [])
    var start = 0
    for part in 0..<count {
      let size = length / count + (part < length % count ? 1 : 0)
      let (low, high) = (shape.indices.map { $0 == axis ? Dim(start) : 0 }, shape.indices.map { $0 == axis ? Dim(start + size) : shape[$0] })
      let found = try window(call, try call.x(1), try call.x(2), try call.builder.vector(low), try call.builder.vector(high))
      indices.append(found[0])
      values.append(found[1])
      shapes.append(try call.vector(shape.indices.map { $0 == axis ? Dim(size) : shape[$0] }, output: 2 * count + part))
      start += size
    }
    return call.values(indices + values) + shapes
  }
}
