// Numbers of tensorflow 2.21.0: tf.raw_ops.NonMaxSuppressionV5, UniqueWithCounts, tf.where, tf.range, tf.tile and their kin.
import GraphModule

extension Golden {
  private static let boxes = v(
    [6, 4], [0, 0, 1, 1, 0, 0.1, 1, 1.1, 0, -0.1, 1, 0.9, 0, 10, 1, 11, 0, 10.1, 1, 11.1, 0, 100, 1, 101], .float32)
  private static let scores = v([6], [0.9, 0.75, 0.6, 0.95, 0.5, 0.3], .float32)

  private static func scalar(_ value: Double) -> Operand { v([], [value], .float32) }

  private static func i(_ values: Double...) -> Operand { v([values.count], values, .int64) }

  static var dataSizes: [Golden] {
    [
      Golden(
        NonMaxSuppression(3), [boxes, scores, v([], [3], .int32), scalar(0.5), scalar(-1000.0), scalar(0.0)],
        [[3, 0, 5], [0.949999988079071, 0.8999999761581421, 0.30000001192092896], [3]]),
      Golden(
        NonMaxSuppression(2), [boxes, scores, v([], [3], .int32), scalar(0.5), scalar(0.4), scalar(0.0)],
        [[3, 0], [0.949999988079071, 0.8999999761581421], [2]]),
      Golden(
        NonMaxSuppression(padded: true, 5), [boxes, scores, v([], [5], .int32), scalar(0.5), scalar(0.0), scalar(0.0)],
        [[3, 0, 5, 0, 0], [0.949999988079071, 0.8999999761581421, 0.30000001192092896, 0.0, 0.0], [3]]),
      Golden(
        NonMaxSuppression(6), [boxes, scores, v([], [6], .int32), scalar(0.5), scalar(0.1), scalar(0.5)],
        [[3, 0, 1, 5, 4, 2], [0.949999988079071, 0.8999999761581421, 0.38400354981422424, 0.30000001192092896, 0.25600260496139526, 0.19697244465351105], [6]]),
      Golden(
        NonMaxSuppression(padded: true, 4), [boxes, scores, v([], [4], .int32), scalar(0.9), scalar(0.0), scalar(0.25)],
        [[3, 0, 5, 1], [0.949999988079071, 0.8999999761581421, 0.30000001192092896, 0.19661164283752441], [4]]),
      Golden(Unique(3), [v([6], [4, 1, 4, 4, -2, 1], .int32)], [[4, 1, -2], [0, 1, 0, 0, 2, 1], [3, 2, 1]]),
      Golden(NonZero(3), [v([2, 3], [0, 2, 0, 1, 0, -1], .int32)], [[0, 1, 1, 0, 1, 2]]),
      Golden(DynamicRange(3), [v([], [7], .int32), v([], [0], .int32), v([], [-3], .int32)], [[7, 4, 1]]),
      Golden(DynamicRange(4), [scalar(0.5), scalar(2.5), scalar(0.5)], [[0.5, 1, 1.5, 2]]),
      Golden(DynamicReshape([3, 2]), [p([2, 3], 0), i(3, -1)], [p([2, 3], 0).values]),
      Golden(DynamicBroadcastTo([2, 2]), [v([2, 1], [3, 4], .float32), i(2, 2)], [[3, 3, 4, 4]]),
      Golden(
        DynamicSlice(axes: [1], steps: [-2], dims: [1, 2]), [v([1, 4], [1, 2, 3, 4], .float32), i(3), i(0)], [[4, 2]]),
      Golden(DynamicTile([2, 4]), [v([1, 2], [5, 6], .float32), i(2, 2)], [[5, 6, 5, 6, 5, 6, 5, 6]]),
      Golden(ShapeOf(), [p([2, 3, 1], 0)], [[2, 3, 1]]),
      Golden(
        SetItem(), [v([2, 2], [1, 2, 3, 4], .float32), v([], [1], .int32), v([2], [8, 9], .float32)], [[1, 2, 8, 9]]),
    ]
  }
}
