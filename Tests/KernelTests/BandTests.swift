import CKernels
import TestSupport
import Testing

/// A depthwise convolution with what is in front of it and what is behind, in bands of rows.
@Suite struct BandTests {
  /// Wide lines leave room for one row of a band at a time, whose taps are moved as it goes down the image.
  @Test(arguments: [Int32(1)...70, 900...2500], [KILN_FRONT_NONE, KILN_FRONT_PRODUCT, KILN_FRONT_CONV])
  func bandsOfAllSizes(channels: ClosedRange<Int32>, front: kiln_front) {
    var random = TestRandom(named: "bands of \(channels) \(front.rawValue)")
    for round in 0..<32 {
      var p = ConvTests.draw(&random, winograd: false)
      let multiplier = Int32.random(in: 1...2, using: &random)
      p.in_c = Int32.random(in: channels, using: &random)
      (p.groups, p.out_c) = (p.in_c, p.in_c * multiplier)
      if round % 4 == 0 { p.pad_top = -min(1, p.in_h - 1) }
      var band = kiln_band_params()
      band.front = Int32(front.rawValue)
      band.depthwise = kiln_depthwise_params(p)
      let pixels = Int(p.batch * p.in_h * p.in_w), n = Int(p.in_c)
      let clip = kiln_activation(function: kiln_function_by_name("clip"), p: (-0.25, 1, 0))
      var made = Front(band: band, operands: [Floats(pixels * n, &random)], addresses: [], result: Floats(0))
      switch front {
      case KILN_FRONT_PRODUCT: made = Front(productOf: band, clip, round, &random)
      case KILN_FRONT_CONV: made = Front(convolutionOf: band, clip, round, &random)
      default:
        made.addresses = [Self.address(made.operands[0]), nil, nil, nil]
        made.result = made.operands[0]
      }
      band = made.band

      // The projection, behind two of three.
      let width = round % 3 == 0 ? 0 : Int.random(in: 1...60, using: &random), depth = Int(p.out_c)
      let outs = Int(p.batch * p.out_h * p.out_w)
      (band.projection.m, band.projection.n, band.projection.k) = (Int64(outs), Int64(width), Int64(depth))
      (band.projection.lda, band.projection.ldc, band.projection.ldr) = (Int64(depth), Int64(width), Int64(width))
      let (w, second) = (Floats(Int(p.kernel_h * p.kernel_w * p.out_c), &random), Floats(depth, &random))
      let (last, third) = (Floats(depth * width, &random), Floats(width, &random))
      let residual = round % 2 == 0 ? Floats(outs * width, &random) : nil
      let packed = Floats(kiln_gemm_packed_bytes(Int64(width), Int64(depth)) / 4, alignment: 64)
      if width > 0 { kiln_gemm_pack(last.pointer, Int64(width), 1, Int64(width), Int64(depth), packed.pointer) }
      let y = Floats(outs * (width > 0 ? width : depth), &random)
      let parts = max(withUnsafePointer(to: band) { kiln_band_parts($0, 4) }, [1, 2, 3][round % 3])
      let scratch = Floats(withUnsafePointer(to: band) { kiln_band_scratch_bytes($0, parts) } / 4, alignment: 64)
      let rest = [scratch, w, second, nil, packed, third, width > 0 ? residual : nil, y].map(Self.address)
      withExtendedLifetime((made, scratch, w, second, packed, third, residual, y)) {
        runParts(kiln_band_f32, band, made.addresses + rest, parts: parts)
      }

      var worst = 0.0
      for _ in 0..<(width > 0 && depth > 500 ? 6 : 100) {
        let (image, row) = (Int.random(in: 0..<Int(p.batch), using: &random), Int.random(in: 0..<Int(p.out_h), using: &random))
        let column = Int.random(in: 0..<Int(p.out_w), using: &random)
        let pixel = (image * Int(p.out_h) + row) * Int(p.out_w) + column
        func between(_ channel: Int) -> Double { ConvTests.expected(p, made.result, w, second, image, row, column, channel) }
        if width == 0 {
          let channel = Int.random(in: 0..<depth, using: &random)
          worst = max(worst, (y[pixel * depth + channel] - between(channel)).magnitude)
        } else {
          let values = (0..<depth).map(between)
          let scale = values.reduce(1) { max($0, $1.magnitude) } * Double(depth).squareRoot()
          for o in 0..<width {
            let wanted = values.indices.reduce(third[o] + (residual?[pixel * width + o] ?? 0)) { $0 + values[$1] * last[$1 * width + o] }
            worst = max(worst, (y[pixel * width + o] - wanted).magnitude / scale)
          }
        }
      }
      #expect(worst < 3e-5, "\(band)")
    }
  }

  private static func address(_ floats: Floats?) -> UnsafeMutableRawPointer? { floats.map { UnsafeMutableRawPointer($0.pointer) } }

  /// What a band begins with, and what that computes.
  private struct Front {
    var band: kiln_band_params
    var operands: [Floats]
    var addresses: [UnsafeMutableRawPointer?]
    var result: Floats

    init(band: kiln_band_params, operands: [Floats], addresses: [UnsafeMutableRawPointer?], result: Floats) {
      (self.band, self.operands, self.addresses, self.result) = (band, operands, addresses, result)
    }

    init(productOf band: kiln_band_params, _ clip: kiln_activation, _ round: Int, _ random: inout TestRandom) {
      var band = band
      let d = band.depthwise
      let (pixels, n, k) = (Int(d.batch * d.in_h * d.in_w), Int(d.channels), Int.random(in: 1...40, using: &random))
      (band.product.m, band.product.n, band.product.k) = (Int64(pixels), Int64(n), Int64(k))
      (band.product.lda, band.product.ldc, band.product.ldr) = (Int64(k), Int64(n), Int64(n))
      band.product.activation = clip
      let (a, b, bias) = (Floats(pixels * k, &random), Floats(k * n, &random), Floats(n, &random))
      let added = round % 2 == 0 ? Floats(pixels * n, &random) : nil
      let packed = Floats(kiln_gemm_packed_bytes(Int64(n), Int64(k)) / 4, alignment: 64)
      kiln_gemm_pack(b.pointer, Int64(n), 1, Int64(n), Int64(k), packed.pointer)
      let result = Floats(pixels * n)
      for pixel in 0..<pixels {
        for channel in 0..<n {
          var sum = bias[channel] + (added?[pixel * n + channel] ?? 0)
          for depth in 0..<k { sum += a[pixel * k + depth] * b[depth * n + channel] }
          result.pointer[pixel * n + channel] = Float(min(1, max(-0.25, sum)))
        }
      }
      self.init(
        band: band, operands: [a, packed, bias] + (added.map { [$0] } ?? []),
        addresses: [a, packed, bias, added].map(BandTests.address), result: result)
    }

    /// Strides, dilation and padding on all sides.
    init(convolutionOf band: kiln_band_params, _ clip: kiln_activation, _ round: Int, _ random: inout TestRandom) {
      var band = band
      let d = band.depthwise
      var c = kiln_conv_params()
      (c.batch, c.out_h, c.out_w, c.out_c, c.in_c) = (d.batch, d.in_h, d.in_w, d.channels, Int32.random(in: 1...4, using: &random))
      (c.kernel_h, c.kernel_w) = (Int32.random(in: 1...3, using: &random), Int32.random(in: 1...3, using: &random))
      (c.stride_h, c.stride_w) = (Int32.random(in: 1...2, using: &random), Int32.random(in: 1...2, using: &random))
      (c.dilation_h, c.dilation_w, c.groups) = (1, round % 5 == 0 ? 2 : 1, 1)
      (c.pad_top, c.pad_left) = (Int32.random(in: 0...1, using: &random), Int32.random(in: 0...1, using: &random))
      // As many input rows as the windows see, or one less: padding behind.
      c.in_h = max(1, (c.out_h - 1) * c.stride_h + c.kernel_h - c.pad_top - Int32(round % 2))
      c.in_w = max(1, (c.out_w - 1) * c.stride_w + (c.kernel_w - 1) * c.dilation_w + 1 - c.pad_left - Int32(round % 2))
      c.activation = clip
      c.algorithm = Int32(KILN_CONV_DIRECT.rawValue)
      band.conv = c
      let pixels = Int(d.batch * d.in_h * d.in_w), n = Int(d.channels)
      let input = Floats(Int(c.batch * c.in_h * c.in_w * c.in_c), &random)
      let (weights, bias) = (Floats(Int(c.kernel_h * c.kernel_w * c.in_c * c.out_c), &random), Floats(n, &random))
      let added = round % 2 == 0 ? Floats(pixels * n, &random) : nil
      let packed = Floats(withUnsafePointer(to: c) { kiln_conv_packed_bytes($0) } / 4, alignment: 64)
      withUnsafePointer(to: c) { kiln_conv_pack($0, weights.pointer, packed.pointer) }
      let result = Floats(pixels * n)
      for pixel in 0..<pixels {
        let (column, rest) = (pixel % Int(c.out_w), pixel / Int(c.out_w))
        for channel in 0..<n {
          let sum = ConvTests.expected(c, input, weights, bias, rest / Int(c.out_h), rest % Int(c.out_h), column, channel)
          result.pointer[pixel * n + channel] = Float(min(1, max(-0.25, sum + (added?[pixel * n + channel] ?? 0))))
        }
      }
      self.init(
        band: band, operands: [input, packed, bias] + (added.map { [$0] } ?? []),
        addresses: [input, packed, bias, added].map(BandTests.address), result: result)
    }
  }
}
