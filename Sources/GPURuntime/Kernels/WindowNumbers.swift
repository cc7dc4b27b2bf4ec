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
