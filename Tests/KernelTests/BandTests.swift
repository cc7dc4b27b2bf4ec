import CKernels
import TestSupport
import Testing

/// A product of pixels and the depthwise convolution that reads it, in bands of rows.
@Suite struct BandTests {
  /// Wide lines leave room for one row of a band at a time, whose taps are moved as it goes down the image.
  @Test(arguments: [Int32(1)...70, 900...2500]) func bandsOfAllSizes(channels: ClosedRange<Int32>) {
    var random = TestRandom(named: "bands of \(channels)")
    for round in 0..<40 {
      var p = ConvTests.draw(&random, winograd: false)
      let multiplier = Int32.random(in: 1...2, using: &random)
      p.in_c = Int32.random(in: channels, using: &random)
      (p.groups, p.out_c) = (p.in_c, p.in_c * multiplier)
      if round % 4 == 0 { p.pad_top = -min(1, p.in_h - 1) }
      var band = kiln_pointwise_depthwise_params()
      band.depthwise = kiln_depthwise_params(p)
      let (k, n) = (Int.random(in: 1...40, using: &random), Int(p.in_c))
      let pixels = Int(p.batch * p.in_h * p.in_w)
      (band.product.m, band.product.n, band.product.k) = (Int64(pixels), Int64(n), Int64(k))
      (band.product.lda, band.product.ldc, band.product.ldr) = (Int64(k), Int64(n), Int64(n))
      band.product.activation = kiln_activation(function: kiln_function_by_name("clip"), p: (-0.25, 1, 0))
      let parts = max(withUnsafePointer(to: band) { kiln_pointwise_depthwise_parts($0, 4) }, [1, 2, 3][round % 3])
      let (a, b, first) = (Floats(pixels * k, &random), Floats(k * n, &random), Floats(n, &random))
      let added = round % 2 == 0 ? Floats(pixels * n, &random) : nil
      let w = Floats(Int(p.kernel_h * p.kernel_w * p.out_c), &random)
      let second = Floats(Int(p.out_c), &random)
      let y = Floats(Int(p.batch * p.out_h * p.out_w * p.out_c), &random)
      let packed = Floats(kiln_gemm_packed_bytes(Int64(n), Int64(k)) / 4, alignment: 64)
      kiln_gemm_pack(b.pointer, Int64(n), 1, Int64(n), Int64(k), packed.pointer)
      let scratch = Floats(withUnsafePointer(to: band) { kiln_pointwise_depthwise_scratch_bytes($0, parts) } / 4, alignment: 64)
      runParts(
        kiln_pointwise_depthwise_f32, band,
        [a.pointer, packed.pointer, first.pointer, added?.pointer, scratch.pointer, w.pointer, second.pointer, nil, y.pointer],
        parts: parts)
      let between = Floats(pixels * n)
      for pixel in 0..<pixels {
        for channel in 0..<n {
          var sum = first[channel] + (added?[pixel * n + channel] ?? 0)
          for depth in 0..<k { sum += a[pixel * k + depth] * b[depth * n + channel] }
          between.pointer[pixel * n + channel] = Float(min(1, max(-0.25, sum)))
        }
      }
      var worst = 0.0
      for _ in 0..<200 {
        let (image, row) = (Int.random(in: 0..<Int(p.batch), using: &random), Int.random(in: 0..<Int(p.out_h), using: &random))
        let (column, o) = (Int.random(in: 0..<Int(p.out_w), using: &random), Int.random(in: 0..<Int(p.out_c), using: &random))
        let wanted = ConvTests.expected(p, between, w, second, image, row, column, o)
        worst = max(worst, (y[((image * Int(p.out_h) + row) * Int(p.out_w) + column) * Int(p.out_c) + o] - wanted).magnitude)
      }
      #expect(worst < 3e-5, "\(band)")
    }
  }
}
