import GraphModule
import TensorModule

extension TFOpCatalog {
  /// Shapes, and what follows from them.
  static let shapes = Family(
    "Shapes",
    [
      "Reshape": { [try reshapedTensor($0)] },
      "Squeeze": { call in
        let x = try call.x(0)
        let type = call.type(x)
        var axes = try call.ints("squeeze_dims", try call.ints("axis", []))
        if axes.isEmpty { axes = type.dims.indices.filter { type.dims[$0] == 1 } }
        let dropped = Set(try axes.map { try call.axis($0, type.rank) })
        for axis in dropped { if let length = type.dims[axis].fixed, length != 1 { throw call.wrong("axis \(axis) of \(type.message) is not 1 long") } }
        return [try call.reshape(x, type.dims.indices.filter { !dropped.contains($0) }.map { type.dims[$0] })]
      },
      "ExpandDims": { call in
        let x = try call.x(0)
        return [try call.expand(x, try call.axis(try call.integer(1, "an axis"), call.type(x).rank + 1))]
      },
      "Transpose": { [try transposed($0)] },
      "ConjugateTranspose": { [try transposed($0)] },
      "BroadcastTo": { call in
        let x = try call.x(0)
        return [try call.broadcast(x, try call.sizes(1, "a shape"))]
      },
      "Fill": { call in [try call.broadcast(try call.x(1), try call.sizes(0, "a shape"))] },
      "Range": { [try range($0)] },
      "LinSpace": { [try linSpace($0)] },
      "InvertPermutation": { [try invertedPermutation($0)] },
      "Shape": { [try shape($0, 0)] },
      "ShapeN": { call in try call.inputs.indices.map { try shape(call, $0) } },
      "Size": { call in [try call.reduce(.prod, try shape(call, 0), [0])] },
      "Rank": { call in [try call.scalar(Double(try call.input(0).type.rank), .int32)] },
      "ConcatOffset": { _ in throw KilnError(.unsupportedModel, "offsets in shapes that depend on the model's data are not supported") },
      "UnravelIndex": { call in
        let x = try call.x(0), type = call.type(x)
        let dims = try call.integers(1, "dims")
        var rows: [ValueID] = []
        var rest = x
        for dim in dims.reversed() {
          guard dim > 0 else { throw call.wrong("a dim is \(dim)") }
          let length = try call.scalar(Double(dim), type.dtype)
          rows.insert(try call.expand(try call.binary(.mod, rest, length), 0), at: 0)
          rest = try call.binary(.floorDiv, rest, length)
        }
        return [try call.concat(rows, axis: 0)]
      },
      "BroadcastArgs": { _ in throw KilnError(.unsupportedModel, "shapes that depend on the model's data are not supported") },
    ])

  /// The lengths of an operand's axes as a vector.
  static func shape(_ call: TFCall, _ index: Int) throws -> ValueID {
    let value = try call.input(index)
    let dtype = try call.dtype("out_type", .int32)
    if let shape = value.type.shape { return try call.numbers(shape.map(Double.init), [shape.count], dtype, "shape") }
    return try call.cast(try call.add(ShapeOf(), [try call.x(index)], "shape_of"), dtype)
  }

  /// A reshape whose shape may hold one −1, also among numbers that the model computes.
  static func reshapedTensor(_ call: TFCall) throws -> ValueID {
    let x = try call.x(0)
    let type = call.type(x)
    let asked = try call.numbers(1, "a shape")
    let open = asked.indices.filter { asked[$0] == nil || asked[$0]?.fixed == -1 }
    guard asked.filter({ $0?.fixed == -1 }).count <= 1 else { throw call.wrong("asks for two unknown lengths") }
    var dims = asked.map { $0 ?? 1 }
    for place in open { dims[place] = 1 }
    guard let place = open.first else { return try call.reshape(x, dims) }
    if open.count == 1 {
      let rest = dims.reduce(1, *)
      let total = type.elementCount
      if rest == 0 || total == 0, asked[place] != nil {
        dims[place] = 0
        return try call.reshape(x, dims)
      }
      if rest != 0, total != 0, let left = total.exactlyDivided(by: rest) {
        dims[place] = left
        return try call.reshape(x, dims)
      }
    }
    for place in open { dims[place] = call.dataSize() }
    return try call.dynamic(DynamicReshape(dims), [x, try call.vector(1)], "dynamic_reshape")[0]
  }

  private static func transposed(_ call: TFCall) throws -> ValueID {
    let x = try call.x(0)
    let rank = call.type(x).rank
    let permutation = try call.integers(1, "a permutation").map { try call.axis($0, rank) }
    guard permutation.sorted() == Array(0..<rank) else { throw call.wrong("\(permutation) is no permutation of \(rank) axes") }
    return try call.transpose(x, permutation)
  }

  private static func range(_ call: TFCall) throws -> ValueID {
    let dtype = try call.input(0).type.dtype
    guard call.inputs.count == 3 else { throw call.wrong("needs a start, a limit and a step") }
    if call.inputs.allSatisfy({ $0.evaluated != nil }) {
      let (start, limit, delta) = (try call.number(0, "a start"), try call.number(1, "a limit"), try call.number(2, "a step"))
      guard delta != 0 else { throw call.wrong("its step is 0") }
      let count = Swift.max(0.0, ((limit - start) / delta).rounded(.up))
      guard count <= 16_777_216 else { throw call.wrong("makes \(count) numbers") }
      let whole = Int(count)
      let values = try call.numbers((0..<whole).map { start + Double($0) * delta }, [whole], dtype, "values")
      if start == 0, delta == 1 { call.builder.counts.insert(values) }
      return values
    }
    if dtype.isInteger, let start = try call.input(0).known?.elements.first, let limit = try call.input(1).known?.elements.first,
      let step = try call.input(2).known?.fixed?.first, step > 0, TFShapeArithmetic.isLength(limit - start)
    {
      let count = try counted(call, (limit - start).ceilDivided(by: step), dtype)
      let scaled = step == 1 ? count : try call.binary(.mul, count, try call.scalar(Double(step), dtype))
      return start == 0 ? scaled : try call.binary(.add, scaled, try call.scalar(size: start, dtype))
    }
    return try call.dynamic(DynamicRange(call.dataSize()), try call.all(), "range")[0]
  }

  /// Numbers from a start to an end, which is hit exactly.
  private static func linSpace(_ call: TFCall) throws -> ValueID {
    let dtype = try call.input(0).type.dtype
    let count = try call.size(2, "a count")
    if let fixed = count.fixed {
      guard fixed >= 1, fixed <= 1 << 24 else { throw call.wrong("takes 1 number or more, found \(fixed)") }
      if try call.input(0).evaluated != nil, try call.input(1).evaluated != nil {
        let (start, stop) = (try call.number(0, "a start"), try call.number(1, "an end"))
        let step = fixed > 1 ? (stop - start) / Double(fixed - 1) : 0
        return try call.numbers((0..<fixed).map { $0 == fixed - 1 && fixed > 1 ? stop : start + Double($0) * step }, [fixed], dtype, "values")
      }
    }
    let (start, stop) = (try call.x(0), try call.x(1))
    let place = try counted(call, count, .int32)
    let last = try call.scalar(size: count - 1, .int32)
    let steps = try call.cast(try call.binary(.max, last, try call.scalar(1, .int32)), dtype)
    let step = try call.binary(.div, try call.binary(.sub, stop, start), steps)
    let line = try call.binary(.add, start, try call.binary(.mul, try call.cast(place, dtype), step))
    let isLast = try call.binary(.and, try call.binary(.equal, place, last), try call.binary(.greater, place, try call.scalar(0, .int32)))
    return try call.select(isLast, try call.broadcast(stop, [count]), line)
  }

  private static func invertedPermutation(_ call: TFCall) throws -> ValueID {
    let dtype = try call.input(0).type.dtype
    if let permutation = try call.input(0).known?.fixed {
      var inverse = [Double](repeating: -1, count: permutation.count)
      for (index, value) in permutation.enumerated() {
        guard inverse.indices.contains(value), inverse[value] < 0 else { throw call.wrong("is no permutation") }
        inverse[value] = Double(index)
      }
      return try call.numbers(inverse, [inverse.count], dtype, "inverse")
    }
    let x = try call.x(0), type = call.type(x)
    guard type.rank == 1 else { throw call.wrong("needs a vector, found \(type.message)") }
    let zeros = try call.broadcast(try call.scalar(0, dtype), type.dims)
    return try call.add(Scatter(.update), [zeros, try call.expand(x, 1), try counted(call, type.dims[0], dtype)], "scatter")
  }

  /// 0, 1, 2, … as many as `length`.
  static func counted(_ call: TFCall, _ length: Dim, _ dtype: DType) throws -> ValueID {
    if let fixed = length.fixed {
      guard (0...1 << 24).contains(fixed) else { throw call.wrong("makes \(fixed) numbers") }
      return try call.numbers((0..<fixed).map(Double.init), [fixed], dtype, "count")
    }
    let ones = try call.broadcast(try call.scalar(1, dtype), [length])
    let count = try call.add(Cumulative(.sum, axis: 0, exclusive: true), [ones], "count")
    call.builder.counts.insert(count)
    return count
  }
}
