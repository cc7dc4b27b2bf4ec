import GraphModule
import TensorModule

extension ONNXOpCatalog {
  static let pieces = Family(
    "Pieces",
    [
      Row(like: 0, "Concat", since: 4) { call in
        let operands = try call.all()
        guard let first = operands.first else { throw call.wrong("has no inputs") }
        return [try call.concat(operands, axis: try call.axis(try call.int("axis"), call.type(first).rank))]
      },
      Row(like: 0, "Split", since: 2) { try split($0) },
      Row(like: 0, "Slice") { [try sliced($0)] },
      Row(like: 0, "Pad", since: 2) { [try padded($0)] },
      Row(like: 0, "Trilu", since: 14) { call in
        let x = try call.x(0), type = call.type(x)
        guard type.rank >= 2 else { throw call.wrong("takes matrices, found \(type.message)") }
        let (rows, columns) = (try call.fixed(type.dims[type.rank - 2]), try call.fixed(type.dims[type.rank - 1]))
        let k = call.has(1) ? try call.integer(1, "a diagonal") : 0
        let upper = try call.bool("upper", true)
        guard rows * columns <= 1 << 24 else { throw call.wrong("\(type.message) is too large") }
        let mask = try Tensor((0..<rows).flatMap { row in (0..<columns).map { upper ? $0 - row >= k : $0 - row <= k } }, shape: [rows, columns])
        return [try call.select(call.constant(mask, "mask"), x, try call.scalar(0, type.dtype))]
      },
      Row(like: 0, "CenterCropPad", since: 18) { call in
        var x = try call.x(0)
        let rank = call.type(x).rank
        let axes = call.has("axes") ? try call.ints("axes").map { try call.axis($0, rank) } : Array(0..<rank)
        let shape = try call.integers(1, "a shape")
        guard axes.count == shape.count, shape.allSatisfy({ $0 >= 0 }) else { throw call.wrong("has \(shape.count) lengths for \(axes.count) axes") }
        for (axis, wanted) in zip(axes, shape) {
          let length = try call.length(x, axis)
          if wanted < length {
            let start = (length - wanted) / 2
            x = try call.slice(x, axis: axis, start, start + wanted)
          } else if wanted > length {
            var (low, high) = ([Int](repeating: 0, count: rank), [Int](repeating: 0, count: rank))
            low[axis] = (wanted - length) / 2
            high[axis] = wanted - length - low[axis]
            x = try call.add(Pad(low: low, high: high), [x], "pad")
          }
        }
        return [x]
      },
      Row(like: 0, "ReverseSequence", since: 10) { call in
        let x = try call.x(0), type = call.type(x)
        let (batch, time) = (try call.axis(try call.int("batch_axis", 1), type.rank), try call.axis(try call.int("time_axis", 0), type.rank))
        guard batch != time, batch < 2, time < 2 else { throw call.wrong("its axes are \(batch) and \(time)") }
        let rows = batch == 0 ? x : try call.transpose(x, [1, 0] + Array(2..<type.rank))
        let lengths = try call.reshape(try call.cast(try call.x(1), .int64), [type.dims[batch], 1])
        let count = try call.fixed(type.dims[time])
        let places = try call.numbers(try call.counting(count), [1, count], .int64, "places")
        let turned = try call.binary(.sub, try call.binary(.sub, lengths, try call.scalar(1, .int64)), places)
        let picks = try call.select(try call.binary(.less, places, lengths), turned, places)
        let result = try call.add(Gather(axis: 1, batchDims: 1), [rows, picks], "gather")
        return [batch == 0 ? result : try call.transpose(result, [1, 0] + Array(2..<type.rank))]
      },
    ])

  private static func split(_ call: ONNXCall) throws -> [ValueID] {
    let x = try call.x(0), type = call.type(x)
    let axis = try call.axis(try call.int("axis", 0), type.rank)
    var sizes = try call.integers("split", or: 1, "sizes")
    if sizes == nil {
      let length = try call.fixed(type.dims[axis])
      let count = try call.int("num_outputs", call.node.outputs.count)
      guard count >= 1, count <= 1 << 16, call.version >= 18 || length % count == 0 else { throw call.wrong("\(length) does not split in \(count)") }
      let size = (length + count - 1) / count
      sizes = (0..<count).map { Swift.min(size, Swift.max(length - $0 * size, 0)) }
    }
    guard let sizes, sizes.allSatisfy({ (0...1 << 40).contains($0) }) else { throw call.wrong("a size is negative") }
    if let length = type.dims[axis].fixed, sizes.reduce(0, +) != length { throw call.wrong("sizes \(sizes) do not fill axis \(axis) of \(type.message)") }
    var start = 0
    return try sizes.map { size in
      defer { start += size }
      return try call.slice(x, axis: axis, start, start + size)
    }
  }

  private static func sliced(_ call: ONNXCall) throws -> ValueID {
    let x = try call.x(0), type = call.type(x)
    if call.has("starts") {
      let (starts, ends) = (try call.ints("starts"), try call.ints("ends"))
      return try sliced(call, x, starts, ends, try call.ints("axes", Array(starts.indices)), nil)
    }
    let axes = call.has(3) ? try call.integers(3, "axes") : nil
    let steps = call.has(4) ? try call.integers(4, "steps") : nil
    if let starts = try? call.integers(1, "starts"), let ends = try? call.integers(2, "ends") {
      return try sliced(call, x, starts, ends, axes ?? Array(starts.indices), steps)
    }
    // Ends that are expressions over the inputs' lengths.
    if let starts = try call.dims(1), let ends = try bounds(call, 2), starts.count == ends.count {
      let places = axes ?? Array(starts.indices)
      var (low, high): ([Int], [Int]) = ([], [])
      for (index, axis) in places.enumerated() where starts.indices.contains(index) {
        let length = type.dims[try call.axis(axis, type.rank)]
        func place(_ dim: Dim) -> Int? {
          if let fixed = dim.fixed { return fixed }
          guard let distance = (dim - length).fixed else { return nil }
          return distance < 0 ? distance : distance == 0 ? Int(Int32.max) : nil
        }
        guard let start = place(starts[index]), let end = place(ends[index]) else { break }
        low.append(start)
        high.append(end)
      }
      if low.count == places.count { return try sliced(call, x, low, high, places, steps) }
    }
    guard let count = try call.input(1).type.elementCount.fixed else { throw call.unsupported("a slice of an unknown number of axes") }
    let places = try (axes ?? Array(0..<count)).map { try call.axis($0, type.rank) }
    guard places.count == count, (steps ?? []).allSatisfy({ $0 != 0 }) else { throw call.wrong("has \(count) starts for \(places.count) axes") }
    var dims = type.dims
    let declared = call.declared(0)
    for axis in places { dims[axis] = declared?.count == type.rank ? declared?[axis] ?? call.dataSize() : call.dataSize() }
    let order = places.indices.sorted { places[$0] < places[$1] }
    func ordered(_ value: ValueID) throws -> ValueID {
      order == Array(order.indices) ? value : try call.add(Gather(axis: 0), [value, try call.numbers(order.map(Double.init), [order.count], .int64, "order")], "order")
    }
    return try call.add(
      DynamicSlice(axes: order.map { places[$0] }, steps: order.map { steps?[$0] ?? 1 }, dims: dims),
      [x, try ordered(try call.x(1)), try ordered(try call.x(2))], "slice")
  }

  private static func bounds(_ call: ONNXCall, _ index: Int) throws -> [Dim]? {
    if let dims = try call.dims(index) { return dims }
    return (try? call.integers(index, "ends"))?.map { Dim($0) }
  }

  private static func sliced(_ call: ONNXCall, _ x: ValueID, _ starts: [Int], _ ends: [Int], _ axes: [Int], _ steps: [Int]?) throws -> ValueID {
    let type = call.type(x)
    guard starts.count == ends.count, axes.count == starts.count, (steps?.count ?? starts.count) == starts.count else {
      throw call.wrong("has \(starts.count) starts, \(ends.count) ends and \(axes.count) axes")
    }
    var ranges = [Slice.Range](repeating: .all, count: type.rank)
    for (index, given) in axes.enumerated() {
      let axis = try call.axis(given, type.rank)
      let step = steps?[index] ?? 1
      guard step != 0, step.magnitude < 1 << 48 else { throw call.wrong("its step is \(step)") }
      let most = 1 << 31 - 1
      var (start, end): (Int?, Int?) = (starts[index], ends[index])
      if step > 0 {
        if ends[index] >= most { end = nil }
        if starts[index] <= -most || starts[index] == 0 { start = nil }
      } else {
        if starts[index] >= most { start = nil }
        // Before the first position: an open end.
        if ends[index] <= -most || (type.dims[axis].fixed.map { ends[index] < -$0 } ?? false) { end = nil }
      }
      ranges[axis] = Slice.Range(start: start, end: end, step: step)
    }
    return try call.add(Slice(ranges), [x], "slice")
  }

  private static func padded(_ call: ONNXCall) throws -> ValueID {
    let x = try call.x(0), type = call.type(x)
    if !call.has("pads"), call.has(1), try call.input(1).evaluated == nil { return try paddedByData(call, x) }
    guard let pads = try call.integers("pads", or: 1, "paddings") else { throw call.wrong("paddings are missing") }
    let axes = call.has(3) ? try call.integers(3, "axes").map { try call.axis($0, type.rank) } : Array(0..<type.rank)
    guard pads.count == 2 * axes.count, pads.allSatisfy({ $0.magnitude <= 1 << 24 }) else { throw call.wrong("has \(pads.count) paddings for \(axes.count) axes") }
    var (low, high) = ([Int](repeating: 0, count: type.rank), [Int](repeating: 0, count: type.rank))
    for (index, axis) in axes.enumerated() { (low[axis], high[axis]) = (pads[index], pads[index + axes.count]) }
    let mode = try call.text("mode", "constant")
    var source = x
    // Negative amounts cut off.
    let ranges = type.dims.indices.map { Slice.Range(start: low[$0] < 0 ? -low[$0] : nil, end: high[$0] < 0 ? high[$0] : nil) }
    if (low + high).contains(where: { $0 < 0 }) { source = try call.add(Slice(ranges), [source], "slice") }
    let (before, after) = (low.map { max($0, 0) }, high.map { max($0, 0) })
    guard (before + after).contains(where: { $0 > 0 }) else { return source }
    switch mode {
    case "constant":
      if call.has(2), try call.input(2).evaluated == nil {
        let marks = try call.add(Pad(low: before, high: after), [try call.broadcast(try call.scalar(1, .bool), call.type(source).dims)], "mask")
        let filled = try call.add(Pad(low: before, high: after), [source], "pad")
        return try call.select(marks, filled, try call.reshape(try call.x(2), []))
      }
      let value = call.has("value") ? try call.float("value") : call.has(2) && type.dtype != .string ? try call.number(2, "a value") : 0
      return try call.add(Pad(low: before, high: after, value: value), [source], "pad")
    case "reflect": return try call.add(Pad(.reflect, low: before, high: after), [source], "pad")
    case "edge": return try call.add(Pad(.edge, low: before, high: after), [source], "pad")
    case "wrap":
      var result = source
      for axis in type.dims.indices where before[axis] + after[axis] > 0 {
        let length = try call.length(result, axis)
        guard before[axis] <= length, after[axis] <= length else { throw call.unsupported("a padding longer than its axis of \(length)") }
        var parts = [result]
        if before[axis] > 0 { parts.insert(try call.slice(result, axis: axis, length - before[axis], length), at: 0) }
        if after[axis] > 0 { parts.append(try call.slice(result, axis: axis, 0, after[axis])) }
        result = try call.concat(parts, axis: axis)
      }
      return result
    case let name: throw call.unsupported("the mode \(KilnError.quoted(name))")
    }
  }

  /// Padding by numbers that are computed: rows of the value before and behind each axis.
  private static func paddedByData(_ call: ONNXCall, _ x: ValueID) throws -> ValueID {
    let type = call.type(x)
    guard try call.text("mode", "constant") == "constant" else { throw call.unsupported("computed paddings that are not constant") }
    guard let pads = try call.input(1).numbers else { throw call.unsupported("paddings that depends on the model's inputs") }
    let axes = call.has(3) ? try call.integers(3, "axes").map { try call.axis($0, type.rank) } : Array(0..<type.rank)
    guard pads.count == 2 * axes.count else { throw call.wrong("has \(pads.count) paddings for \(axes.count) axes") }
    let value = try call.has(2) ? call.reshape(try call.x(2), []) : call.zero(type.dtype)
    var result = x
    for (index, axis) in axes.enumerated() {
      func part(_ amount: Dim) throws -> [ValueID] {
        if amount.fixed == 0 { return [] }
        guard (amount.fixed ?? 0) >= 0 else { throw call.unsupported("a negative padding beside computed ones") }
        var dims = call.type(result).dims
        dims[axis] = try call.builder.bound(amount)
        return [try call.broadcast(value, dims)]
      }
      result = try call.concat(try part(pads[index]) + [result] + part(pads[index + axes.count]), axis: axis)
    }
    return result
  }
}
