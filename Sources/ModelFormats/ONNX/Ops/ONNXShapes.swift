import GraphModule
import TensorModule

extension ONNXOpCatalog {
  static let shapes = Family(
    "Shapes",
    [
      Row("Shape") { call in
        let shape = try call.add(ShapeOf(), [try call.x(0)], "shape")
        guard call.has("start") || call.has("end") else { return [shape] }
        let rank = try call.input(0).type.rank
        func place(_ key: String, _ fallback: Int) throws -> Int {
          let value = try call.int(key, fallback)
          return min(max(value < 0 ? value + rank : value, 0), rank)
        }
        return [try call.slice(shape, axis: 0, try place("start", 0), try place("end", rank))]
      },
      Row("Size") { call in [try call.reduce(.prod, try call.add(ShapeOf(), [try call.x(0)], "shape"), [0])] },
      Row(like: 0, "Reshape", since: 5) { [try reshaped($0)] },
      Row(like: 0, "Flatten") { call in
        let x = try call.x(0), dims = call.type(x).dims
        let axis = try call.int("axis", 1)
        let place = axis < 0 ? axis + dims.count : axis
        guard (0...dims.count).contains(place) else { throw call.wrong("axis \(axis) is out of range for rank \(dims.count)") }
        return [try call.reshape(x, [dims[..<place].reduce(1, *), dims[place...].reduce(1, *)])]
      },
      Row(like: 0, "Squeeze") { call in
        let x = try call.x(0), dims = call.type(x).dims
        let axes = try call.integers("axes", or: 1, "axes").map { try call.axes($0, dims.count) } ?? dims.indices.filter { dims[$0] == 1 }
        for axis in axes { if let length = dims[axis].fixed, length != 1 { throw call.wrong("axis \(axis) of \(call.type(x).message) has not the length 1") } }
        return [try call.reshape(x, dims.indices.filter { !axes.contains($0) }.map { dims[$0] })]
      },
      Row(like: 0, "Unsqueeze") { call in
        let x = try call.x(0)
        guard let given = try call.integers("axes", or: 1, "axes") else { throw call.wrong("axes are missing") }
        let rank = call.type(x).rank + given.count
        let axes = Set(try call.axes(given, rank))
        var rest = call.type(x).dims[...]
        return [try call.reshape(x, (0..<rank).map { axes.contains($0) ? 1 : rest.popFirst() ?? 1 })]
      },
      Row(like: 0, "Transpose") { call in
        let x = try call.x(0), rank = call.type(x).rank
        let order = try call.ints("perm", Array((0..<rank).reversed()))
        guard order.sorted() == Array(0..<rank) else { throw call.wrong("perm \(order) is no order of \(rank) axes") }
        return [try call.transpose(x, order)]
      },
      Row(like: 0, "Expand", since: 8) { call in
        let x = try call.x(0)
        guard let dims = try call.dims(1) else {
          let shape = try call.x(1)
          guard let rank = call.declared(0)?.count ?? call.type(shape).elementCount.fixed, rank >= call.type(x).rank else {
            throw call.unsupported("a shape of unknown rank")
          }
          // The operand's own lengths hold where the shape says 1.
          let own = try call.concat([call.constant(try Tensor([Int64](repeating: 1, count: rank - call.type(x).rank), shape: [rank - call.type(x).rank]), "ones"), try call.add(ShapeOf(), [x], "shape")], axis: 0)
          var wanted = try call.cast(shape, .int64)
          if let given = call.type(shape).elementCount.fixed, given < rank {
            wanted = try call.concat([call.constant(try Tensor([Int64](repeating: 1, count: rank - given), shape: [rank - given]), "ones"), wanted], axis: 0)
          }
          let isOne = try call.binary(.equal, wanted, try call.scalar(1, .int64))
          let full = try call.select(isOne, own, wanted)
          return [try call.add(DynamicBroadcastTo(call.dataDims(0, rank: rank)), [x, full], "broadcast_to")]
        }
        guard dims.count <= maximumRank, dims.allSatisfy({ ($0.fixed ?? 0) >= 0 }) else { throw call.wrong("its shape is impossible: \(dims)") }
        return [try call.broadcast(x, try Broadcast.dims(call.type(x).dims, dims, "expand"))]
      },
      Row(like: 0, "Tile", since: 6) { call in
        let x = try call.x(0), type = call.type(x)
        guard let times = try call.dims(1) else {
          return [try call.add(DynamicTile(call.dataDims(0, rank: type.rank)), [x, try call.x(1)], "tile")]
        }
        guard times.count == type.rank else { throw call.wrong("has \(times.count) repeats for rank \(type.rank)") }
        if let fixed = try call.input(1).known?.fixed, fixed.allSatisfy({ (0...1 << 24).contains($0) }) { return [try tiled(call, x, fixed)] }
        let dims = zip(type.dims, times).map { $0 * $1 }
        return [try call.add(DynamicTile(dims), [x, try call.x(1)], "tile")]
      },
      Row(like: 0, "DepthToSpace") { call in
        let x = try call.x(0), dims = call.type(x).dims, block = try call.int("blocksize")
        guard dims.count == 4, (1...1 << 12).contains(block), (dims[1].fixed ?? 0) % (block * block) == 0 else {
          throw call.wrong("a block of \(block) does not fit \(call.type(x).message)")
        }
        let (size, channels) = (Dim(block), dims[1].floorDivided(by: block * block))
        let moved: ValueID
        switch try call.text("mode", "DCR") {
        case "DCR": moved = try call.transpose(try call.reshape(x, [dims[0], size, size, channels, dims[2], dims[3]]), [0, 3, 4, 1, 5, 2])
        case "CRD": moved = try call.transpose(try call.reshape(x, [dims[0], channels, size, size, dims[2], dims[3]]), [0, 1, 4, 2, 5, 3])
        case let mode: throw call.unsupported("the mode \(KilnError.quoted(mode))")
        }
        return [try call.reshape(moved, [dims[0], channels, dims[2] * size, dims[3] * size])]
      },
      Row(like: 0, "SpaceToDepth") { call in
        let x = try call.x(0), dims = call.type(x).dims, block = try call.int("blocksize")
        guard dims.count == 4, (1...1 << 12).contains(block), dims[2...].allSatisfy({ ($0.fixed ?? 0) % block == 0 }) else {
          throw call.wrong("a block of \(block) does not fit \(call.type(x).message)")
        }
        let (size, rows, columns) = (Dim(block), dims[2].floorDivided(by: block), dims[3].floorDivided(by: block))
        let parts = try call.reshape(x, [dims[0], dims[1], rows, size, columns, size])
        let order = try call.text("mode", "DCR") == "CRD" ? [0, 1, 3, 5, 2, 4] : [0, 3, 5, 1, 2, 4]
        return [try call.reshape(try call.transpose(parts, order), [dims[0], dims[1] * size * size, rows, columns])]
      },
    ])

  private static func reshaped(_ call: ONNXCall) throws -> ValueID {
    let x = try call.x(0), type = call.type(x)
    let keepsZero = try !call.bool("allowzero")
    let given = call.has("shape") ? try call.ints("shape").map { Dim($0) } : try call.dims(1)
    guard var dims = given else {
      var shape = try call.x(1)
      guard let rank = call.type(shape).elementCount.fixed ?? call.declared(0)?.count, rank <= maximumRank else { throw call.unsupported("a shape of unknown rank") }
      if keepsZero {
        // Where the shape says 0, the operand's length stays.
        shape = try call.cast(shape, .int64)
        var own = try call.slice(try call.add(ShapeOf(), [x], "shape"), axis: 0, 0, min(rank, type.rank))
        if rank > type.rank { own = try call.add(Pad(low: [0], high: [rank - type.rank]), [own], "pad") }
        shape = try call.select(try call.binary(.equal, shape, try call.scalar(0, .int64)), own, shape)
      }
      return try call.add(DynamicReshape(call.dataDims(0, rank: rank)), [x, shape], "reshape")
    }
    guard dims.count <= maximumRank, dims.filter({ $0 == -1 }).count <= 1, dims.allSatisfy({ ($0.fixed ?? 0) >= -1 }) else {
      throw call.wrong("its shape is impossible: \(dims)")
    }
    for axis in dims.indices where keepsZero && dims[axis] == 0 {
      guard axis < type.rank else { throw call.wrong("its shape keeps axis \(axis) of \(type.message)") }
      dims[axis] = type.dims[axis]
    }
    if let open = dims.firstIndex(of: -1) {
      let rest = dims.enumerated().filter { $0.offset != open }.reduce(Dim(1)) { $0 * $1.element }
      guard let length = type.elementCount.exactlyDivided(by: rest) else {
        // Lengths that are alike on both sides cancel.
        var (left, right) = (type.dims, dims.enumerated().filter { $0.offset != open }.map(\.element))
        for dim in right { if let place = left.firstIndex(of: dim), let other = right.firstIndex(of: dim) { left.remove(at: place); right.remove(at: other) } }
        guard let rest = right.reduce(Dim(1), *).fixed, rest > 0 else {
          throw call.unsupported("a reshape of \(type.message) to \(dims)")
        }
        dims[open] = left.reduce(1, *).floorDivided(by: rest)
        return try call.reshape(x, dims)
      }
      dims[open] = length
    }
    return try call.reshape(x, dims)
  }

  /// x repeated by known numbers: gathers of few axes.
  static func tiled(_ call: ONNXCall, _ x: ValueID, _ times: [Int]) throws -> ValueID {
    var result = x
    for (axis, count) in times.enumerated() where count != 1 {
      guard count <= 4096 else { throw call.unsupported("\(count) repeats") }
      let dims = call.type(result).dims
      if count == 0 {
        result = try call.slice(result, axis: axis, 0, 0)
        continue
      }
      if dims[axis] == 1 {
        var wanted = dims
        wanted[axis] = Dim(count)
        result = try call.broadcast(result, wanted)
      } else {
        result = try call.concat([ValueID](repeating: result, count: count), axis: axis)
      }
    }
    return result
  }
}
