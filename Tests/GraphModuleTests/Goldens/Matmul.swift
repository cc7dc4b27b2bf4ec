// Written by scripts/make-op-goldens from tensorflow 2.21.0 and keras 3.15.1.
import GraphModule

extension Golden {
  static var matmul: [Golden] {
    [
      Golden(
        MatMul(),
        [p([2, 3], 1), p([3, 4], 2)],
        [
          [
            -0.046875, -0.09375, -0.140625, -0.1875, -0.421875, -0.328125, -0.234375, -0.140625,
          ],
        ]),
      Golden(
        MatMul(epilogue: Epilogue(bias: true, residual: true, activation: Activation(.relu))),
        [p([2, 3], 1), p([3, 4], 2), p([4], 3), p([2, 4], 4)],
        [
          [
            0.203125, 0, 0, 0, 0, 0, 0, 1.234375,
          ],
        ]),
      Golden(
        MatMul(transposeA: true, transposeB: true),
        [p([2, 1, 3, 2], 1), p([3, 2, 3], 5)],
        [
          [
            0.0625, 0.0625, -0.265625, -0.125, 0.0625, 0.0625, 0.015625, 0.15625, 0.0625, 0.0625, 0.296875, 0.4375,
            -1.90625, -1.0625, -2.234375, -1.25, -0.21875, 0.625, -0.265625, 0.71875, 1.46875, 2.3125, 1.703125,
            2.6875,
          ],
        ]),
    ]
  }
}
