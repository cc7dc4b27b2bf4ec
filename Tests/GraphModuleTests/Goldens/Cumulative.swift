// Written by scripts/make-op-goldens from tensorflow 2.21.0 and keras 3.15.1.
import GraphModule

extension Golden {
  static var cumulative: [Golden] {
    [
      Golden(
        Cumulative(.sum, axis: 1, exclusive: false, reverse: false),
        [p([2, 4], 3)],
        [
          [
            0.625, 1.125, 1.5, 1.75, 0.125, 0.125, 0, -0.25,
          ],
        ]),
      Golden(
        Cumulative(.prod, axis: 1, exclusive: false, reverse: false),
        [p([2, 4], 3)],
        [
          [
            0.625, 0.3125, 0.1171875, 0.029296875, 0.125, 0, 0, 0,
          ],
        ]),
      Golden(
        Cumulative(.sum, axis: 1, exclusive: false, reverse: true),
        [p([2, 4], 3)],
        [
          [
            1.75, 1.125, 0.625, 0.25, -0.25, -0.375, -0.375, -0.25,
          ],
        ]),
      Golden(
        Cumulative(.prod, axis: 1, exclusive: false, reverse: true),
        [p([2, 4], 3)],
        [
          [
            0.029296875, 0.046875, 0.09375, 0.25, 0, 0, 0.03125, -0.25,
          ],
        ]),
      Golden(
        Cumulative(.sum, axis: 1, exclusive: true, reverse: false),
        [p([2, 4], 3)],
        [
          [
            0, 0.625, 1.125, 1.5, 0, 0.125, 0.125, 0,
          ],
        ]),
      Golden(
        Cumulative(.prod, axis: 1, exclusive: true, reverse: false),
        [p([2, 4], 3)],
        [
          [
            1, 0.625, 0.3125, 0.1171875, 1, 0.125, 0, 0,
          ],
        ]),
      Golden(
        Cumulative(.sum, axis: 1, exclusive: true, reverse: true),
        [p([2, 4], 3)],
        [
          [
            1.125, 0.625, 0.25, 0, -0.375, -0.375, -0.25, 0,
          ],
        ]),
      Golden(
        Cumulative(.prod, axis: 1, exclusive: true, reverse: true),
        [p([2, 4], 3)],
        [
          [
            0.046875, 0.09375, 0.25, 1, 0, 0.03125, -0.25, 1,
          ],
        ]),
    ]
  }
}
