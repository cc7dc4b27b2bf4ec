// Written by scripts/make-op-goldens from tensorflow 2.21.0 and keras 3.15.1.
import GraphModule

extension Golden {
  static var oneHot: [Golden] {
    [
      Golden(
        OneHot(depth: 3, on: 0.9, off: 0.1),
        [v([5], [0, 2, -1, 3, 1], .int32)],
        [
          [
            0.9, 0.1, 0.1, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.9, 0.1,
          ],
        ]),
    ]
  }
}
