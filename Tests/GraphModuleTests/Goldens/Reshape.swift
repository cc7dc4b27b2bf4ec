// Written by scripts/make-op-goldens from tensorflow 2.21.0 and keras 3.15.1.
import GraphModule

extension Golden {
  static var reshape: [Golden] {
    [
      Golden(
        Reshape([4, 6]),
        [p([2, 3, 4], 6)],
        [
          [
            0, -0.125, -0.25, -0.375, -0.5, -0.625, -0.75, -0.875, -1, -1.125, 1.125, 1, 0.875, 0.75, 0.625, 0.5,
            0.375, 0.25, 0.125, 0, -0.125, -0.25, -0.375, -0.5,
          ],
        ]),
    ]
  }
}
