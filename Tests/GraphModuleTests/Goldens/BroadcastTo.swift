// Written by scripts/make-op-goldens from tensorflow 2.21.0 and keras 3.15.1.
import GraphModule

extension Golden {
  static var broadcastTo: [Golden] {
    [
      Golden(
        BroadcastTo([2, 2, 3]),
        [p([2, 1, 3], 6)],
        [
          [
            0, -0.125, -0.25, 0, -0.125, -0.25, -0.375, -0.5, -0.625, -0.375, -0.5, -0.625,
          ],
        ]),
    ]
  }
}
