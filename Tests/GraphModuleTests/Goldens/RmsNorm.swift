// Written by scripts/make-op-goldens from tensorflow 2.21.0 and keras 3.15.1.
import GraphModule

extension Golden {
  static var rmsNorm: [Golden] {
    [
      Golden(
        RMSNorm(epsilon: 0.001, scale: true),
        [p([2, 5], 4), p([5], 5)],
        [
          [
            -0.576667216, -0.672778419, -0.72083402, -0.72083402, -0.672778419, -0.9711141, -0.955940442,
            0.819377522, 0.606946313, 0.424862419,
          ],
        ]),
      Golden(
        RMSNorm(epsilon: 0.001, scale: false),
        [p([2, 5], 4)],
        [
          [
            -0.576667216, -0.768889622, -0.961112027, -1.15333443, -1.34555684, -0.9711141, -1.09250336, 1.09250336,
            0.9711141, 0.849724838,
          ],
        ]),
    ]
  }
}
