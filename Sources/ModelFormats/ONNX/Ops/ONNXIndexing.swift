import GraphModule
import TensorModule

extension ONNXOpCatalog {
  static let indexing = Family(
    "Picking and putting",
    [
      Row(like: 0, "Gather") { call in
        let data = try call.x(0)
        let axis = try call.axis(try call.int("axis", 0), call.type(data).rank)
        if let place = try call.input(1).evaluated, place.shape.isEmpty, let index = place.integers.first, index < 0, index > -1 << 40 {
          // The last but some: a slice, whatever the length.
          let piece = try call.slice(data, axis: axis, Int(index), index == -1 ? nil : Int(index) + 1)
          return [try call.drop(piece, axis)]
        }
        return [try call.add(Gather(axis: axis), [data, try call.counted(try call.input(1), call.type(data).dims[axis])], "gather")]
      },
      Row(like: 0, "GatherElements", since: 11) { call in
        let data = try call.x(0), type = call.type(data)
        let axis = try call.axis(try call.int("axis", 0), type.rank)
        let indices = try call.counted(try call.input(1), type.dims[axis])
        return [try elements(call, data, indices, axis)]
      },
      Row(like: 0, "GatherND", since: 11) { [try gatherND($0)] },
      Row(like: 0, "ScatterElements", since: 11) { [try scatterElements($0)] },
      Row(like: 0, "Scatter", since: 9) { [try scatterElements($0)] },
      Row(like: 0, "ScatterND", since: 11) { call in
        let (data, updates) = (try call.x(0), try call.x(2))
        let indices = try call.x(1), type = call.type(data)
        let depth = try call.length(indices, -1)
        guard depth <= type.rank else { throw call.wrong("indices \(call.type(indices).message) do not fit \(type.message)") }
        // The lengths of the axes are added to negative indices.
        let own = try call.slice(try call.add(ShapeOf(), [data], "shape"), axis: 0, 0, depth)
        let wide = try call.cast(indices, .int64)
        let below = try call.binary(.less, wide, try call.scalar(0, .int64))
        let places = try call.select(below, try call.binary(.add, wide, own), wide)
        return [try call.add(Scatter(try scatterKind(call)), [data, places, updates], "scatter")]
      },
      Row("OneHot", since: 9) { call in
        let number = try call.number(1, "a depth")
        guard let depth = Int(exactly: number.rounded(.towardZero)), (0...1 << 24).contains(depth) else { throw call.wrong("its depth \(number) is out of range") }
        var indices = try call.x(0)
        if call.type(indices).dtype.isFloat { indices = try call.cast(indices, .int64) }
        indices = try call.cast(indices, .int64)
        let below = try call.binary(.less, indices, try call.scalar(0, .int64))
        indices = try call.select(below, try call.binary(.add, indices, try call.scalar(Double(depth), .int64)), indices)
        let rank = call.type(indices).rank
        let axis = try call.axis(try call.int("axis", -1), rank + 1)
        let values = try call.x(2), dtype = call.type(values).dtype
        var hot: ValueID
        if let numbers = try call.input(2).evaluated?.doubles, numbers.count == 2, dtype != .string {
          hot = try call.add(OneHot(depth: depth, dtype: dtype, on: numbers[1], off: numbers[0]), [indices], "one_hot")
        } else {
          let picked = try call.add(OneHot(depth: depth, dtype: .bool), [indices], "one_hot")
          func item(_ index: Int) throws -> ValueID { try call.reshape(try call.slice(values, axis: 0, index, index + 1), []) }
          hot = try call.select(picked, try item(1), try item(0))
        }
        hot = try call.transpose(hot, Array(0..<axis) + [rank] + Array(axis..<rank))
        return [hot]
      },
      Row("NonZero", since: 9) { call in
        let found = try call.add(NonZero(call.dataDims(0, rank: 2)[1]), [try call.x(0)], "nonzero")
        return [try call.transpose(found, [1, 0])]
      },
      Row(like: 0, "Compress", since: 9) { call in
        var x = try call.x(0)
        let condition = try call.x(1)
        let isFlat = !call.has("axis")
        if isFlat { x = try call.reshape(x, [call.type(x).elementCount]) }
        let axis = isFlat ? 0 : try call.axis(try call.int("axis"), call.type(x).rank)
        let rank = call.type(x).rank
        let count = call.dataDims(0, rank: rank)[axis]
        let places = try call.add(NonZero(count), [condition], "nonzero")
        return [try call.add(Gather(axis: axis), [x, try call.reshape(places, [count])], "gather")]
      },
      Row(like: 0, "Unique", since: 11) { try unique($0) },
      Row(like: 0, "TensorScatter", since: 24) { [try tensorScatter($0)] },
    ])

  /// data[..., indices[...], ...] along one axis, where indices have data's rank.
  static func elements(_ call: ONNXCall, _ data: ValueID, _ indices: ValueID, _ axis: Int) throws -> ValueID {
    let type = call.type(data), rank = type.rank
    guard rank >= 1, call.type(indices).rank == rank else { throw call.wrong("indices \(call.type(indices).message) do not fit \(type.message)") }
    var source = data
    // Other axes may be shorter in the indices.
    var ranges = [Slice.Range](repeating: .all, count: rank)
    for (place, dim) in call.type(indices).dims.enumerated() where place != axis && dim != type.dims[place] {
      ranges[place] = .init(start: 0, end: try call.fixed(dim))
    }
    if ranges.contains(where: { $0.end != nil }) { source = try call.add(Slice(ranges), [source], "slice") }
    let order = (0..<rank).filter { $0 != axis } + [axis]
    var back = [Int](repeating: 0, count: rank)
    for (place, axis) in order.enumerated() { back[axis] = place }
    let picked = try call.add(
      Gather(axis: rank - 1, batchDims: rank - 1), [try call.transpose(source, order), try call.transpose(indices, order)], "gather")
    return try call.transpose(picked, back)
  }

  private static func gatherND(_ call: ONNXCall) throws -> ValueID {
    let (data, indices) = (try call.x(0), try call.x(1))
    let (dims, type) = (call.type(data).dims, call.type(indices))
    let batch = try call.int("batch_dims", 0)
    guard type.rank >= 1, (0..<min(dims.count, type.rank)).contains(batch) else { throw call.wrong("batch_dims \(batch) do not fit \(type.message)") }
    let depth = try call.length(indices, -1)
    guard depth >= 1, batch + depth <= dims.count else { throw call.wrong("indices \(type.message) do not fit \(call.type(data).message)") }
    let taken = Array(dims[batch..<batch + depth])
    let lengths = try taken.enumerated().map { $0 == 0 && $1.fixed == nil ? 1 : try call.fixed($1) }
    var steps = [Double](repeating: 1, count: depth)
    for axis in stride(from: depth - 2, through: 0, by: -1) { steps[axis] = steps[axis + 1] * Double(lengths[axis + 1]) }
    let own = try call.slice(try call.add(ShapeOf(), [data], "shape"), axis: 0, batch, batch + depth)
    let wide = try call.cast(indices, .int64)
    let below = try call.binary(.less, wide, try call.scalar(0, .int64))
    let places = try call.select(below, try call.binary(.add, wide, own), wide)
    let flat = try call.reshape(data, dims[..<batch] + [taken.reduce(1, *)] + dims[(batch + depth)...])
    let place = try call.reduce(.sum, try call.binary(.mul, places, try call.numbers(steps, [depth], .int64, "steps")), [type.rank - 1])
    return try call.add(Gather(axis: batch, batchDims: batch), [flat, place], "gather")
  }

  private static func scatterKind(_ call: ONNXCall) throws -> Scatter.Kind {
    switch try call.text("reduction", "none") {
    case "none": .update
    case "add": .add
    case "mul": .mul
    case "max": .max
    case "min": .min
    case let name: throw call.unsupported("the reduction \(KilnError.quoted(name))")
    }
  }

  private static func scatterElements(_ call: ONNXCall) throws -> ValueID {
    let (data, updates) = (try call.x(0), try call.x(2))
    let type = call.type(data), rank = type.rank
    let axis = try call.axis(try call.int("axis", 0), rank)
    let indices = try call.cast(try call.counted(try call.input(1), type.dims[axis]), .int64)
    let shape = try call.fixedShape(call.type(indices))
    guard shape.count == rank, let count = checkedProduct(shape + [rank]), count <= 1 << 24 else { throw call.wrong("indices \(shape.shapeText) do not fit \(type.message)") }
    // A coordinate for each axis; those of other axes are their own places.
    let coordinates = try (0..<rank).map { place -> ValueID in
      if place == axis { return try call.reshape(indices, shape.map { Dim($0) } + [1]) }
      let line = [Int](repeating: 1, count: place) + [shape[place]] + [Int](repeating: 1, count: rank - place)
      let numbers = try call.numbers((0..<shape[place]).map(Double.init), line, .int64, "places")
      return try call.broadcast(numbers, shape.map { Dim($0) } + [1])
    }
    let places = try call.concat(coordinates, axis: rank)
    return try call.add(Scatter(try scatterKind(call)), [data, places, updates], "scatter")
  }

  private static func unique(_ call: ONNXCall) throws -> [ValueID] {
    let x = try call.x(0), type = call.type(x)
    if call.has("axis"), type.rank != 1 { throw call.unsupported("the unique slices of \(type.message) along an axis") }
    if call.has("axis") { _ = try call.axis(try call.int("axis"), 1) }
    let line = try call.reshape(x, [type.elementCount])
    let count = call.dataDims(0, rank: 1)[0]
    let results = try call.addAll(Unique(sorted: try call.bool("sorted", true), count), [line], "unique")
    guard results.count == 3 else { throw KilnError(.internal, "unique has \(results.count) results") }
    guard call.node.outputs.count > 1 else { return [results[0]] }
    // The first place of each: the least of the places that have its number.
    let length = try call.fixed(type.elementCount)
    let places = try call.numbers(try call.counting(length), [length], .int64, "places")
    let start = try call.add(DynamicBroadcastTo([count]), [try call.scalar(Double(length), .int64), try call.add(ShapeOf(), [results[0]], "shape")], "start")
    let first = try call.add(Scatter(.min), [start, try call.reshape(results[1], [Dim(length), 1]), places], "scatter")
    return [results[0], first, results[1], results[2]]
  }

  private static func tensorScatter(_ call: ONNXCall) throws -> ValueID {
    let (past, update) = (try call.x(0), try call.x(1))
    let type = call.type(past), rank = type.rank
    let axis = try call.axis(try call.int("axis", -2), rank)
    guard axis > 0 else { throw call.wrong("its axis is that of the batch") }
    let (batch, length) = (try call.fixed(type.dims[0]), try call.fixed(type.dims[axis]))
    let new = try call.fixed(call.type(update).dims[axis])
    guard new <= length else { throw call.wrong("its update of \(new) is longer than \(length)") }
    // For each place in the cache the place in the update, or none.
    var starts = try call.numbers([Double](repeating: 0, count: batch), [batch], .int64, "starts")
    if call.has(2) { starts = try call.cast(try call.x(2), .int64) }
    let places = try call.numbers(try call.counting(length), [1, length], .int64, "places")
    var source = try call.binary(.sub, places, try call.reshape(starts, [Dim(batch), 1]))
    switch try call.text("mode", "linear") {
    case "linear": break
    case "circular": source = try call.binary(.mod, source, try call.scalar(Double(length), .int64))
    case let mode: throw call.unsupported("the mode \(KilnError.quoted(mode))")
    }
    let inside = try call.binary(
      .and, try call.binary(.greaterEqual, source, try call.scalar(0, .int64)), try call.binary(.less, source, try call.scalar(Double(new), .int64)))
    let safe = try call.unary(.clip, source, [0, Double(Swift.max(new - 1, 0))])
    let order = [0, axis] + (1..<rank).filter { $0 != axis }
    var back = [Int](repeating: 0, count: rank)
    for (place, axis) in order.enumerated() { back[axis] = place }
    let picked = try call.transpose(try call.add(Gather(axis: 1, batchDims: 1), [try call.transpose(update, order), safe], "gather"), back)
    var line = [Dim](repeating: 1, count: rank)
    (line[0], line[axis]) = (Dim(batch), Dim(length))
    return try call.select(try call.reshape(inside, line), picked, past)
  }
}

extension ONNXCall {
  /// Indices of which negative ones count from the end, as places from 0.
  func counted(_ indices: ImportedValue, _ length: Dim) throws -> ValueID {
    if let tensor = indices.evaluated, tensor.dtype.isInteger {
      let numbers = tensor.integers
      if numbers.allSatisfy({ $0 >= 0 }) { return try builder.id(indices) }
      if let fixed = length.fixed {
        let places = numbers.map { $0 < 0 ? $0 &+ Int64(fixed) : $0 }
        return constant(try Tensor(integers: places, dtype: tensor.dtype, shape: tensor.shape), "indices")
      }
    }
    let id = try builder.id(indices), dtype = type(id).dtype
    guard dtype != .uint8 else { return id }
    let wide = try cast(id, .int64)
    let below = try binary(.less, wide, try scalar(0, .int64))
    return try select(below, try binary(.add, wide, try builder.scalar(of: length)), wide)
  }
}
