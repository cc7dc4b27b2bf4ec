// Written by scripts/make-op-goldens from tensorflow 2.21.0 and keras 3.15.1.
import GraphModule

extension Golden {
  static var slice: [Golden] {
    [
      Golden(
        Slice([.all, .init(start: -2), .init(start: 3, step: -2)]),
        [p([2, 3, 4], 6)],
        [
          [
            -0.875, -0.625, 1, -1.125, 0, 0.25, -0.5, -0.25,
          ],
        ]),
      Golden(
        Slice([.init(start: 1, end: 9), .init(end: -1), .init(start: 1, end: 4, step: 2)]),
        [p([2, 3, 4], 6)],
        [
          [
            0.75, 0.5, 0.25, 0,
          ],
        ]),
    ]
  }
}
