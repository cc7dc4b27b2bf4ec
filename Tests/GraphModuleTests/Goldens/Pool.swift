// Written by scripts/make-op-goldens from tensorflow 2.21.0 and keras 3.15.1.
import GraphModule

extension Golden {
  static var pool: [Golden] {
    [
      Golden(
        Pool(.max, window: [3, 2], strides: [2, 2], padding: .same),
        [p([1, 5, 4, 2], 3)],
        [
          [
            0.625, 0.5, 0.125, 1.125, 1, 0.875, 0.5, 1.125, 1.125, 1, 0.875, 0.75,
          ],
        ]),
      Golden(
        Pool(.max, window: [2, 3], strides: [1, 2], padding: .valid),
        [p([1, 5, 4, 2], 3)],
        [
          [
            0.625, 0.5, 1, 0.875, 1, 0.875, 1.125, 1,
          ],
        ]),
      Golden(
        Pool(.average, window: [3, 2], strides: [2, 2], padding: .same),
        [p([1, 5, 4, 2], 3)],
        [
          [
            0, -0.125, -0.5, -0.03125, 0.0833333333, -0.0416666667, -0.416666667, -0.145833333, -0.03125, -0.15625,
            0.0625, -0.0625,
          ],
        ]),
      Golden(
        Pool(.average, window: [2, 3], strides: [1, 2], padding: .valid),
        [p([1, 5, 4, 2], 3)],
        [
          [
            -0.125, -0.25, 0.0625, -0.0625, 0.25, 0.125, 0.0416666667, -0.0833333333,
          ],
        ]),
      Golden(
        Pool(.max, window: [2, 2], strides: [1, 1], dilations: [2, 1], padding: .valid),
        [p([1, 5, 4, 2], 3)],
        [
          [
            1, 0.875, 0.75, 0.625, 0.5, 0.375, 0, -0.125, -0.25, -0.375, -0.5, 1.125, 1.125, 1, 1.125, 1, 0.875,
            0.75,
          ],
        ]),
      Golden(
        Pool(.average, window: [2, 2, 3], strides: [2, 1, 2], padding: .same),
        [p([1, 2, 3, 4, 1], 3)],
        [
          [
            0.09375, 0.203125, 0.1875, 0, -0.0625, -0.25,
          ],
        ]),
      Golden(
        Pool(.max, window: [3], strides: [2], padding: .same),
        [p([1, 7, 2], 4)],
        [
          [
            -0.375, -0.5, -0.625, 1.125, 1, 1.125, 0.75, 0.625,
          ],
        ]),
    ]
  }
}
