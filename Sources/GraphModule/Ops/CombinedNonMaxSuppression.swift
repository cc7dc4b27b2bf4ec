import TensorModule

/// Boxes of several images and classes picked greedily by score: `tf.image.combined_non_max_suppression`.
package struct CombinedNonMaxSuppression: OpDefinition {
  package static let name = "combined_non_max_suppression"
  package static let summary =
    "for each image non-max suppression class by class, then the best of all classes; operands: boxes [batch, n, q, 4] (two opposite corners y, x; q is 1 or the number of classes), scores [batch, n, classes], IoU threshold, score threshold (picks are above it), float32 scalars. Results, filled up with 0: boxes [batch, size, 4], scores [batch, size], classes [batch, size] (float32), the number of picks [batch] (int32)"

  /// The most picks of one class.
  package var perClass: Int
  /// The length of the results.
  package var size: Int
  /// Whether the boxes' numbers are clipped to 0...1.
  package var clips: Bool
  /// In which order equal scores of one class are taken: by position in TensorFlow 1.15 and 2.0.
  package var style: NonMaxSuppression.Style

  package init(perClass: Int, size: Int, clips: Bool = true, style: NonMaxSuppression.Style = .current) {
    self.perClass = perClass
    self.size = size
    self.clips = clips
    self.style = style
  }

  package var attributes: Attributes {
    [("per_class", .int(perClass)), ("size", .int(size)), ("clips", .bool(clips)), ("style", .word(style.rawValue))]
  }

  package init(from reader: inout AttributeReader) throws {
    perClass = try reader.int("per_class")
    size = try reader.int("size")
    clips = try reader.bool("clips")
    style = try reader.choice("style")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 4...4, Self.name)
    let (boxes, scores) = (inputs[0], inputs[1])
    for input in inputs { try Expect.that(input.dtype == .float32, Self.name, "operands must be float32, found \(input.message)") }
    try Expect.that(
      boxes.rank == 4 && scores.rank == 3 && inputs[2].rank == 0 && inputs[3].rank == 0, Self.name,
      "boxes must be [batch,n,q,4], scores [batch,n,classes], thresholds scalars, found \(inputs.map(\.message).joined(separator: ", "))")
    try Expect.equal(boxes.dims[3], 4, Self.name, "the numbers of a box and 4")
    for axis in 0..<2 { try Expect.equal(boxes.dims[axis], scores.dims[axis], Self.name, "axis \(axis) of boxes and scores") }
    if boxes.dims[2].fixed != 1 { try Expect.equal(boxes.dims[2], scores.dims[2], Self.name, "boxes of an anchor and classes") }
    try Expect.that((0...1 << 24).contains(perClass) && (0...1 << 24).contains(size), Self.name, "sizes \(perClass) and \(size) are out of range")
    let dims = [boxes.dims[0], Dim(size)]
    return [TensorType(.float32, dims + [4]), TensorType(.float32, dims), TensorType(.float32, dims), TensorType(.int32, [boxes.dims[0]])]
  }

  private struct Pick {
    var box: Int
    var score: Float
    var label: Int
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let boxes = inputs[0].numbers.map(Float.init), scores = inputs[1].numbers.map(Float.init)
    let (overlap, limit) = (Float(inputs[2].numbers[0]), Float(inputs[3].numbers[0]))
    let (batch, count, labels, kinds) = (inputs[1].shape[0], inputs[1].shape[1], inputs[1].shape[2], inputs[0].shape[2])
    var (outBoxes, outScores, outLabels, valid): ([Double], [Double], [Double], [Int64]) = ([], [], [], [])
    for image in 0..<batch {
      var picks: [Pick] = []
      for label in 0..<labels {
        func place(_ box: Int) -> Int { ((image * count + box) * kinds + (kinds > 1 ? label : 0)) * 4 }
        let isOld = style == .tf1
        var heap = Heap { (a: Pick, b: Pick) in a.score > b.score || (isOld && a.score == b.score && a.box < b.box) }
        for box in 0..<count {
          let score = scores[(image * count + box) * labels + label]
          if score > limit { heap.insert(Pick(box: place(box), score: score, label: label)) }
        }
        var own: [Pick] = []
        while own.count < perClass, let next = heap.removeFirst() {
          if own.reversed().allSatisfy({ !(BoxOverlap.iou(boxes, next.box, $0.box) > overlap) }) { own.append(next) }
        }
        picks += own
      }
      // Swift's sort keeps the order of equals.
      let best = picks.sorted { $0.score > $1.score }.prefix(size)
      func filled(_ values: [Double], _ width: Int) -> [Double] { values + [Double](repeating: 0, count: (size - best.count) * width) }
      let numbers = best.flatMap { boxes[$0.box..<$0.box + 4] }
      outBoxes += filled(numbers.map { Double(clips ? max(min($0, 1), 0) : $0) }, 4)
      outScores += filled(best.map { Double($0.score) }, 1)
      outLabels += filled(best.map { Double($0.label) }, 1)
      valid.append(Int64(best.count))
    }
    return [
      ReferenceTensor(.float32, [batch, size, 4], .floats(outBoxes)), ReferenceTensor(.float32, [batch, size], .floats(outScores)),
      ReferenceTensor(.float32, [batch, size], .floats(outLabels)), ReferenceTensor(.int32, [batch], .integers(valid)),
    ]
  }

  package static var examples: [OpExample] {
    func types(_ batch: Int, _ count: Int, _ kinds: Int, _ labels: Int) -> [TensorType] {
      [
        TensorType(.float32, [Dim(batch), Dim(count), Dim(kinds), 4]), TensorType(.float32, [Dim(batch), Dim(count), Dim(labels)]),
        TensorType(.float32, []), TensorType(.float32, []),
      ]
    }
    let thresholds: [Int: [Double]] = [2: [0.3], 3: [0.1]]
    return [
      OpExample(CombinedNonMaxSuppression(perClass: 3, size: 5), types(2, 7, 1, 3), range: 0...1, fixed: thresholds),
      OpExample(CombinedNonMaxSuppression(perClass: 2, size: 9, clips: false), types(1, 5, 2, 2), range: 0...2, fixed: thresholds),
      OpExample(CombinedNonMaxSuppression(perClass: 1, size: 1, style: .tf1), types(3, 1, 1, 1), range: 0...1, fixed: thresholds),
      OpExample(CombinedNonMaxSuppression(perClass: 4, size: 2), types(2, 0, 1, 2), fixed: thresholds),
    ]
  }
}
