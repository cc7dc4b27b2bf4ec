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
        for j in 0..<output.1 {
          for k in 0..<output.2 {
            for a in 0..<window.0 {
              let x = i * strides.0 - low.0 + a * dilations.0
              if x < 0 || x >= input.0 { continue }
              for b in 0..<window.1 {
                let y = j * strides.1 - low.1 + b * dilations.1
                if y < 0 || y >= input.1 { continue }
                for c in 0..<window.2 {
                  let z = k * strides.2 - low.2 + c * dilations.2
                  if z < 0 || z >= input.2 { continue }
                  body(pixel, ((image * input.0 + x) * input.1 + y) * input.2 + z, (a * window.1 + b) * window.2 + c)
                }
              }
            }
            pixel += 1
          }
        }
      }
    }
  }
}
