import GraphModule
import TensorModule

extension CNTKOpCatalog {
  static let shapes = Family(
    "Shapes",
    [
      Row("Reshape") { try [$0.reshaped()] },
      Row("Squeeze") { call in
        let value = try call.value(0)
        let places = call.has("axis") || call.has("axisVec") ? try call.axes("axis", or: "axisVec").map { try call.place($0, of: value) } : nil
        let dims = value.value.type.dims
        for place in places ?? [] where dims[place] != 1 { throw call.wrong("axis of length \(dims[place]) cannot be squeezed") }
        let kept = dims.indices.filter { index in index < value.axes.count || (places.map { !$0.contains(index) } ?? (dims[index] != 1)) }
        return [call.result(try call.reshape(try call.x(0), kept.map { dims[$0] }), value.axes)]
      },
      Row("TransposeAxes") { call in
        let value = try call.value(0)
        let rank = value.shape.count
        var order = Array(0..<value.axes.count + rank)
        if call.has("axisVec") {
          let axes = try call.axes("", or: "axisVec").map { try call.place($0, of: value) }
          guard axes.count == rank, Set(axes).count == rank else { throw call.wrong("\(axes.count) axes are no order of \(rank)") }
          // The file names, for each axis from the fastest, the axis that comes there.
          for (index, axis) in axes.enumerated() { order[value.axes.count + rank - 1 - index] = axis }
        } else {
          let (one, other) = (try call.place(try call.axis("axis1"), of: value), try call.place(try call.axis("axis2"), of: value))
          order.swapAt(one, other)
        }
        return [call.result(try call.transpose(try call.x(0), order), value.axes)]
      },
      Row("Slice") { try [$0.sliced()] },
      Row("Splice") { try [$0.spliced()] },
      Row("Pad") { call in
        let value = try call.value(0)
        let (head, foot) = (try call.ints("paddingHead"), try call.ints("paddingFoot"))
        let rank = value.shape.count
        guard head.count == rank, foot.count == rank, (head + foot).allSatisfy({ (0...1 << 20).contains($0) }) else {
          throw call.wrong("the padding \(head) and \(foot) does not fit \(rank) axes")
        }
        let modes: [Pad.Mode] = [.constant, .reflect, .symmetric]
        let mode = try call.int("paddingMode", 0)
        guard modes.indices.contains(mode) else { throw call.unsupported("the padding mode \(mode)") }
        let zeros = [Int](repeating: 0, count: value.axes.count)
        let pad = Pad(modes[mode], low: zeros + head.reversed(), high: zeros + foot.reversed(), value: try call.float("paddingConstantValue", 0))
        return [call.result(try call.add(pad, [try call.x(0)], "pad"), value.axes)]
      },
      Row("Crop") { call in
        let (value, other) = (try call.value(0), try call.value(1))
        guard call.has("offset") else { throw call.unsupported("a crop whose offsets follow from the network") }
        let offsets = try call.ints("offset")
        guard offsets.count == 2, value.shape.count >= 2, other.shape.count >= 2 else { throw call.wrong("needs two offsets and two axes") }
        var ranges = [Slice.Range](repeating: .all, count: value.value.type.rank)
        // The two axes that run fastest: width (NumPy's last) and height.
        for (index, offset) in [offsets[0], offsets[1]].enumerated() {
          let place = value.value.type.rank - 1 - index
          guard let length = value.value.type.dims[place].fixed, let wanted = other.value.type.dims[other.value.type.rank - 1 - index].fixed,
            offset >= 0, wanted <= length, offset <= length - wanted
          else { throw call.wrong("an offset of \(offset) does not fit") }
          ranges[place] = Slice.Range(start: offset, end: offset + wanted)
        }
        return [call.result(try call.add(Slice(ranges), [try call.x(0)], "slice"), value.axes)]
      },
      Row("ConstantOp") { call in
        let value = try call.value(0)
        let filled = try call.scalar(try call.float("fillValue"), value.value.type.dtype)
        return [call.result(try call.broadcast(filled, value.value.type.dims), value.axes)]
      },
      Row("EyeLike") { call in
        let value = try call.value(0)
        let dims = value.value.type.dims
        guard dims.count == 2, let rows = dims[0].fixed, rows <= 1 << 14, let columns = dims[1].fixed, columns <= 1 << 14 else {
          // One of the axes may be the batch.
          throw call.unsupported("an identity matrix like \(value.value.type.message)")
        }
        var numbers = [Double](repeating: 0, count: rows * columns)
        for index in 0..<min(rows, columns) { numbers[index * columns + index] = 1 }
        return [call.result(try call.numbers(numbers, [rows, columns], value.value.type.dtype, "eye"), value.axes)]
      },
    ])
}

extension CNTKCall {
  /// A range of the shape's axes, in the file's order, in another shape with the same number of elements.
  func reshaped() throws -> CNTKValue {
    let value = try value(0)
    let own = Array(value.shape.reversed())
    func position(_ key: String, _ fallback: Int) throws -> Int {
      guard has(key) else { return fallback }
      let axis = try self.axis(key)
      if axis.index == CNTKAxis.end { return own.count }
      guard axis.isStatic else { throw unsupported("the axis \(KilnError.quoted(axis.name)) as '\(key)'") }
      // A negative one counts from behind the last axis.
      return axis.index < 0 ? axis.index + own.count : axis.index
    }
    let begin = try position("beginAxis", 0), end = try position("endAxis", own.count)
    guard (0...own.count).contains(begin), (begin...own.count).contains(end) else { throw wrong("reshapes the axes \(begin) to \(end) of \(own.count)") }
    let wanted = try shape("newShape")
    guard wanted.count <= maximumRank, wanted.count(where: { $0 == CNTKShape.inferred }) <= 1 else { throw wrong("the new shape has more than one open length") }
    let all = own[begin..<end].reduce(Dim(1)) { $0 * $1 }
    let rest = wanted.filter { $0 >= 0 }.reduce(Dim(1)) { $0 * Dim($1) }
    let dims = try wanted.map { length -> Dim in
      switch length {
      case CNTKShape.inferred:
        guard let dim = all.exactlyDivided(by: rest) else { throw wrong("\(value.value.type.message) does not fill the shape") }
        return dim
      case CNTKShape.free:
        guard wanted.count(where: { $0 < 0 }) == 1, let dim = all.exactlyDivided(by: rest) else { throw unsupported("a free length in a new shape") }
        return dim
      default: return Dim(length)
      }
    }
    let result = own[..<begin] + dims + own[end...]
    return self.result(try reshape(try x(0), value.value.type.dims.prefix(value.axes.count) + result.reversed()), value.axes)
  }

  func sliced() throws -> CNTKValue {
    let value = try value(0)
    let axes = try axes("axis", or: "axisVec")
    func numbers(_ key: String, _ listKey: String, _ fallback: Int?) throws -> [Int] {
      if has(key) { return [try int(key)] }
      if !has(listKey), let fallback { return [Int](repeating: fallback, count: axes.count) }
      return try ints(listKey)
    }
    let begins = try numbers("beginIndex", "beginIndexVec", nil), ends = try numbers("endIndex", "endIndexVec", nil)
    let strides = try numbers("sliceStrides", "sliceStridesVec", 1)
    guard begins.count == axes.count, ends.count == axes.count, strides.count == axes.count else { throw wrong("its axes, begins, ends and strides differ in number") }
    var id = try x(0)
    for index in axes.indices {
      let place = try place(axes[index], of: value)
      let (begin, end, stride) = (begins[index], ends[index], strides[index])
      guard stride != 0, stride.magnitude <= 1 << 20, begin.magnitude <= 1 << 40, end.magnitude <= 1 << 40 else { throw wrong("slices \(begin) to \(end) by \(stride)") }
      if let length = type(id).dims[place].fixed {
        let (first, last) = (begin < 0 ? begin + length : begin, end <= 0 ? end + length : end)
        guard (0..<max(length, 1)).contains(first), (first + 1...max(length, first + 1)).contains(last) else {
          throw wrong("slices \(begin) to \(end) of an axis of \(length)")
        }
      }
      // An end of 0 is the axis's own.
      if begin != 0 || end != 0 { id = try slice(id, axis: place, begin, end == 0 ? nil : end) }
      if stride < 0 { id = try add(Reverse(axes: [place]), [id], "reverse") }
      if stride.magnitude != 1 { id = try slice(id, axis: place, 0, nil, step: Int(stride.magnitude)) }
    }
    return result(id, value.axes)
  }

  func spliced() throws -> CNTKValue {
    guard !inputs.isEmpty else { throw wrong("has no inputs") }
    let axis = try axis("axis")
    guard axis.isStatic else { throw unsupported("joining along the axis \(KilnError.quoted(axis.name))") }
    let ranks = inputs.map(\.shape.count)
    var rank = ranks.max() ?? 0
    // From the fastest; one beyond the last makes a new axis.
    let index = axis.index < 0 ? axis.index + rank : axis.index
    guard index >= 0, index < maximumRank else { throw wrong("joins along the axis \(axis.index) of \(rank)") }
    rank = max(rank, index + 1)
    let axes = try common(inputs)
    let values = try inputs.map { value -> CNTKValue in
      let id = try spread(value, axes, rank: rank)
      var dims = type(id).dims
      if value.axes.count == 0 {
        dims = [Dim](repeating: 1, count: axes.count + max(0, rank - dims.count)) + dims
        return CNTKValue(value: .value(try reshape(id, dims), builder, name: name), axes: axes)
      }
      return CNTKValue(value: .value(id, builder, name: name), axes: axes)
    }
    let place = axes.count + rank - 1 - index
    // Other axes broadcast.
    let wanted = (0..<axes.count + rank).map { place in values.map { $0.value.type.dims[place] }.first { $0 != 1 } ?? 1 }
    let ids = try values.map { value -> ValueID in
      var dims = wanted
      dims[place] = value.value.type.dims[place]
      return try broadcast(try builder.id(value.value), dims)
    }
    return result(try concat(ids, axis: place), axes)
  }
}
