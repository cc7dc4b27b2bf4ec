// Written by scripts/make-op-goldens from tensorflow 2.21.0 and keras 3.15.1.
import GraphModule

extension Golden {
  static var argReduce: [Golden] {
    [
      Golden(
        ArgReduce(.max, axis: -1),
        [p([2, 5], 2)],
        [
          [
            4, 0,
          ],
        ]),
      Golden(
        ArgReduce(.min, axis: 0, keepDims: true, dtype: .int32),
        [p([2, 5], 2)],
        [
          [
            0, 0, 0, 0, 1,
          ],
        ]),
      Golden(
        ArgReduce(.max, axis: 0),
        [v([4], [1, .nan, 3, .nan], .float32)],
        [
          [
            1,
          ],
        ]),
    ]
  }
}
