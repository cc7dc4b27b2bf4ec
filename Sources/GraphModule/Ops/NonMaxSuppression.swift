import TensorModule

/// Boxes picked greedily by score: `tf.image.non_max_suppression` and its kin, the ops NonMaxSuppressionV2 to V5.
package struct NonMaxSuppression: DataDependentOp {
  package static let name = "non_max_suppression"
  package static let summary =
    "picks boxes by falling score that overlap no picked one by more than a threshold; operands: boxes [n, 4] (two opposite corners y, x), scores [n], the most picks (integer), IoU threshold, score threshold (picks are above it), sigma of soft suppression (0: none), the last three float32 scalars. Results: indices int32, scores after soft suppression, the number of picks (int32). `padded` fills up to the most picks with 0; with `overlaps` the first operand is [n, n], the overlap of each two boxes; style tf1_15 is that of TensorFlow 1.15 and 2.0, which never picks boxes that overlap by the threshold or more, takes equal scores in another order, and picks boxes without area again; `dims` declares the length as for nonzero"

  /// Whose choice it is where versions of TensorFlow differ.
  package enum Style: String, Sendable, CaseIterable {
    case current
    case tf1 = "tf1_15"
  }

  package var padded: Bool
  /// Whether overlaps are given instead of boxes.
  package var overlaps: Bool
  package var style: Style
  package var dims: [Dim]

  package init(padded: Bool = false, overlaps: Bool = false, style: Style = .current, _ count: Dim) {
    self.padded = padded
    self.overlaps = overlaps
    self.style = style
    dims = [count]
  }

  package var attributes: Attributes {
    [("padded", .bool(padded)), ("overlaps", .bool(overlaps)), ("style", .word(style.rawValue)), ("dims", .dims(dims))]
  }

  package init(from reader: inout AttributeReader) throws {
    padded = try reader.bool("padded")
    overlaps = try reader.bool("overlaps")
    style = try reader.choice("style")
    dims = try reader.dims("dims")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 6...6, Self.name)
    let (boxes, scores) = (inputs[0], inputs[1])
    try Expect.float(boxes, Self.name, "boxes")
    try Expect.that(
      boxes.rank == 2 && scores.rank == 1 && scores.dtype == boxes.dtype, Self.name,
      "boxes must be [n,4] and scores [n], found \(boxes.message) and \(scores.message)")
    try Expect.equal(boxes.dims[1], overlaps ? boxes.dims[0] : 4, Self.name, overlaps ? "rows and columns of overlaps" : "the numbers of a box and 4")
    try Expect.equal(boxes.dims[0], scores.dims[0], Self.name, "the numbers of boxes and scores")
    try SizeOperand.scalar(inputs[2], Self.name, "the most picks")
    for input in inputs[3...] {
      try Expect.that(input.rank == 0 && input.dtype.isFloat, Self.name, "thresholds must be float scalars, found \(input.message)")
    }
    try SizeOperand.declared(dims, Self.name)
    try Expect.that(dims.count == 1, Self.name, "dims must be the count alone")
    return [TensorType(.int32, dims), TensorType(boxes.dtype, dims), TensorType(.int32, [])]
  }

  package func results(_ inputs: [ReferenceTensor]) throws -> [ReferenceTensor] {
    let boxes = inputs[0].numbers.map(Float.init)
    let most = inputs[2].integers[0]
    guard most <= 1 << 24 else { throw KilnError(.badInput, "op 'non_max_suppression': \(most) picks are too many") }
    let count = inputs[1].count
    let picked = pick(
      inputs[1].numbers.map(Float.init), Int(max(0, most)), overlap: Float(inputs[3].numbers[0]), score: Float(inputs[4].numbers[0]),
      sigma: Float(inputs[5].numbers[0])
    ) { overlaps ? boxes[$0 * count + $1] : BoxOverlap.iou(boxes, $0 * 4, $1 * 4) }
    let length = padded ? Int(max(0, most)) : picked.count
    let rest = max(0, length - picked.count)
    return [
      ReferenceTensor(.int32, [length], .integers(picked.map { Int64($0.index) } + [Int64](repeating: 0, count: rest))),
      ReferenceTensor(
        inputs[0].dtype, [length], .floats(picked.map { Double($0.score) } + [Double](repeating: 0, count: rest))),
      ReferenceTensor(.int32, [], .integers([Int64(picked.count)])),
    ]
  }

  private struct Candidate {
    var index: Int
    var score: Float
    /// Picks up to here have had their say.
    var seen = 0
  }

  /// In float32, as TensorFlow compares. Source: its `DoNonMaxSuppressionOp`.
  private func pick(
    _ scores: [Float], _ most: Int, overlap: Float, score limit: Float, sigma: Float, _ similarity: (Int, Int) -> Float
  ) -> [(index: Int, score: Float)] {
    let isSoft = sigma > 0
    let scale = isSoft ? -0.5 / sigma : 0
    let isOld = style == .tf1
    // A heap with the best candidate on top: by score, then by the smaller index.
    var heap = Heap { (a: Candidate, b: Candidate) in a.score > b.score || (!isOld && a.score == b.score && a.index < b.index) }
    for (index, score) in scores.enumerated() where score > limit { heap.insert(Candidate(index: index, score: score)) }
    var picked: [(index: Int, score: Float)] = []
    while picked.count < most, var next = heap.removeFirst() {
      let original = next.score
      var isSuppressed = false
      for place in stride(from: picked.count - 1, through: next.seen, by: -1) {
        let similarity = similarity(next.index, picked[place].index)
        if isOld ? similarity >= overlap : !isSoft && similarity > overlap {
          isSuppressed = true
          break
        }
        // Soft suppression lowers scores.
        if isSoft { next.score *= Float(C.exp(Double(scale * similarity * similarity))) }
        if next.score <= limit { break }
      }
      next.seen = picked.count
      if isSuppressed { continue }
      let isPicked = next.score == original
      if isPicked { picked.append((next.index, next.score)) }
      if isOld || !isPicked, next.score > limit { heap.insert(next) }
    }
    return picked
  }

  package func substituting(_ bindings: [String: Int]) -> NonMaxSuppression {
    NonMaxSuppression(padded: padded, overlaps: overlaps, style: style, dims[0].substituting(bindings))
  }

  package static var examples: [OpExample] {
    func types(_ count: Int) -> [TensorType] {
      let scalar = TensorType(.float32, [])
      return [
        TensorType(.float32, [Dim(count), 4]), TensorType(.float32, [Dim(count)]), TensorType(.int32, []), scalar, scalar,
        scalar,
      ]
    }
    // The boxes of TensorFlow's own tests: 0, 1, 2 overlap, 3 and 4, 5 apart.
    let boxes: [Double] = [0, 0, 1, 1, 0, 0.1, 1, 1.1, 0, -0.1, 1, 0.9, 0, 10, 1, 11, 0, 10.1, 1, 11.1, 0, 100, 1, 101]
    let scores = [0.9, 0.75, 0.6, 0.95, 0.5, 0.3]
    func fixed(_ most: Double, _ overlap: Double, _ score: Double, _ sigma: Double) -> [Int: [Double]] {
      [0: boxes, 1: scores, 2: [most], 3: [overlap], 4: [score], 5: [sigma]]
    }
    return [
      OpExample(NonMaxSuppression(3), types(6), fixed: fixed(3, 0.5, -1000, 0)),
      OpExample(NonMaxSuppression(2), types(6), fixed: fixed(3, 0.5, 0.4, 0)),
      OpExample(NonMaxSuppression(padded: true, 5), types(6), fixed: fixed(5, 0.5, 0, 0)),
      OpExample(NonMaxSuppression(6), types(6), fixed: fixed(6, 1, 0, 0.5)),
      OpExample(NonMaxSuppression(style: .tf1, 3), types(6), fixed: fixed(6, 0.5, 0, 0.5)),
      OpExample(NonMaxSuppression(0), types(6), fixed: fixed(0, 0.5, 0, 0)),
      OpExample(
        NonMaxSuppression(overlaps: true, 2),
        [TensorType(.float32, [3, 3])] + types(3).dropFirst(),
        fixed: [0: [1, 0.6, 0.2, 0.6, 1, 0, 0.2, 0, 1], 1: [0.5, 0.9, 0.7], 2: [3], 3: [0.5], 4: [0], 5: [0]]),
      OpExample(NonMaxSuppression(1), types(1), fixed: [0: [1, 1, 0, 0], 1: [0.5], 2: [9], 3: [0.5], 4: [0], 5: [0]]),
      OpExample(NonMaxSuppression(0), types(0), fixed: [0: [], 1: [], 2: [4], 3: [0.5], 4: [0], 5: [0]]),
    ]
  }
}
