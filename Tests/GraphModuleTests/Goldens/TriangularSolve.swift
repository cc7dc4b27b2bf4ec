// Written by scripts/make-op-goldens from tensorflow 2.21.0 and keras 3.15.1.
import GraphModule

extension Golden {
  static var triangularSolve: [Golden] {
    [
      Golden(
        TriangularSolve(lower: true),
        [v([3, 3], [4, 1, 2, 1, 3, 0.5, 2, 0.5, 5], .float32), p([3, 2], 4)],
        [
          [
            -0.09375, -0.125, -0.177083333, -0.208333333, -0.119791667, -0.129166667,
          ],
        ]),
      Golden(
        TriangularSolve(lower: false),
        [v([3, 3], [4, 1, 2, 1, 3, 0.5, 2, 0.5, 5], .float32), p([3, 2], 4)],
        [
          [
            0.0385416667, 0.0291666667, -0.179166667, -0.216666667, -0.175, -0.2,
          ],
        ]),
      Golden(
        TriangularSolve(lower: true, transpose: true),
        [v([3, 3], [4, 1, 2, 1, 3, 0.5, 2, 0.5, 5], .float32), p([3, 2], 4)],
        [
          [
            0.0385416667, 0.0291666667, -0.179166667, -0.216666667, -0.175, -0.2,
          ],
        ]),
      Golden(
        TriangularSolve(lower: true, unit: true),
        [v([3, 3], [4, 1, 2, 1, 3, 0.5, 2, 0.5, 5], .float32), p([3, 2], 4)],
        [
          [
            -0.375, -0.5, -0.25, -0.25, 0, 0.125,
          ],
        ]),
    ]
  }
}
