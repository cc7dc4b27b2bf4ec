// Written by scripts/make-op-goldens from tensorflow 2.21.0 and keras 3.15.1.
import GraphModule

extension Golden {
  static var random: [Golden] {
    [
      Golden(
        RandomNumbers(.uniform, dims: [2, 3], dtype: .float64, seed: 3, stream: 2),
        [v([], [5], .int64)],
        [
          [
            0.342514157, 0.420258582, 0.54493475, 0.618467331, 0.101557195, 0.256080687,
          ],
        ]),
    ]
  }
}
