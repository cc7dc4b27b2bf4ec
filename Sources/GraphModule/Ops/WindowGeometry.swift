import TensorModule

/// Where the windows of a convolution or pooling lie over their input, with the spatial axes filled up to three.
struct WindowGeometry {
  let batch: Int
  let input: (Int, Int, Int)
  let output: (Int, Int, Int)
  let window: (Int, Int, Int)
  let strides: (Int, Int, Int)
  let dilations: (Int, Int, Int)
  let low: (Int, Int, Int)

  /// - Parameters:
  ///   - input: shape [batch, spatial..., channels], of at most three spatial axes.
  ///   - output: shape [batch, spatial..., channels].
  ///   - low: the padding before each spatial axis.
  init(input: Shape, output: Shape, window: [Int], strides: [Int], dilations: [Int], low: [Int]) {
    func three(_ values: some Collection<Int>, _ fill: Int) -> (Int, Int, Int) {
      let all = [Int](repeating: fill, count: Swift.max(0, 3 - values.count)) + values
      return (all[0], all[1], all[2])
    }
    batch = input[0]
    self.input = three(input[1..<(input.count - 1)], 1)
    self.output = three(output[1..<(output.count - 1)], 1)
    self.window = three(window, 1)
    self.strides = three(strides, 1)
    self.dilations = three(dilations, 1)
    self.low = three(low, 0)
  }

  /// Calls `body(output pixel, input pixel, tap)` for each tap of each window that lies inside the input; pixels and
  /// taps are flat indices without the channels.
  @inline(__always)
  func forEach(_ body: (_ output: Int, _ input: Int, _ tap: Int) -> Void) {
    var pixel = 0
    for image in 0..<batch {
      for i in 0..<output.0 {
        let x = i * strides.0 - low.0
        let taps0 = Self.inside(x, window.0, dilations.0, input.0)
        for j in 0..<output.1 {
          let y = j * strides.1 - low.1
          let taps1 = Self.inside(y, window.1, dilations.1, input.1)
          for k in 0..<output.2 {
            let z = k * strides.2 - low.2
            let taps2 = Self.inside(z, window.2, dilations.2, input.2)
            for a in taps0 {
              for b in taps1 {
                let row = ((image * input.0 + x + a * dilations.0) * input.1 + y + b * dilations.1) * input.2 + z
                for c in taps2 { body(pixel, row + c * dilations.2, (a * window.1 + b) * window.2 + c) }
              }
            }
            pixel += 1
          }
        }
      }
    }
  }

  /// The taps of a window from `start` that lie in 0..<length.
  private static func inside(_ start: Int, _ size: Int, _ dilation: Int, _ length: Int) -> Range<Int> {
    let first = start >= 0 ? 0 : (-start + dilation - 1) / dilation
    let end = start < length ? min(size, (length - 1 - start) / dilation + 1) : 0
    return first..<max(first, end)
  }
}
