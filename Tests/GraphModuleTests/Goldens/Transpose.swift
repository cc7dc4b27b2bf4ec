// Written by scripts/make-op-goldens from tensorflow 2.21.0 and keras 3.15.1.
import GraphModule

extension Golden {
  static var transpose: [Golden] {
    [
      Golden(
        Transpose([2, 0, 1]),
        [p([2, 3, 4], 6)],
        [
          [
            0, -0.5, -1, 0.875, 0.375, -0.125, -0.125, -0.625, -1.125, 0.75, 0.25, -0.25, -0.25, -0.75, 1.125, 0.625,
            0.125, -0.375, -0.375, -0.875, 1, 0.5, 0, -0.5,
          ],
        ]),
    ]
  }
}
