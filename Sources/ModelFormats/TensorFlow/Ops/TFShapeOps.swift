import GraphModule
import TensorModule

extension TFOpCatalog {
  /// Shapes, and what follows from them.
  static let shapes = Family(
    "Shapes",
    [
      "Reshape": { call in
        let x = try call.x(0)
        return [try call.reshape(x, try reshaped(call, call.type(x), try call.dims(1, "a shape")))]
      },
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
        return [try call.broadcast(x, try call.dims(1, "a shape"))]
      },
      "Fill": { call in [try call.broadcast(try call.x(1), try call.dims(0, "a shape"))] },
      "Range": { [try range($0)] },
      "LinSpace": { call in
        let (start, stop) = (try call.number(0, "a start"), try call.number(1, "an end"))
        let count = try call.integer(2, "a count")
        guard count >= 1, count <= 1 << 24 else { throw call.wrong("takes 1 number or more, found \(count)") }
        let step = count > 1 ? (stop - start) / Double(count - 1) : 0
        let dtype = try call.input(0).type.dtype
        return [try call.numbers((0..<count).map { $0 == count - 1 && count > 1 ? stop : start + Double($0) * step }, [count], dtype, "values")]
      },
      "InvertPermutation": { call in
        let permutation = try call.integers(0, "a permutation")
        var inverse = [Double](repeating: -1, count: permutation.count)
        for (index, value) in permutation.enumerated() {
          guard inverse.indices.contains(value), inverse[value] < 0 else { throw call.wrong("is no permutation") }
          inverse[value] = Double(index)
        }
        return [try call.numbers(inverse, [inverse.count], try call.input(0).type.dtype, "inverse")]
      },
      "Shape": { [try shape($0, 0)] },
      "ShapeN": { call in try call.inputs.indices.map { try shape(call, $0) } },
      "Size": { call in [try call.reduce(.prod, try shape(call, 0), [0])] },
      "Rank": { call in [try call.scalar(Double(try call.input(0).type.rank), .int32)] },
      "ConcatOffset": { _ in throw KilnError(.unsupportedModel, "shapes that depend on the model's data are not supported") },
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
    let type = try call.input(index).type
    guard let shape = type.shape else { throw call.unsupported("a shape with unknown lengths as data") }
    return try call.numbers(shape.map(Double.init), [shape.count], try call.dtype("out_type", .int32), "shape")
  }

  /// The dims that a reshape asks for; -1 takes what is left.
  static func reshaped(_ call: TFCall, _ type: TensorType, _ asked: [Dim]) throws -> [Dim] {
    var dims = asked
    let open = dims.indices.filter { dims[$0].fixed == -1 }
    guard open.count <= 1 else { throw call.wrong("asks for two unknown lengths") }
    if let place = open.first {
      dims[place] = 1
      let rest = dims.reduce(1, *)
      let total = type.elementCount
      if rest == 0 || total == 0 {
        dims[place] = 0
      } else if let left = total.exactlyDivided(by: rest) {
        dims[place] = left
      } else {
        throw call.unsupported("the shape [\(asked.map(\.description).joined(separator: ","))] for \(type)")
      }
    }
    return dims
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
    if dtype.isInteger, let start = try call.input(0).known?.elements.first, let limit = try call.input(1).known?.elements.first,
      try call.input(2).known?.fixed == [1]
    {
      let length = limit - start
      if length.fixed == nil, let first = start.fixed {
        // 0, 1, 2, … of an unknown count: the running sum of ones.
        let count = try counted(call, length, dtype)
        return first == 0 ? count : try call.binary(.add, count, try call.scalar(Double(first), dtype))
      }
    }
    let (start, limit, delta) = (try call.number(0, "a start"), try call.number(1, "a limit"), try call.number(2, "a step"))
    guard delta != 0 else { throw call.wrong("its step is 0") }
    let count = Swift.max(0.0, ((limit - start) / delta).rounded(.up))
    guard count <= 16_777_216 else { throw call.wrong("makes \(count) numbers") }
    let whole = Int(count)
    return try call.numbers((0..<whole).map { start + Double($0) * delta }, [whole], dtype, "values")
  }

  /// 0, 1, 2, … as many as `length`.
  static func counted(_ call: TFCall, _ length: Dim, _ dtype: DType) throws -> ValueID {
    if let fixed = length.fixed {
      guard (0...1 << 24).contains(fixed) else { throw call.wrong("makes \(fixed) numbers") }
      return try call.numbers((0..<fixed).map(Double.init), [fixed], dtype, "count")
    }
    let ones = try call.broadcast(try call.scalar(1, dtype), [length])
    return try call.add(Cumulative(.sum, axis: 0, exclusive: true), [ones], "count")
  }
}
