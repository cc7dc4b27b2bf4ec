import GraphModule
import TensorModule

extension TFOpCatalog {
  /// Rows of unequal lengths: values one after the other, and where each row begins.
  static let raggedRows = Family(
    "Ragged tensors",
    [
      "RaggedRange": { try range($0) },
      "RaggedGather": { try gathered($0) },
      "RaggedTensorToTensor": { [try padded($0)] },
      "RaggedTensorToSparse": { try coordinates($0) },
      "CTCGreedyDecoder": { try greedy($0) },
    ])

  /// The rows of one level of a ragged tensor.
  private struct Level {
    /// The number of rows.
    var rows: Dim
    /// The row of each value, int64.
    var ids: ValueID
    /// The place of each value in its row, int64.
    var places: ValueID
    /// The length of each row, int64.
    var lengths: ValueID
  }

  private static func number(_ call: TFCall, _ value: Int) throws -> ValueID { try call.scalar(Double(value), .int64) }

  private static func ends(_ call: TFCall, _ splits: ValueID) throws -> (starts: ValueID, limits: ValueID) {
    guard call.type(splits).rank == 1 else { throw call.wrong("splits must be a vector, found \(call.type(splits).message)") }
    return (try call.slice(splits, axis: 0, nil, -1), try call.slice(splits, axis: 0, 1, nil))
  }

  /// Rows by where they begin and end; values are `count` in all.
  private static func level(_ call: TFCall, _ splits: ValueID, _ count: Dim) throws -> Level {
    let wide = try call.cast(splits, .int64)
    let (starts, limits) = try ends(call, wide)
    let rows = call.type(splits).dims[0] - 1
    // A row begins where one is added; their running sum is the row.
    let zeros = try call.broadcast(try number(call, 0), [count + 1])
    let ones = try call.broadcast(try number(call, 1), [rows])
    let marks = try call.add(Scatter(.add), [zeros, try call.expand(limits, 1), ones], "marks")
    let ids = try call.add(Cumulative(.sum, axis: 0), [try call.slice(marks, axis: 0, nil, -1)], "rows")
    let first = try call.add(Gather(axis: 0), [starts, ids], "gather")
    let places = try call.binary(.sub, try counted(call, count, .int64), first)
    return Level(rows: rows, ids: ids, places: places, lengths: try call.binary(.sub, limits, starts))
  }

  private static func splits(_ call: TFCall, _ lengths: ValueID) throws -> ValueID {
    let sums = try call.add(Cumulative(.sum, axis: 0), [lengths], "ends")
    return try call.concat([try call.numbers([0], [1], call.type(lengths).dtype, "start"), sums], axis: 0)
  }

  /// The last number of a vector, as a length.
  private static func last(_ call: TFCall, _ splits: ValueID) throws -> Dim { try call.bound(try call.slice(splits, axis: 0, -1, nil)) }

  private static func range(_ call: TFCall) throws -> [ValueID] {
    var parts = try call.all()
    guard parts.count == 3 else { throw call.wrong("needs starts, limits and deltas") }
    let dtype = call.type(parts[0]).dtype
    guard dtype.isInteger else { throw call.unsupported("ranges of \(dtype.name)") }
    let length = parts.first { call.type($0).rank == 1 }.map { call.type($0).dims[0] } ?? 1
    parts = try parts.map { try call.broadcast(try call.cast($0, .int64), [length]) }
    let (starts, limits, deltas) = (parts[0], parts[1], parts[2])
    let distance = try call.binary(.sub, limits, starts)
    let rounded = try call.binary(.sub, try call.binary(.add, distance, deltas), try call.unary(.sign, deltas))
    let lengths = try call.binary(.max, try call.binary(.floorDiv, rounded, deltas), try number(call, 0))
    let splits = try splits(call, lengths)
    let values = try places(call, splits, starts, deltas)
    return [try call.cast(splits, try call.dtype("Tsplits", .int64)), try call.cast(values, dtype)]
  }

  /// start, start + delta, … of each row.
  private static func places(_ call: TFCall, _ splits: ValueID, _ starts: ValueID, _ deltas: ValueID?) throws -> ValueID {
    let level = try level(call, splits, try last(call, splits))
    var offset = level.places
    if let deltas { offset = try call.binary(.mul, offset, try call.add(Gather(axis: 0), [deltas, level.ids], "gather")) }
    return try call.binary(.add, try call.add(Gather(axis: 0), [starts, level.ids], "gather"), offset)
  }

  /// Whole rows picked by indices.
  private static func gathered(_ call: TFCall) throws -> [ValueID] {
    let depth = try call.int("PARAMS_RAGGED_RANK")
    guard depth >= 1, call.inputs.count == depth + 2 else { throw call.wrong("has \(call.inputs.count) inputs") }
    let values = try call.x(depth), indices = try call.x(depth + 1)
    let dtype = try call.dtype("Tsplits", .int64)
    let dims = call.type(indices).dims
    guard !dims.isEmpty else { throw call.wrong("needs a vector of indices or more") }
    var results: [ValueID] = []
    for axis in 1..<dims.count {
      // Rows of the indices are equally long.
      let count = try counted(call, dims[..<axis].reduce(1, *) + 1, dtype)
      results.append(try call.binary(.mul, count, try call.scalar(size: dims[axis], dtype)))
    }
    var picked = try call.reshape(indices, [dims.reduce(1, *)])
    for level in 0..<depth {
      let (starts, limits) = try ends(call, try call.cast(try call.x(level), .int64))
      let from = try call.add(Gather(axis: 0), [starts, picked], "gather"), to = try call.add(Gather(axis: 0), [limits, picked], "gather")
      let splits = try splits(call, try call.binary(.sub, to, from))
      results.append(try call.cast(splits, dtype))
      picked = try places(call, splits, from, nil)
    }
    return results + [try call.add(Gather(axis: 0), [values, picked], "gather")]
  }

  // MARK: Other forms

  /// The levels that row partitions tell, from the outermost.
  private static func levels(_ call: TFCall, _ types: [String], first: Int, count: Dim) throws -> [Level] {
    var levels: [Level] = []
    var inner = count
    for (index, type) in types.enumerated().reversed() {
      let partition = try call.x(first + index)
      switch type {
      case "ROW_SPLITS":
        levels.insert(try level(call, partition, inner), at: 0)
      case "VALUE_ROWIDS":
        guard index > 0 else { throw call.wrong("begins with \(type)") }
        let rows = types[index - 1] == "FIRST_DIM_SIZE" ? try call.size(first + index - 1, "a size") : try call.bound(try lengthOf(call, partition))
        let ids = try call.cast(partition, .int64)
        let zeros = try call.broadcast(try number(call, 0), [rows])
        let ones = try call.broadcast(try number(call, 1), [inner])
        let lengths = try call.add(Scatter(.add), [zeros, try call.expand(ids, 1), ones], "lengths")
        let starts = try call.add(Cumulative(.sum, axis: 0, exclusive: true), [lengths], "starts")
        let places = try call.binary(.sub, try counted(call, inner, .int64), try call.add(Gather(axis: 0), [starts, ids], "gather"))
        levels.insert(Level(rows: rows, ids: ids, places: places, lengths: lengths), at: 0)
      case "FIRST_DIM_SIZE": continue
      default: throw call.unsupported("the row partition \(KilnError.quoted(type))")
      }
      inner = levels[0].rows
    }
    return levels
  }

  /// The coordinates of every value: [count, levels + 1].
  private static func coordinates(_ call: TFCall, _ levels: [Level]) throws -> ValueID {
    guard let innermost = levels.last else { throw call.wrong("has no rows") }
    var columns = [innermost.places]
    var row = innermost.ids
    for level in levels.dropLast().reversed() {
      columns.insert(try call.add(Gather(axis: 0), [level.places, row], "gather"), at: 0)
      row = try call.add(Gather(axis: 0), [level.ids, row], "gather")
    }
    return try call.concat(try ([row] + columns).map { try call.expand($0, 1) }, axis: 1)
  }

  private static func longest(_ call: TFCall, _ level: Level) throws -> Dim {
    let all = try call.concat([level.lengths, try call.numbers([0], [1], .int64, "none")], axis: 0)
    return try call.bound(try call.reduce(.max, all, [0]))
  }

  private static func padded(_ call: TFCall) throws -> ValueID {
    guard case .list(let items)? = call.attribute("row_partition_types") else { throw call.wrong("attribute 'row_partition_types' is missing") }
    let types = items.compactMap(\.text)
    guard types.count == items.count, call.inputs.count == 3 + types.count else { throw call.wrong("has \(call.inputs.count) inputs for \(types.count) partitions") }
    let values = try call.x(1), filling = try call.x(2), type = call.type(values)
    guard type.rank >= 1 else { throw call.wrong("needs values, found a scalar") }
    let levels = try levels(call, types, first: 3, count: type.dims[0])
    let inner = Array(type.dims.dropFirst())
    let asked = try call.input(0).type.rank == 0 ? [] : try call.sizesOrOpen(0, "a shape")
    func wanted(_ axis: Int) -> Dim? { asked.indices.contains(axis) ? asked[axis] : nil }
    var dims = [try wanted(0) ?? levels.first?.rows ?? 0]
    for (index, level) in levels.enumerated() { dims.append(try wanted(index + 1) ?? longest(call, level)) }
    let start = try call.broadcast(filling, dims + inner)
    return try call.add(Scatter(.update, outside: .skip), [start, try coordinates(call, levels), values], "scatter")
  }

  private static func coordinates(_ call: TFCall) throws -> [ValueID] {
    let depth = try call.int("RAGGED_RANK")
    guard depth >= 1, call.inputs.count == depth + 1 else { throw call.wrong("has \(call.inputs.count) inputs") }
    let values = try call.x(depth), type = call.type(values)
    guard type.rank == 1 else { throw call.unsupported("ragged rows of \(type.message)") }
    let levels = try levels(call, [String](repeating: "ROW_SPLITS", count: depth), first: 0, count: type.dims[0])
    let shape = try ([levels[0].rows] + levels.map { try longest(call, $0) })
    return [try coordinates(call, levels), values, try call.builder.vector(shape)]
  }

  // MARK: CTC

  /// The best label of each step, without repetitions and blanks.
  private static func greedy(_ call: TFCall) throws -> [ValueID] {
    let x = try call.x(0), dims = call.type(x).dims
    guard dims.count == 3 else { throw call.wrong("needs [time, batch, labels], found \(call.type(x).message)") }
    let (time, batch) = (dims[0], dims[1])
    var blank = try call.int("blank_index", -1)
    if blank < 0 { blank += try call.length(x, 2) }
    let best = try call.add(ArgReduce(.max, axis: 2, dtype: .int64), [x], "labels")
    let inside = try call.binary(
      .less, try call.expand(try counted(call, time, .int32), 1), try call.expand(try call.cast(try call.x(1), .int32), 0))
    var keeps = try call.binary(.and, inside, try call.binary(.notEqual, best, try number(call, blank)))
    if try call.bool("merge_repeated") {
      let none = try call.broadcast(try number(call, -1), [1, batch])
      let before = try call.slice(try call.concat([none, best], axis: 0), axis: 0, nil, -1)
      keeps = try call.binary(.and, keeps, try call.binary(.notEqual, best, before))
    }
    let byBatch = try call.transpose(keeps, [1, 0])
    let found = try places(call, byBatch)
    let order = try call.add(Cumulative(.sum, axis: 1, exclusive: true), [try call.cast(byBatch, .int64)], "order")
    func picked(_ x: ValueID) throws -> ValueID {
      let row = try call.slice(found, axis: 1, 0, 1), column = try call.slice(found, axis: 1, 1, 2)
      let place = try call.binary(.add, try call.binary(.mul, row, try call.scalar(size: time, .int64)), column)
      let flat = try call.reshape(x, [batch * time])
      return try call.add(Gather(axis: 0), [flat, place], "gather")
    }
    let indices = try call.concat([try call.slice(found, axis: 1, 0, 1), try picked(order)], axis: 1)
    let labels = try call.drop(try picked(try call.transpose(best, [1, 0])), 1)
    let lengths = try call.reduce(.sum, try call.cast(byBatch, .int64), [1])
    let longest = try call.reduce(.max, try call.concat([lengths, try call.numbers([0], [1], .int64, "none")], axis: 0), [0], keepDims: true)
    let shape = try call.concat([try call.builder.size(batch), longest], axis: 0)
    let highest = try call.select(inside, try call.reduce(.max, x, [2]), try call.scalar(0, call.type(x).dtype))
    let score = try call.unary(.neg, try call.reduce(.sum, highest, [0]))
    return [indices, labels, shape, try call.expand(score, 1)]
  }
}
