import GraphModule
import TensorModule

extension TFOpCatalog {
  /// Ops whose results are as long as the data say.
  static let dataSizes = Family(
    "Sizes that depend on the data",
    [
      "Where": { call in [try places(call, try call.x(0))] },
      "Unique": { try unique($0, outputs: 2) }, "UniqueV2": { try unique($0, outputs: 2) },
      "UniqueWithCounts": { try unique($0, outputs: 3) }, "UniqueWithCountsV2": { try unique($0, outputs: 3) },
      "ListDiff": { try listDifference($0) },
      "DynamicPartition": { try partition($0) },
    ])

  /// The coordinates of what is not zero: int64 [count, rank].
  static func places(_ call: TFCall, _ x: ValueID) throws -> ValueID {
    try call.dynamic(NonZero(call.dataSize()), [x], "nonzero")[0]
  }

  /// The positions in a vector at which a condition holds.
  static func positions(_ call: TFCall, _ condition: ValueID) throws -> ValueID {
    let found = try places(call, condition)
    return try call.reshape(found, [call.type(found).dims[0]])
  }

  private static func unique(_ call: TFCall, outputs: Int) throws -> [ValueID] {
    let x = try call.x(0), type = call.type(x)
    let axes = call.op.hasSuffix("V2") ? try call.integers(1, "an axis") : []
    guard type.rank == 1, try axes.allSatisfy({ try call.axis($0, 1) == 0 }) else { throw call.unsupported("the different parts of \(type.message)") }
    let results = try call.dynamic(Unique(call.dataSize()), [x], "unique")
    let dtype = try call.dtype("out_idx", .int32)
    return [results[0]] + (try results[1..<outputs].map { try call.cast($0, dtype) })
  }

  /// What is in x and not in y, and where it was.
  private static func listDifference(_ call: TFCall) throws -> [ValueID] {
    let (x, y) = (try call.x(0), try call.x(1))
    guard call.type(x).rank == 1, call.type(y).rank == 1 else { throw call.wrong("needs vectors") }
    let same = try call.binary(.equal, try call.expand(x, 1), try call.expand(y, 0))
    let places = try positions(call, try call.unary(.not, try call.reduce(.any, same, [1])))
    return [try call.add(Gather(axis: 0), [x, places], "gather"), try call.cast(places, try call.dtype("out_idx", .int32))]
  }

  /// The rows of each part, in order.
  private static func partition(_ call: TFCall) throws -> [ValueID] {
    let (data, parts) = (try call.x(0), try call.x(1))
    let (type, partType) = (call.type(data), call.type(parts))
    let count = try call.int("num_partitions")
    guard (1...1 << 16).contains(count), partType.rank <= type.rank else { throw call.wrong("\(count) parts \(partType.message) of \(type.message)") }
    let length = partType.elementCount
    let rows = try call.reshape(data, [length] + type.dims[partType.rank...])
    let key = TFBuilder.PartitionKey(parts: parts, count: count)
    let places: [ValueID]
    if let known = call.builder.partitions[key] { places = known } else {
      let checked = try call.add(CheckRange(0...count - 1), [try call.reshape(parts, [length])], "check_range")
      places = try (0..<count).map { part in
        try positions(call, try call.binary(.equal, checked, try call.scalar(Double(part), partType.dtype)))
      }
      call.builder.partitions[key] = places
    }
    let results = try places.map { try call.add(Gather(axis: 0), [rows, $0], "gather") }
    let isCount = try call.builder.counts.contains(data) || (call.input(0).known?.fixed).map { $0 == Array(0..<$0.count) } == true
    if isCount, partType.rank == 1 {
      for (index, result) in results.enumerated() { call.builder.pieces[result] = .init(key: key, index: index, length: length) }
    }
    return results
  }

  // MARK: Putting together

  /// Rows of several tensors at the places that indices say; of equal ones the last wins.
  static func stitch(_ call: TFCall) throws -> ValueID {
    let count = call.inputs.count / 2
    guard count >= 1, call.inputs.count % 2 == 0 else { throw call.wrong("has \(call.inputs.count) inputs") }
    let isKnown = try (0..<count).allSatisfy { try call.input($0).known?.fixed != nil }
    if isKnown { return try knownStitch(call, count) }
    var (places, rows): ([ValueID], [ValueID]) = ([], [])
    for part in 0..<count {
      let (indices, data) = (try call.x(part), try call.x(count + part))
      let length = call.type(indices).elementCount
      places.append(try call.reshape(indices, [length]))
      rows.append(try call.reshape(data, [length] + call.type(data).dims.dropFirst(call.type(indices).rank)))
    }
    let all = try call.concat(rows, axis: 0), indices = try call.concat(places, axis: 0)
    let length = try stitchedLength(call, count) ?? call.bound(try lengthOf(call, indices))
    let empty = try call.broadcast(try call.zero(call.type(all).dtype), [length] + call.type(all).dims.dropFirst())
    return try call.add(Scatter(.update), [empty, try call.expand(indices, 1), all], "scatter")
  }

  /// One more than the largest of some indices; 0 when there are none.
  static func lengthOf(_ call: TFCall, _ indices: ValueID) throws -> ValueID {
    let wide = try call.cast(indices, .int64)
    let all = try call.concat([wide, try call.numbers([-1], [1], .int64, "none")], axis: 0)
    return try call.binary(.add, try call.reduce(.max, all, [0]), try call.scalar(1, .int64))
  }

  /// The length when the indices are all parts of 0, 1, 2, …
  private static func stitchedLength(_ call: TFCall, _ count: Int) throws -> Dim? {
    let pieces = try (0..<count).compactMap { call.builder.pieces[try call.x($0)] }
    guard let first = pieces.first, pieces.count == count, first.key.count == count,
      pieces.allSatisfy({ $0.key == first.key }), Set(pieces.map(\.index)).count == count
    else { return nil }
    return first.length
  }

  private static func knownStitch(_ call: TFCall, _ count: Int) throws -> ValueID {
    var source: [Int: Int] = [:]
    var rows: [ValueID] = []
    var offset = 0
    for part in 0..<count {
      let indices = try call.integers(part, "indices")
      let rank = try call.input(part).type.rank
      let data = try call.x(count + part)
      rows.append(try call.reshape(data, [Dim(indices.count)] + call.type(data).dims.dropFirst(rank)))
      for (place, index) in indices.enumerated() {
        guard (0...1 << 24).contains(index) else { throw call.wrong("index \(index) is out of range") }
        source[index] = offset + place
      }
      offset += indices.count
    }
    let length = (source.keys.max() ?? -1) + 1
    guard length <= offset * 16 + 1024 else { throw call.wrong("its indices leave out too many rows") }
    let all = try call.concat(rows, axis: 0)
    return try call.add(Gather(axis: 0), [all, try call.numbers((0..<length).map { Double(source[$0] ?? 0) }, [length], .int32, "order")], "gather")
  }
}
