// Written by scripts/make-op-goldens from tensorflow 2.21.0 and keras 3.15.1.
import GraphModule

extension Golden {
  static var reduce: [Golden] {
    [
      Golden(
        Reduce(.sum, axes: [1]),
        [p([2, 3, 4], 1)],
        [
          [
            -0.75, -1.125, -1.5, -1.875, 1.875, 1.5, 1.125, 0.75,
          ],
        ]),
      Golden(
        Reduce(.sum, axes: [0, 2], keepDims: true),
        [p([2, 3, 4], 1)],
        [
          [
            4, 0, -4,
          ],
        ]),
      Golden(
        Reduce(.mean, axes: [1]),
        [p([2, 3, 4], 1)],
        [
          [
            -0.25, -0.375, -0.5, -0.625, 0.625, 0.5, 0.375, 0.25,
          ],
        ]),
      Golden(
        Reduce(.mean, axes: [0, 2], keepDims: true),
        [p([2, 3, 4], 1)],
        [
          [
            0.5, 0, -0.5,
          ],
        ]),
      Golden(
        Reduce(.prod, axes: [1]),
        [p([2, 3, 4], 1)],
        [
          [
            0.046875, 0.041015625, 0, -0.087890625, 0.087890625, 0, -0.041015625, -0.046875,
          ],
        ]),
      Golden(
        Reduce(.prod, axes: [0, 2], keepDims: true),
        [p([2, 3, 4], 1)],
        [
          [
            0, 0.000858306885, 0,
          ],
        ]),
      Golden(
        Reduce(.max, axes: [1]),
        [p([2, 3, 4], 1)],
        [
          [
            0.25, 0.125, 0, -0.125, 1.125, 1, 0.875, 0.75,
          ],
        ]),
      Golden(
        Reduce(.max, axes: [0, 2], keepDims: true),
        [p([2, 3, 4], 1)],
        [
          [
            1.125, 0.625, 0.125,
          ],
        ]),
      Golden(
        Reduce(.min, axes: [1]),
        [p([2, 3, 4], 1)],
        [
          [
            -0.75, -0.875, -1, -1.125, 0.125, 0, -0.125, -0.25,
          ],
        ]),
      Golden(
        Reduce(.min, axes: [0, 2], keepDims: true),
        [p([2, 3, 4], 1)],
        [
          [
            -0.125, -0.625, -1.125,
          ],
        ]),
      Golden(
        Reduce(.logsumexp, axes: [1]),
        [p([2, 3, 4], 1)],
        [
          [
            0.930269671, 0.805269671, 0.680269671, 0.555269671, 1.80526967, 1.68026967, 1.55526967, 1.43026967,
          ],
        ]),
      Golden(
        Reduce(.logsumexp, axes: [0, 2], keepDims: true),
        [p([2, 3, 4], 1)],
        [
          [
            2.68198304, 2.18198304, 1.68198304,
          ],
        ]),
      Golden(
        Reduce(.any, axes: [1]),
        [v([2, 3], [1, 0, 1, 0, 0, 0], .bool)],
        [
          [
            1, 0,
          ],
        ]),
      Golden(
        Reduce(.all, axes: [0]),
        [v([2, 3], [1, 0, 1, 0, 0, 0], .bool)],
        [
          [
            0, 0, 0,
          ],
        ]),
      Golden(
        Reduce(.sum, axes: [0]),
        [v([3], [100, 100, 100], .int8)],
        [
          [
            44,
          ],
        ]),
    ]
  }
}
