import TensorModule

/// Features read from `tf.train.Example` messages, as in `tf.io.parse_example`.
package struct ParseExample: DataDependentOp {
  /// How a feature becomes tensors.
  package enum Kind: String, Sendable, CaseIterable {
    /// As many values in every example as its shape has.
    case dense
    /// Rows of its shape, as many as the longest example has.
    case padded
    /// Any number of values: their places, the values, and 0, 1, … as many as the longest example has.
    case sparse
    /// Any number of values: the values, and where each example's begin.
    case ragged
  }

  package struct Feature: Sendable, Hashable {
    package var key: String
    package var kind: Kind
    /// float32, int64 or string.
    package var dtype: DType
    package var shape: [Int]
    /// The sizes that the data decide: padded the longest; sparse the count and the longest; ragged the count.
    package var sizes: [Dim]

    package init(_ key: String, _ kind: Kind, _ dtype: DType, shape: [Int] = [], sizes: [Dim] = []) {
      (self.key, self.kind, self.dtype, self.shape, self.sizes) = (key, kind, dtype, shape, sizes)
    }

    var takesDefault: Bool { kind == .dense || kind == .padded }
  }

  package static let name = "parse_example"
  package static let summary =
    "the features of serialized Examples [n]. Dense: [n, shape...], where one is missing its operand, or an error when that has no elements; padded: [n, longest, shape...], filled up with its operand; sparse: row and column of each value (int64 [count, 2]), the values, 0, 1, … to the longest (int64); ragged: the values, their splits (int64 [n + 1])"

  package var features: [Feature]

  package init(_ features: [Feature]) { self.features = features }

  package var attributes: Attributes {
    [
      (
        "features",
        .list(
          features.map { feature in
            .list([
              .string(feature.key), .word(feature.kind.rawValue), .word(feature.dtype.name), .ints(feature.shape), .dims(feature.sizes),
            ])
          })
      )
    ]
  }

  package init(from reader: inout AttributeReader) throws {
    features = try reader.list("features").map { item in
      guard case .list(let parts) = item, parts.count == 5, case .string(let key) = parts[0], case .word(let word) = parts[1],
        let kind = Kind(rawValue: word), case .word(let name) = parts[2], let dtype = DType(name: name), case .list(let lengths) = parts[3],
        case .dims(let sizes) = parts[4]
      else { throw KilnError(.badInput, "op '\(Self.name)': a feature is a key, a kind, a dtype, a shape and sizes") }
      let shape = lengths.compactMap { if case .int(let length) = $0 { length } else { nil } }
      guard shape.count == lengths.count else { throw KilnError(.badInput, "op '\(Self.name)': a shape must be integers") }
      return Feature(key, kind, dtype, shape: shape, sizes: sizes)
    }
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.that(!features.isEmpty, Self.name, "needs a feature")
    let count = 1 + features.count(where: \.takesDefault)
    try Expect.count(inputs, count...count, Self.name)
    try Expect.strings(inputs[0], Self.name, "the operand")
    try Expect.rank(inputs[0], 1...1, Self.name, "the operand")
    let n = inputs[0].dims[0]
    var operand = 1
    var out: [TensorType] = []
    for feature in features {
      let name = KilnError.quoted(feature.key)
      try Expect.that([.float32, .int64, .string].contains(feature.dtype), Self.name, "\(name) must be float32, int64 or string")
      try Expect.that(
        feature.shape.count <= maximumRank - 2 && (checkedProduct(feature.shape) ?? Int.max) <= SizeOperand.mostMade
          && feature.shape.allSatisfy { $0 >= 0 },
        Self.name, "\(name) has the impossible shape \(feature.shape.shapeText)")
      try SizeOperand.declared(feature.sizes, Self.name)
      let sizes = feature.kind == .sparse ? 2 : feature.kind == .dense ? 0 : 1
      try Expect.that(feature.sizes.count == sizes, Self.name, "\(name) has \(feature.sizes.count) sizes, expected \(sizes)")
      if feature.takesDefault {
        try Expect.that(
          inputs[operand].dtype == feature.dtype, Self.name, "the default of \(name) must be \(feature.dtype.name), found \(inputs[operand].message)")
        operand += 1
      }
      let dims = feature.shape.map { Dim($0) }
      switch feature.kind {
      case .dense: out.append(TensorType(feature.dtype, [n] + dims))
      case .padded: out.append(TensorType(feature.dtype, [n] + feature.sizes + dims))
      case .sparse:
        out += [
          TensorType(.int64, [feature.sizes[0], 2]), TensorType(feature.dtype, [feature.sizes[0]]), TensorType(.int64, [feature.sizes[1]]),
        ]
      case .ragged: out += [TensorType(feature.dtype, feature.sizes), TensorType(.int64, [n + 1])]
      }
    }
    return out
  }

  package func results(_ inputs: [ReferenceTensor]) throws -> [ReferenceTensor] {
    let keys = Set(features.map { ByteString($0.key) })
    var rows = [[ExampleMessage.Values?]](repeating: [], count: features.count)
    for (index, text) in inputs[0].texts.enumerated() {
      do {
        try text.bytes.withUnsafeBytes { bytes in
          let message = try ExampleMessage(bytes, wanted: keys)
          for (place, feature) in features.enumerated() { rows[place].append(try message.values(ByteString(feature.key), feature.dtype)) }
        }
      } catch let error as KilnError { throw KilnError(.badInput, "op '\(Self.name)': example \(index): \(error.message)") }
    }
    var operand = 0
    return try zip(features, rows).flatMap { feature, values -> [ReferenceTensor] in
      switch feature.kind {
      case .dense, .padded:
        operand += 1
        return [try FeatureRows(feature, values).dense(inputs[operand])]
      case .sparse: return FeatureRows(feature, values).sparse()
      case .ragged: return FeatureRows(feature, values).ragged()
      }
    }
  }

  package func substituting(_ bindings: [String: Int]) -> ParseExample {
    ParseExample(
      features.map { feature in
        var copy = feature
        copy.sizes = feature.sizes.map { $0.substituting(bindings) }
        return copy
      })
  }

  /// An Example whose features are x: floats 1, 2; k: integers 7, -1; t: "ab".
  private static let message = ByteString(
    [
      10, 55, 10, 17, 10, 1, 120, 18, 12, 18, 10, 10, 8, 0, 0, 128, 63, 0, 0, 0, 64, 10, 21, 10, 1, 107, 18, 16, 26, 14, 10, 12, 7, 255, 255,
      255, 255, 255, 255, 255, 255, 255, 1, 0, 10, 11, 10, 1, 116, 18, 6, 10, 4, 10, 2, 97, 98,
    ] as [UInt8])

  package static var examples: [OpExample] {
    let (two, none) = (TensorType(.string, [2]), TensorType(.string, [0]))
    let texts: [Int: [ByteString]] = [0: [message, ""]]
    return [
      OpExample(
        ParseExample([Feature("x", .dense, .float32, shape: [2, 1]), Feature("t", .dense, .string)]),
        [two, TensorType(.float32, [2, 1]), TensorType(.string, [1])], texts: texts),
      OpExample(ParseExample([Feature("k", .padded, .int64, sizes: [3])]), [two, TensorType(.int64, [])], texts: texts),
      OpExample(
        ParseExample([Feature("x", .sparse, .float32, sizes: [2, 2]), Feature("t", .ragged, .string, sizes: [1])]), [two], texts: texts),
      OpExample(ParseExample([Feature("x", .dense, .float32, shape: [2])]), [none, TensorType(.float32, [0])]),
    ]
  }
}

extension Graph {
  /// The values that are parsed as Examples, and those that these are reshaped from.
  package var serializedExamples: Set<ValueID> {
    var found: Set<ValueID> = []
    for node in nodes.reversed() {
      if node.op is ParseExample || (node.op is Reshape && node.outputs.contains(where: found.contains)) {
        found.formUnion(node.inputs.prefix(1))
      }
    }
    return found
  }
}

/// One feature's values over all examples.
private struct FeatureRows {
  let feature: ParseExample.Feature
  let rows: [ExampleMessage.Values?]

  init(_ feature: ParseExample.Feature, _ rows: [ExampleMessage.Values?]) { (self.feature, self.rows) = (feature, rows) }

  private func wrong(_ message: String) -> KilnError {
    KilnError(.badInput, "op '\(ParseExample.name)': the feature \(KilnError.quoted(feature.key)) \(message)")
  }

  /// The rows one after another; `filling` gives what follows a row or stands for a missing one.
  private func joined(_ shape: Shape, _ filling: (Int) throws -> ReferenceTensor?) rethrows -> ReferenceTensor {
    var (strings, floats, integers): ([ByteString], [Double], [Int64]) = ([], [], [])
    for (index, row) in rows.enumerated() {
      switch row {
      case .strings(let values)?: strings += values
      case .floats(let values)?: floats += values
      case .integers(let values)?: integers += values
      case nil: break
      }
      switch try filling(index)?.storage {
      case .strings(let values)?: strings += values
      case .floats(let values)?: floats += values
      case .integers(let values)?: integers += values
      case nil: break
      }
    }
    let storage: ReferenceTensor.Storage = feature.dtype == .string ? .strings(strings) : feature.dtype == .int64 ? .integers(integers) : .floats(floats)
    return ReferenceTensor(feature.dtype, shape, storage)
  }

  func dense(_ other: ReferenceTensor) throws -> ReferenceTensor {
    let size = feature.shape.reduce(1, *)
    if feature.kind == .dense {
      return try joined([rows.count] + feature.shape) { index in
        guard let row = rows[index] else {
          guard other.count == size else { throw wrong("is missing in example \(index)") }
          return other
        }
        guard row.count == size else { throw wrong("has \(row.count) values in example \(index), expected \(size)") }
        return nil
      }
    }
    guard other.count == 1 else { throw wrong("is filled up with \(other.count) values instead of one") }
    let counts = rows.map { $0?.count ?? 0 }
    if let bad = counts.firstIndex(where: { size == 0 ? $0 != 0 : $0 % size != 0 }) {
      throw wrong("has \(counts[bad]) values in example \(bad), which are no rows of \(feature.shape.shapeText)")
    }
    let longest = counts.reduce(0) { max($0, $1 / max(size, 1)) }
    let shape = try SizeOperand.shape(([rows.count, longest] + feature.shape).map(Int64.init), ParseExample.name)
    return joined(shape) { index in other.picked([longest * size - counts[index]], [Int](repeating: 0, count: longest * size - counts[index])) }
  }

  private func all() -> ReferenceTensor {
    let count = rows.reduce(0) { $0 + ($1?.count ?? 0) }
    return joined([count]) { _ in nil }
  }

  func sparse() -> [ReferenceTensor] {
    let counts = rows.map { $0?.count ?? 0 }
    let places = counts.enumerated().flatMap { row, count in (0..<count).flatMap { [Int64(row), Int64($0)] } }
    let longest = counts.max() ?? 0
    return [
      ReferenceTensor(.int64, [places.count / 2, 2], .integers(places)), all(),
      ReferenceTensor(.int64, [longest], .integers((0..<longest).map(Int64.init))),
    ]
  }

  func ragged() -> [ReferenceTensor] {
    let splits = rows.reduce(into: [Int64(0)]) { $0.append(($0.last ?? 0) + Int64($1?.count ?? 0)) }
    return [all(), ReferenceTensor(.int64, [splits.count], .integers(splits))]
  }
}
