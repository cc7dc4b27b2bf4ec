import GraphModule
import TensorModule

extension TFOpCatalog {
  /// Parts of tensors, put together and taken apart.
  static let pieces = Family(
    "Parts of tensors",
    [
      "Pack": { call in
        let all = try call.all()
        guard let first = all.first else { throw call.wrong("has no operands") }
        let declared = try call.int("N", all.count)
        guard declared == all.count else { throw call.wrong("declares \(declared) operands and has \(all.count)") }
        let axis = try call.axis(try call.int("axis", 0), call.type(first).rank + 1)
        return [try call.concat(try all.map { try call.expand($0, axis) }, axis: axis)]
      },
      "Unpack": { call in
        let x = try call.x(0)
        let axis = try call.axis(try call.int("axis", 0), call.type(x).rank)
        let count = try call.length(x, axis)
        guard count <= 1 << 16 else { throw call.wrong("makes \(count) tensors") }
        let declared = try call.int("num", count)
        guard declared == count else { throw call.wrong("declares \(declared) tensors, its operand has \(count)") }
        return try (0..<count).map { try call.drop(try call.slice(x, axis: axis, $0, $0 + 1), axis) }
      },
      "ConcatV2": { call in
        let values = try (0..<max(call.inputs.count - 1, 0)).map { try call.x($0) }
        return [try joined(call, values, try call.integer(call.inputs.count - 1, "an axis"))]
      },
      "Concat": { call in
        [try joined(call, try (1..<max(call.inputs.count, 1)).map { try call.x($0) }, try call.integer(0, "an axis"))]
      },
      "Split": { call in
        let x = try call.x(1)
        let axis = try call.axis(try call.integer(0, "an axis"), call.type(x).rank)
        let count = try call.int("num_split")
        guard count >= 1, count <= 1 << 16 else { throw call.wrong("\(count) parts are out of range") }
        let length = call.type(x).dims[axis]
        if let fixed = length.fixed, fixed % count != 0 { throw call.wrong("\(fixed) elements do not split in \(count)") }
        return try split(call, x, axis, [Dim](repeating: length.floorDivided(by: count), count: count))
      },
      "SplitV": { call in
        let x = try call.x(0)
        let axis = try call.axis(try call.integer(2, "an axis"), call.type(x).rank)
        var sizes = try call.numbers(1, "sizes")
        if let open = sizes.firstIndex(of: .some(-1)) {
          sizes[open] = 0
          let rest = sizes.compactMap { $0 }
          guard rest.count == sizes.count else { throw call.unsupported("a part that takes what is left beside sizes that depend on the model's data") }
          sizes[open] = call.type(x).dims[axis] - rest.reduce(0, +)
        }
        let whole = sizes.contains { $0 == nil } ? try call.sizes(1, "sizes") : sizes.compactMap { $0 }
        guard whole.allSatisfy({ ($0.fixed ?? 0) >= 0 }) else { throw call.wrong("a size is negative") }
        return try split(call, x, axis, whole)
      },
      "Slice": { [try TFDynamicSlice.slice($0)] },
      "StridedSlice": { [try TFDynamicSlice.stridedSlice($0)] },
      "Tile": { call in
        let x = try call.x(0)
        return [try tiled(call, x, try call.sizes(1, "multiples", count: call.type(x).rank))]
      },
      "Pad": { [try TFPadding.padded($0)] }, "PadV2": { [try TFPadding.padded($0)] },
      "MirrorPad": { [try TFPadding.mirrored($0)] },
      "ReverseV2": { call in
        let x = try call.x(0)
        let axes = Set(try call.integers(1, "axes").map { try call.axis($0, call.type(x).rank) }).sorted()
        return [axes.isEmpty ? x : try call.add(Reverse(axes: axes), [x], "reverse")]
      },
      "Reverse": { call in
        let x = try call.x(0)
        let flags = try call.integers(1, "axes")
        let axes = flags.indices.filter { flags[$0] != 0 }
        return [axes.isEmpty ? x : try call.add(Reverse(axes: axes), [x], "reverse")]
      },
      "ReverseSequence": { [try reversedSequence($0)] },
      "Roll": { call in
        var x = try call.x(0)
        let (shifts, axes) = (try call.terms(1, "shifts"), try call.integers(2, "axes"))
        guard shifts.count == axes.count else { throw call.wrong("has \(shifts.count) shifts for \(axes.count) axes") }
        for (amount, axis) in zip(shifts, axes) {
          let axis = try call.axis(axis, call.type(x).rank)
          guard let length = call.type(x).dims[axis].fixed, let shift = amount.fixed else {
            let size = call.type(x).dims[axis]
            let places = try call.binary(.sub, try counted(call, size, .int64), try call.scalar(size: amount, .int64))
            x = try call.add(Gather(axis: axis), [x, try call.binary(.mod, places, try call.scalar(size: size, .int64))], "roll")
            continue
          }
          guard length > 0 else { continue }
          let by = ((shift % length) + length) % length
          if by > 0 { x = try call.concat([try call.slice(x, axis: axis, length - by, nil), try call.slice(x, axis: axis, 0, length - by)], axis: axis) }
        }
        return [x]
      },
    ])

  private static func joined(_ call: TFCall, _ values: [ValueID], _ axis: Int) throws -> ValueID {
    guard let first = values.first else { throw call.wrong("has no operands") }
    // TensorFlow leaves out empty vectors.
    let kept = values.filter { call.type($0).dims != [0] || call.type(first).rank == 1 }
    return try call.concat(kept, axis: try call.axis(axis, call.type(kept.first ?? first).rank))
  }

  private static func split(_ call: TFCall, _ x: ValueID, _ axis: Int, _ sizes: [Dim]) throws -> [ValueID] {
    if sizes.count == 1 { return [x] }
    var start = Dim(0)
    return try sizes.map { size in
      defer { start = start + size }
      if let first = start.fixed, let last = (start + size).fixed { return try call.slice(x, axis: axis, first, last) }
      return try TFDynamicSlice.part(call, x, axis, start, size)
    }
  }

  static func tiled(_ call: TFCall, _ x: ValueID, _ multiples: [Dim]) throws -> ValueID {
    let dims = call.type(x).dims
    guard multiples.count == dims.count else { throw call.wrong("needs \(dims.count) multiples, found \(multiples.count)") }
    let repeated = dims.indices.filter { multiples[$0] != 1 }
    if repeated.isEmpty { return x }
    if repeated.allSatisfy({ dims[$0] == 1 }) { return try call.broadcast(x, zip(dims, multiples).map(*)) }
    if dims.count + repeated.count > maximumRank {
      var value = x
      for axis in repeated {
        guard let count = multiples[axis].fixed, (0...1 << 12).contains(count) else { throw call.unsupported("tiling by \(multiples[axis])") }
        value = count == 0 ? try call.slice(value, axis: axis, 0, 0) : try call.concat([ValueID](repeating: value, count: count), axis: axis)
      }
      return value
    }
    var (before, between): ([Dim], [Dim]) = ([], [])
    for axis in dims.indices {
      if multiples[axis] != 1 {
        before.append(1)
        between.append(multiples[axis])
      }
      before.append(dims[axis])
      between.append(dims[axis])
    }
    return try call.reshape(try call.broadcast(try call.reshape(x, before), between), zip(dims, multiples).map(*))
  }

  private static func reversedSequence(_ call: TFCall) throws -> ValueID {
    var x = try call.x(0)
    let rank = call.type(x).rank
    let (time, batch) = (try call.axis(try call.int("seq_dim"), rank), try call.axis(try call.int("batch_dim", 0), rank))
    guard time != batch else { throw call.wrong("its sequence axis is its batch axis") }
    let order = [batch, time] + (0..<rank).filter { $0 != batch && $0 != time }
    x = try call.transpose(x, order)
    let lengths = try call.cast(try call.x(1), .int32)
    let dims = call.type(x).dims
    let position = try call.expand(try counted(call, dims[1], .int32), 0)
    let length = try call.expand(lengths, 1)
    let mirrored = try call.binary(.sub, try call.binary(.sub, length, try call.scalar(1, .int32)), position)
    let indices = try call.select(try call.binary(.less, position, length), mirrored, try call.broadcast(position, [dims[0], dims[1]]))
    let picked = try call.add(Gather(axis: 1, batchDims: 1), [x, indices], "gather")
    return try call.transpose(picked, (0..<rank).map { axis in order.firstIndex(of: axis) ?? 0 })
  }
}
