// Written by scripts/make-op-goldens from tensorflow 2.21.0 and keras 3.15.1.
import GraphModule

extension Golden {
  static var batchNorm: [Golden] {
    [
      Golden(
        BatchNorm(epsilon: 0.001, scale: true, offset: true),
        [p([2, 2, 3], 1), p([3], 2), p([3], 3), p([3], 4), v([3], [0.5, 1.25, 2], .float32)],
        [
          [
            -0.0372506875, 0.0110556686, -0.0668312942, 0.360099725, 0.304422267, 0.198267482, 0.757450137,
            0.597788866, 0.463366259, 1.15480055, 0.891155465, 0.728465035,
          ],
        ]),
      Golden(
        BatchNorm(epsilon: 0.1, scale: false, offset: true),
        [p([2, 2, 3], 1), p([3], 3), p([3], 4), v([3], [0.5, 1.25, 2], .float32)],
        [
          [
            1.43187153, 1.03791435, 0.806290975, 0.947748612, 0.715165741, 0.54751639, 0.463625694, 0.392417129,
            0.288741805, -0.0204972244, 0.0696685171, 0.0299672203,
          ],
        ]),
    ]
  }
}
