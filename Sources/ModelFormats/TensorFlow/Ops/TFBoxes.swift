import GraphModule
import TensorModule

extension TFOpCatalog {
  /// Boxes picked by score.
  static let boxes = Family(
    "Picking boxes",
    [
      "NonMaxSuppression": { [try suppressed($0, overlap: try $0.scalar(try $0.float("iou_threshold", 0.5), .float32))[0]] },
      "NonMaxSuppressionV2": { [try suppressed($0)[0]] },
      "NonMaxSuppressionV3": { [try suppressed($0)[0]] },
      "NonMaxSuppressionV4": { call in
        let results = try suppressed(call)
        return [results[0], results[2]]
      },
      "NonMaxSuppressionV5": { try suppressed($0) },
      "NonMaxSuppressionWithOverlaps": { [try suppressed($0, overlaps: true)[0]] },
      "CombinedNonMaxSuppression": { try combined($0) },
    ])

  /// The graph versions of TensorFlow 1.15 and 2.0.
  private static let producersOfOldStyle = 39...134

  private static func style(_ call: TFCall) -> NonMaxSuppression.Style {
    producersOfOldStyle.contains(call.converter.model.graph.producer) ? .tf1 : .current
  }

  /// - Parameter overlap: the threshold, where it is no operand.
  private static func suppressed(_ call: TFCall, overlap: ValueID? = nil, overlaps: Bool = false) throws -> [ValueID] {
    let boxes = try call.x(0), scores = try call.x(1), most = try call.x(2)
    guard call.type(boxes).dtype == .float32 else { throw call.unsupported("boxes of \(call.type(boxes).dtype.name)") }
    func threshold(_ index: Int, _ otherwise: Double) throws -> ValueID {
      call.inputs.indices.contains(index) ? try call.cast(try call.x(index), .float32) : try call.scalar(otherwise, .float32)
    }
    let isPadded = try call.bool("pad_to_max_output_size")
    let count = isPadded ? try call.size(2, "a number of boxes") : call.dataSize()
    let lowest = -Double(Float.greatestFiniteMagnitude)
    let operands = [
      boxes, scores, most, try overlap ?? threshold(3, 0.5), try threshold(4, lowest), try threshold(5, 0),
    ]
    return try call.dynamic(NonMaxSuppression(padded: isPadded, overlaps: overlaps, style: style(call), count), operands, "non_max_suppression")
  }

  private static func combined(_ call: TFCall) throws -> [ValueID] {
    let (boxes, scores) = (try call.x(0), try call.x(1))
    let (perClass, total) = (try call.integer(2, "a number of boxes for each class"), try call.integer(3, "a number of boxes"))
    guard perClass >= 1, total >= 1 else { throw call.wrong("sizes \(perClass) and \(total) are out of range") }
    var size = total
    if try call.bool("pad_per_class") {
      let classes = try call.length(scores, 2)
      size = min(size, perClass.multipliedReportingOverflow(by: classes).overflow ? size : perClass * classes)
    }
    return try call.addAll(
      CombinedNonMaxSuppression(perClass: perClass, size: size, clips: try call.bool("clip_boxes", true), style: style(call)),
      [boxes, scores, try call.x(4), try call.x(5)], "combined_non_max_suppression")
  }
}
