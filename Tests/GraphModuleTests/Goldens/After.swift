// Written by scripts/make-op-goldens from tensorflow 2.21.0 and keras 3.15.1.
import GraphModule

extension Golden {
  static var after: [Golden] {
    [
      Golden(
        After(),
        [p([2, 3], 1), p([2], 2)],
        [
          [
            0.25, 0.125, 0, -0.125, -0.25, -0.375,
          ],
        ]),
    ]
  }
}
