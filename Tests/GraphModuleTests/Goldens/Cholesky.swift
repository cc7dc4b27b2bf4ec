// Written by scripts/make-op-goldens from tensorflow 2.21.0 and keras 3.15.1.
import GraphModule

extension Golden {
  static var cholesky: [Golden] {
    [
      Golden(
        Cholesky(),
        [v([3, 3], [4, 1, 2, 1, 3, 0.5, 2, 0.5, 5], .float32)],
        [
          [
            2, 0, 0, 0.5, 1.6583124, 0, 1, 0, 2,
          ],
        ]),
    ]
  }
}
