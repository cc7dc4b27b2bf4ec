// Written by scripts/make-op-goldens from tensorflow 2.21.0 and keras 3.15.1.
import GraphModule

extension Golden {
  static var lu: [Golden] {
    [
      Golden(
        LU(),
        [v([2, 3, 3], [0, 1, 2, 4, 3, 0.5, 2, 0.5, 5, 1, 2, 3, 4, 5, 6, 7, 8, 10], .float32)],
        [
          [
            4, 3, 0.5, 0, 1, 2, 0.5, -1, 6.75, 7, 8, 10, 0.142857143, 0.857142857, 1.57142857, 0.571428571, 0.5,
            -0.5,
          ],
          [
            1, 0, 2, 2, 0, 1,
          ],
          [
            1, 1, 2, 2, 2, 2,
          ],
          [
            -1, 1,
          ],
        ]),
    ]
  }
}
