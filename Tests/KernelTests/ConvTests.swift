import CKernels
import TestSupport
import Testing

@Suite struct ConvTests {
  static func draw(_ random: inout TestRandom, winograd: Bool, line: Bool = false) -> kiln_conv_params {
    var p = kiln_conv_params()
    func number(_ range: ClosedRange<Int32>) -> Int32 { Int32.random(in: range, using: &random) }
    p.batch = number(1...2)
    (p.in_h, p.in_w) = (number(1...14), number(1...14))
    p.groups = winograd ? 1 : [1, 1, 2, 3][Int(number(0...3))]
    (p.in_c, p.out_c) = (p.groups * number(1...20), p.groups * number(1...70))
    if line {
      (p.kernel_h, p.kernel_w, p.stride_h, p.stride_w) = (1, number(2...25), 1, 1)
      (p.dilation_h, p.dilation_w) = (1, number(1...3))
      p.in_w = number(1...70)
      if Bool.random(using: &random) {
        (p.kernel_h, p.kernel_w, p.dilation_h, p.dilation_w, p.in_h, p.in_w) = (p.kernel_w, 1, p.dilation_w, 1, p.in_w, p.in_h)
      }
    } else if winograd {
      (p.kernel_h, p.kernel_w, p.stride_h, p.stride_w, p.dilation_h, p.dilation_w) = (3, 3, 1, 1, 1, 1)
    } else {
      (p.kernel_h, p.kernel_w, p.stride_h, p.stride_w) = (number(1...4), number(1...4), number(1...3), number(1...3))
      if p.groups == 1 { p.in_w = number(1...60) }
      (p.dilation_h, p.dilation_w) = (number(1...2), number(1...2))
    }
    let (extentH, extentW) = ((p.kernel_h - 1) * p.dilation_h + 1, (p.kernel_w - 1) * p.dilation_w + 1)
    (p.pad_top, p.pad_left) = (number(0...extentH - 1), number(0...extentW - 1))
    p.out_h = max(1, (p.in_h + p.pad_top + number(0...extentH - 1) - extentH) / p.stride_h + 1)
    p.out_w = max(1, (p.in_w + p.pad_left + number(0...extentW - 1) - extentW) / p.stride_w + 1)
    return p
  }

  static func expected(
    _ p: kiln_conv_params, _ x: Floats, _ w: Floats, _ bias: Floats, _ b: Int, _ y: Int, _ xx: Int, _ o: Int
  ) -> Double {
    let (inner, outer) = (Int(p.in_c / p.groups), Int(p.out_c / p.groups))
    var sum = bias[o]
    for ky in 0..<Int(p.kernel_h) {
      for kx in 0..<Int(p.kernel_w) {
        let iy = y * Int(p.stride_h) - Int(p.pad_top) + ky * Int(p.dilation_h)
        let ix = xx * Int(p.stride_w) - Int(p.pad_left) + kx * Int(p.dilation_w)
        if iy < 0 || ix < 0 || iy >= Int(p.in_h) || ix >= Int(p.in_w) { continue }
        for c in 0..<inner {
          sum +=
            x[((b * Int(p.in_h) + iy) * Int(p.in_w) + ix) * Int(p.in_c) + o / outer * inner + c]
            * w[((ky * Int(p.kernel_w) + kx) * inner + c) * Int(p.out_c) + o]
        }
      }
    }
    return sum
  }

  @Test(arguments: [KILN_CONV_DIRECT.rawValue, KILN_CONV_WINOGRAD2.rawValue, KILN_CONV_WINOGRAD4.rawValue, KILN_CONV_LINE.rawValue])
  func windowsOfAllSmallSizes(_ algorithm: UInt32) {
    var random = TestRandom(named: "convolution, algorithm \(algorithm)")
    let winograd = algorithm != KILN_CONV_DIRECT.rawValue
    let line = algorithm == KILN_CONV_LINE.rawValue
    for _ in 0..<60 {
      var p = Self.draw(&random, winograd: winograd, line: line)
      p.algorithm = Int32(algorithm)
      if line {
        let taps = max(p.kernel_h, p.kernel_w)
        let choices: [(Int32, Int32)] = [(7, 4), (11, 6)] + [(7, 3), (7, 5), (11, 4), (11, 5), (11, 7)].filter { taps <= $0.0 + 1 - $0.1 }
        (p.points, p.outputs) = choices[Int.random(in: 0..<choices.count, using: &random)]
      }
      let parts = max(kiln_conv_parts(&p, 4), Bool.random(using: &random) ? 3 : 1)
      let x = Floats(Int(p.batch * p.in_h * p.in_w * p.in_c), &random)
      let w = Floats(Int(p.kernel_h * p.kernel_w * (p.in_c / p.groups) * p.out_c), &random)
      let bias = Floats(Int(p.out_c), &random)
      let y = Floats(Int(p.batch * p.out_h * p.out_w * p.out_c), &random)
      let packed = Floats(kiln_conv_packed_bytes(&p) / 4, alignment: 64)
      kiln_conv_pack(&p, w.pointer, packed.pointer)
      let scratch = Floats(kiln_conv_scratch_bytes(&p, parts) / 4, alignment: 64)
      runParts(
        kiln_conv_f32, p,
        [x, packed, bias, nil, y, scratch.count == 0 ? nil : scratch], parts: parts)
      var (worst, largest) = (0.0, 1.0)
      for _ in 0..<200 {
        let (b, row) = (Int.random(in: 0..<Int(p.batch), using: &random), Int.random(in: 0..<Int(p.out_h), using: &random))
        let (column, o) = (Int.random(in: 0..<Int(p.out_w), using: &random), Int.random(in: 0..<Int(p.out_c), using: &random))
        let wanted = Self.expected(p, x, w, bias, b, row, column, o)
        let got = y[((b * Int(p.out_h) + row) * Int(p.out_w) + column) * Int(p.out_c) + o]
        worst = max(worst, (got - wanted).magnitude)
        largest = max(largest, wanted.magnitude)
      }
      // Direct: up to 321 terms below 1. Winograd: its bound relative to the largest output, with the sampled one for it.
      #expect(worst < (winograd ? 2e-4 * largest : 3e-5), "\(p)")
    }
  }

  @Test func depthwiseOfAllSmallSizes() {
    var random = TestRandom(named: "depthwise")
    for _ in 0..<80 {
      var p = Self.draw(&random, winograd: false)
      let multiplier = Int32.random(in: 1...2, using: &random)
      p.groups = p.in_c
      p.out_c = p.in_c * multiplier
      var d = kiln_depthwise_params(p)
      let parts = max(kiln_depthwise_parts(&d, 4), Bool.random(using: &random) ? 3 : 1)
      let x = Floats(Int(p.batch * p.in_h * p.in_w * p.in_c), &random)
      let w = Floats(Int(p.kernel_h * p.kernel_w * p.out_c), &random)
      let bias = Floats(Int(p.out_c), &random)
      let y = Floats(Int(p.batch * p.out_h * p.out_w * p.out_c), &random)
      runParts(kiln_depthwise_f32, d, [x, w, bias, nil, y], parts: parts)
      var worst = 0.0
      for _ in 0..<200 {
        let (b, row) = (Int.random(in: 0..<Int(p.batch), using: &random), Int.random(in: 0..<Int(p.out_h), using: &random))
        let (column, o) = (Int.random(in: 0..<Int(p.out_w), using: &random), Int.random(in: 0..<Int(p.out_c), using: &random))
        let wanted = Self.expected(p, x, w, bias, b, row, column, o)
        worst = max(worst, (y[((b * Int(p.out_h) + row) * Int(p.out_w) + column) * Int(p.out_c) + o] - wanted).magnitude)
      }
      #expect(worst < 1e-5, "\(d)")
    }
  }
}

extension kiln_depthwise_params {
  /// A convolution whose groups are its input channels.
  init(_ p: kiln_conv_params) {
    self.init()
    (batch, in_h, in_w, channels, multiplier) = (p.batch, p.in_h, p.in_w, p.in_c, p.out_c / p.in_c)
    (out_h, out_w, kernel_h, kernel_w) = (p.out_h, p.out_w, p.kernel_h, p.kernel_w)
    (stride_h, stride_w, dilation_h, dilation_w) = (p.stride_h, p.stride_w, p.dilation_h, p.dilation_w)
    (pad_top, pad_left) = (p.pad_top, p.pad_left)
  }
}
