import GraphModule
import TensorModule

/// The numbers of a window op, its spatial axes filled up to three in front, in the order of the kernels' parameters.
struct WindowNumbers {
  var batch: Int
  var input: [Int]
  var output: [Int]
  var window: [Int]
  var strides: [Int]
  var dilations: [Int]
  /// Padding before the first element.
  var low: [Int]

  init(input: Shape, output: Shape, window: [Int], strides: [Int], dilations: [Int], padding: Padding) {
    let low = window.indices.map {
      padding.amount(input[$0 + 1], size: window[$0], stride: strides[$0], dilation: dilations[$0], axis: $0).low
    }
    self.init(input: input, output: output, window: window, strides: strides, dilations: dilations, low: low)
  }

  /// The same with the padding before each spatial axis given.
  init(input: Shape, output: Shape, window: [Int], strides: [Int], dilations: [Int], low: [Int]) {
    func three(_ values: some Collection<Int>, _ fill: Int) -> [Int] {
      [Int](repeating: fill, count: max(0, 3 - values.count)) + values
    }
    batch = input[0]
    self.input = three(input.dropFirst().dropLast(), 1)
    self.output = three(output.dropFirst().dropLast(), 1)
    self.window = three(window, 1)
    self.strides = three(strides, 1)
    self.dilations = three(dilations, 1)
    self.low = three(low, 0)
  }

  /// Output pixels of all images.
  var pixels: Int { output.reduce(batch, *) }

  /// Input, output, window, strides, dilations, padding.
  var arguments: [GPUArgument] { (input + output + window + strides + dilations + low).map { .int($0) } }

  /// The parameters that `arguments` fill.
  static let parameters = """
    int id, int ih, int iw, int od, int oh, int ow, int kd, int kh, int kw, int sd, int sh, int sw, int dd, int dh, int dw, int pd, int ph, \
    int pw
    """

  /// OpenCL C: `work` for each tap (`kz`, `ky`, `kx`) of output pixel `p`'s window that lies in the image, at element `line + u` of it.
  ///
  /// - Parameters:
  ///   - start: before the first tap.
  ///   - row: for each row of taps, before its first.
  static func forEachTap(start: String, row: String = "", _ work: String) -> String {
    """
    int x0 = p % ow * sw - pw, t = p / ow, y0 = t % oh * sh - ph;
    t /= oh;
    int z0 = t % od * sd - pd;
    t /= od;
    \(start)
    for (int kz = 0; kz < kd; kz++) {
      int z = z0 + kz * dd;
      if (z < 0 || z >= id) continue;
      for (int ky = 0; ky < kh; ky++) {
        int v = y0 + ky * dh;
        if (v < 0 || v >= ih) continue;
        size_t line = (((size_t)t * id + z) * ih + v) * iw;
        \(row)
        for (int kx = 0; kx < kw; kx++) {
          int u = x0 + kx * dw;
          if (u < 0 || u >= iw) continue;
          \(work)
        }
      }
    }
    """
  }

  /// OpenCL C, the other way: `work` for each output pixel `pixel` whose window holds input element `p`, as its tap (`kz`, `ky`, `kx`).
  ///
  /// - Parameter start: before the first.
  static func forEachWindow(start: String, _ work: String) -> String {
    """
    int x = p % iw + pw, t = p / iw, row = t % ih + ph;
    t /= ih;
    int z = t % id + pd;
    t /= id;
    \(start)
    for (int kz = 0; kz < kd; kz++) {
      int a = z - kz * dd;
      if (a < 0 || a % sd || a / sd >= od) continue;
      for (int ky = 0; ky < kh; ky++) {
        int b = row - ky * dh;
        if (b < 0 || b % sh || b / sh >= oh) continue;
        for (int kx = 0; kx < kw; kx++) {
          int d = x - kx * dw;
          if (d < 0 || d % sw || d / sw >= ow) continue;
          size_t pixel = (((size_t)t * od + a / sd) * oh + b / sh) * ow + d / sw;
          \(work)
        }
      }
    }
    """
  }

  /// Whether every number, and a window's reach, fits the kernels' ints.
  var fits: Bool {
    (input + output + window + strides + dilations + low).allSatisfy { $0.magnitude < 1 << 31 }
      && (0..<3).allSatisfy {
        let start = output[$0].multipliedReportingOverflow(by: strides[$0])
        let reach = window[$0].multipliedReportingOverflow(by: dilations[$0])
        return !start.overflow && !reach.overflow && start.partialValue < 1 << 30 && reach.partialValue < 1 << 30
      }
  }
}
