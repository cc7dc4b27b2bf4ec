import TensorModule

/// Rows of unequal lengths brought under a plain shape, as in `tf.RaggedTensor.to_tensor`.
package struct RaggedToDense: DataDependentOp {
  /// How an operand says where rows are.
  package enum Partition: String, Sendable, CaseIterable {
    /// The number of rows; comes first, before row_ids.
    case rows
    /// The row of each element, ascending.
    case rowIDs = "row_ids"
    /// Where each row begins, then where the last one ends.
    case splits
  }

  package static let name = "ragged_to_dense"
  package static let summary =
    "values [count, ...] in rows that the operands after it give level by level (`partitions`), as a tensor of the shape that the third operand holds (integers, -1: as long as the longest); what a row lacks is default, the second operand, what it has too much is cut; `dims` declares the result"

  package var partitions: [Partition]
  package var dims: [Dim]

  package init(_ partitions: [Partition], _ dims: [Dim]) { (self.partitions, self.dims) = (partitions, dims) }

  package var attributes: Attributes {
    [("partitions", .list(partitions.map { .word($0.rawValue) })), ("dims", .dims(dims))]
  }

  package init(from reader: inout AttributeReader) throws {
    partitions = try reader.list("partitions").map {
      guard case .word(let text) = $0, let partition = Partition(rawValue: text) else {
        throw KilnError(.badInput, "op '\(Self.name)': partitions must be rows, row_ids or splits")
      }
      return partition
    }
    dims = try reader.dims("dims")
  }

  /// The number of levels of rows.
  private var levels: Int { partitions.count { $0 != .rows } }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 3 + partitions.count...3 + partitions.count, Self.name)
    let values = inputs[0]
    try Expect.rank(values, 1...maximumRank, Self.name, "values")
    try Expect.that(inputs[1].dtype == values.dtype, Self.name, "default \(inputs[1].message) must have the dtype of values \(values.message)")
    try Expect.that(inputs[1].rank < values.rank, Self.name, "default \(inputs[1].message) must fit an element of values \(values.message)")
    try Expect.that(inputs[2].dtype.isInteger && inputs[2].rank <= 1, Self.name, "the shape must be integers, found \(inputs[2].message)")
    try Expect.that(levels >= 1, Self.name, "partitions must have one level or more")
    for (index, partition) in partitions.enumerated() {
      let type = inputs[3 + index]
      if partition == .rows {
        try Expect.that(index == 0 && partitions.count > 1 && partitions[1] == .rowIDs, Self.name, "rows must come first, before row_ids")
        try SizeOperand.scalar(type, Self.name, "the number of rows")
      } else {
        try Expect.that(index > 0 || partition == .splits, Self.name, "row_ids without rows")
        try SizeOperand.vector(type, nil, Self.name, "a partition")
      }
    }
    try SizeOperand.declared(dims, Self.name)
    try Expect.that(dims.count == levels + values.rank, Self.name, "dims must be \(levels + values.rank), found \(dims.count)")
    return [TensorType(values.dtype, dims)]
  }

  package func results(_ inputs: [ReferenceTensor]) throws -> [ReferenceTensor] {
    let (values, wanted) = (inputs[0], inputs[2])
    let inner = Array(values.shape.dropFirst())
    let splits = try splits(inputs)
    var natural = [splits[0].count - 1] + splits.map { level in zip(level, level.dropFirst()).reduce(0) { max($0, $1.1 - $1.0) } } + inner
    if wanted.shape.count == 1 {
      guard wanted.count == natural.count else {
        throw KilnError(.badInput, "op '\(Self.name)': the shape has \(wanted.count) lengths for \(natural.count) axes")
      }
      for (axis, length) in wanted.integers.enumerated() where length >= 0 { natural[axis] = Int(clamping: length) }
    }
    let shape = try SizeOperand.shape(natural.map(Int64.init), Self.name)
    guard Array(shape.suffix(inner.count)) == inner else {
      throw KilnError(.badInput, "op '\(Self.name)': the shape \(shape.shapeText) does not fit elements \(inner.shapeText)")
    }
    // The place of each row in the result; -1 where it is cut.
    var places = (0..<splits[0].count - 1).map { $0 < shape[0] ? $0 : -1 }
    for (level, marks) in splits.enumerated() {
      let width = shape[level + 1]
      var next = [Int](repeating: -1, count: marks.last ?? 0)
      for row in places.indices where places[row] >= 0 {
        for position in marks[row]..<min(marks[row + 1], marks[row] + width) { next[position] = places[row] * width + position - marks[row] }
      }
      places = next
    }
    guard places.count == values.shape[0] else {
      throw KilnError(.badInput, "op '\(Self.name)': the rows hold \(places.count) elements and there are \(values.shape[0])")
    }
    let size = inner.reduce(1, *)
    var sources = [Int](repeating: -1, count: shape.elementCount)
    for (source, place) in places.enumerated() where place >= 0 {
      for offset in 0..<size { sources[place * size + offset] = source * size + offset }
    }
    let other = inputs[1].broadcast(to: inner)
    func pick<Element>(_ values: [Element], _ other: [Element]) -> [Element] {
      sources.enumerated().map { $1 < 0 ? other[$0 % max(size, 1)] : values[$1] }
    }
    let storage: ReferenceTensor.Storage =
      switch values.storage {
      case .floats: .floats(pick(values.numbers, other.numbers))
      case .integers: .integers(pick(values.integers, other.integers))
      case .strings: .strings(pick(values.texts, other.texts))
      }
    return [ReferenceTensor(values.dtype, shape, storage)]
  }

  /// Where rows begin and end, level by level.
  private func splits(_ inputs: [ReferenceTensor]) throws -> [[Int]] {
    var found: [[Int]] = []
    var rows: Int?
    for (partition, operand) in zip(partitions, inputs.dropFirst(3)) {
      let numbers = operand.integers.map { Int(clamping: $0) }
      switch partition {
      case .rows:
        rows = try SizeOperand.shape([operand.integers.first ?? 0], Self.name, most: 1 << 24)[0]
        continue
      case .splits: found.append(try RaggedRows.splits(numbers, Self.name))
      case .rowIDs:
        var counts = [Int](repeating: 0, count: rows ?? found.last?.last ?? 0)
        for (row, before) in zip(numbers, [0] + numbers) {
          guard counts.indices.contains(row), row >= before else {
            throw KilnError(.badInput, "op '\(Self.name)': row \(row) does not follow \(before) among \(counts.count) rows")
          }
          counts[row] += 1
        }
        found.append(counts.reduce(into: [0]) { $0.append(($0.last ?? 0) + $1) })
      }
      rows = nil
      if found.count > 1, found[found.count - 1].count - 1 != found[found.count - 2].last {
        throw KilnError(.badInput, "op '\(Self.name)': a level has \(found[found.count - 1].count - 1) rows for \(found[found.count - 2].last ?? 0)")
      }
    }
    return found
  }

  package func substituting(_ bindings: [String: Int]) -> RaggedToDense {
    RaggedToDense(partitions, dims.map { $0.substituting(bindings) })
  }

  package static var examples: [OpExample] {
    func i(_ dims: [Dim]) -> TensorType { TensorType(.int64, dims) }
    let (f, none) = (TensorType(.float32, [4]), TensorType(.float32, []))
    return [
      OpExample(RaggedToDense([.splits], [3, 2]), [f, none, i([2]), i([4])], fixed: [2: [-1, -1], 3: [0, 2, 2, 4]]),
      OpExample(RaggedToDense([.rows, .rowIDs], [2, 5]), [f, none, i([2]), i([]), i([4])], fixed: [2: [2, 5], 3: [3], 4: [0, 0, 2, 2]]),
      OpExample(
        RaggedToDense([.splits, .splits], [2, 1, 2, 3]), [TensorType(.int32, [3, 3]), TensorType(.int32, [3]), i([]), i([3]), i([3])],
        fixed: [2: [-1], 3: [0, 1, 2], 4: [0, 1, 3]]),
      OpExample(
        RaggedToDense([.splits], [1, 2]), [TensorType(.string, [3]), TensorType(.string, []), i([2]), i([2])],
        fixed: [2: [1, 2], 3: [0, 3]]),
      OpExample(RaggedToDense([.splits], [0, 0]), [TensorType(.float32, [0]), none, i([]), i([1])], fixed: [2: [-1], 3: [0]]),
    ]
  }
}

/// Helpers for ops on rows of unequal lengths.
enum RaggedRows {
  /// Row splits that ascend from 0.
  static func splits(_ numbers: [Int], _ op: String) throws -> [Int] {
    guard numbers.first == 0, zip(numbers, numbers.dropFirst()).allSatisfy({ $0 <= $1 }) else {
      throw KilnError(.badInput, "op '\(op)': row splits must ascend from 0")
    }
    return numbers
  }
}
