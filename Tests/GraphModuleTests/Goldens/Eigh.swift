// Written by scripts/make-op-goldens from tensorflow 2.21.0 and keras 3.15.1.
import GraphModule

extension Golden {
  static var eigh: [Golden] {
    [
      Golden(
        SymmetricEigen(),
        [v([3, 3], [4, 1, 2, 1, 3, 0.5, 2, 0.5, 9], .float32)],
        [
          [
            2.30400549, 3.89830017, 9.79769435,
          ],
          [
            -0.607583056, 0.716826418, 0.342056599, 0.784692775, 0.608378503, 0.118881645, 0.122882377, -0.340639815,
            0.932128981,
          ],
        ]),
    ]
  }
}
