// Written by scripts/make-op-goldens from tensorflow 2.21.0 and keras 3.15.1.
import GraphModule

extension Golden {
  static var concat: [Golden] {
    [
      Golden(
        Concat(axis: 1),
        [p([2, 2], 1), p([2, 3], 2)],
        [
          [
            0.25, 0.125, -0.75, -0.875, -1, 0, -0.125, -1.125, 1.125, 1,
          ],
        ]),
    ]
  }
}
