// Written by scripts/make-op-goldens from tensorflow 2.21.0 and keras 3.15.1.
import GraphModule

extension Golden {
  static var topK: [Golden] {
    [
      Golden(
        TopK(k: 3),
        [p([2, 6], 4)],
        [
          [
            -0.375, -0.5, -0.625, 1.125, 1, 0.875,
          ],
          [
            0, 1, 2, 1, 2, 3,
          ],
        ]),
      Golden(
        TopK(k: 4),
        [v([6], [2, 7, 7, -1, 7, 0], .float32)],
        [
          [
            7, 7, 7, 2,
          ],
          [
            1, 2, 4, 0,
          ],
        ]),
    ]
  }
}
