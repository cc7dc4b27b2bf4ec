// Written by scripts/make-op-goldens from tensorflow 2.21.0 and keras 3.15.1.
import GraphModule

extension Golden {
  static var chain: [Golden] {
    [
      Golden(
        ElementwiseChain(inputCount: 2, steps: [.init(.mul, [], [.input(0), .constant(1.5)]), .init(.tanh, [], [.step(0)]), .init(.sub, [], [.step(1), .input(1)])]),
        [p([2, 3], 5), p([3], 6)],
        [
          [
            0.905148254, 0.989906618, 1.05930107, 0.73407152, 0.760148952, 0.759829974,
          ],
        ]),
    ]
  }
}
