import CKernels
import Foundation
import TestSupport
import Testing

/// Weights that are streamed from the file's order, or narrow.
@Suite struct WeightsTests {
  @Test func streamedConvolutionsOfAllSmallSizes() {
    var random = TestRandom(named: "streamed")
    for _ in 0..<250 {
      func some(_ range: ClosedRange<Int32>) -> Int32 { Int32.random(in: range, using: &random) }
      var p = kiln_conv_params()
      (p.batch, p.in_c, p.out_c, p.groups) = (some(1...3), some(1...40), some(1...150), 1)
      (p.kernel_h, p.kernel_w) = Bool.random(using: &random) ? (1, 1) : (some(1...3), some(1...3))
      (p.stride_h, p.stride_w) = p.kernel_h == 1 && p.kernel_w == 1 && Bool.random(using: &random) ? (1, 1) : (some(1...2), some(1...2))
      (p.dilation_h, p.dilation_w) = (some(1...2), some(1...2))
      (p.in_h, p.in_w) = (some(1...6), some(1...7))
      (p.pad_top, p.pad_left) = p.kernel_h == 1 && p.kernel_w == 1 ? (0, 0) : (some(0...2), some(0...2))
      let room = (p.in_h + p.pad_top - (p.kernel_h - 1) * p.dilation_h - 1, p.in_w + p.pad_left - (p.kernel_w - 1) * p.dilation_w - 1)
      guard room.0 >= 0, room.1 >= 0 else { continue }
      (p.out_h, p.out_w) = (room.0 / p.stride_h + 1, room.1 / p.stride_w + 1)
      p.activation.function = kiln_function_by_name(Bool.random(using: &random) ? "relu" : "tanh")
      _ = kiln_streamed_parts(&p, 4)
      if Bool.random(using: &random) { p.split = Int32(KILN_CONV_SPLIT_PIXELS.rawValue) }
      let parts = some(1...5)
      let input = Floats(Int(p.batch * p.in_h * p.in_w * p.in_c), &random)
      let weights = Floats(Int(p.kernel_h * p.kernel_w * p.in_c * p.out_c), &random)
      let bias = Bool.random(using: &random) ? Floats(Int(p.out_c), &random) : nil
      let count = Int(p.batch * p.out_h * p.out_w * p.out_c)
      let residual = Bool.random(using: &random) ? Floats(count, &random) : nil
      let output = Floats(count)
      let scratch = Floats(kiln_streamed_scratch_bytes(&p, parts) / 4, alignment: 64)
      runParts(
        kiln_streamed_f32, p, [input, weights, bias, residual, output, scratch], parts: parts)
      var worst = 0.0
      for index in 0..<count {
        let o = index % Int(p.out_c), x = index / Int(p.out_c) % Int(p.out_w)
        let y = index / Int(p.out_c * p.out_w) % Int(p.out_h), image = index / Int(p.out_c * p.out_w * p.out_h)
        var sum = (bias?[o] ?? 0) + (residual?[index] ?? 0)
        for ky in 0..<Int(p.kernel_h) {
          for kx in 0..<Int(p.kernel_w) {
            let row = y * Int(p.stride_h) - Int(p.pad_top) + ky * Int(p.dilation_h)
            let column = x * Int(p.stride_w) - Int(p.pad_left) + kx * Int(p.dilation_w)
            guard (0..<Int(p.in_h)).contains(row), (0..<Int(p.in_w)).contains(column) else { continue }
            for c in 0..<Int(p.in_c) {
              sum += input[((image * Int(p.in_h) + row) * Int(p.in_w) + column) * Int(p.in_c) + c]
                * weights[((ky * Int(p.kernel_w) + kx) * Int(p.in_c) + c) * Int(p.out_c) + o]
            }
          }
        }
        let wanted = p.activation.function == kiln_function_by_name("relu") ? max(sum, 0) : tanh(sum)
        worst = max(worst, (output[index] - wanted).magnitude)
      }
      #expect(worst < 2e-5, "\(p) in \(parts) parts")
    }
  }

  /// Rows that are read in place, over more columns than one block holds.
  @Test func manyColumnsOfFewRows() {
    var random = TestRandom(named: "rows")
    for (rows, k, n) in [(1, 7, 5000), (3, 4, 2049), (4, 9, 4096), (2, 1, 1)] {
      var p = kiln_conv_params()
      (p.batch, p.in_h, p.out_h, p.kernel_h, p.kernel_w) = (1, 1, 1, 1, 1)
      (p.stride_h, p.stride_w, p.dilation_h, p.dilation_w, p.groups) = (1, 1, 1, 1, 1)
      (p.in_w, p.out_w, p.in_c, p.out_c) = (Int32(rows), Int32(rows), Int32(k), Int32(n))
      #expect(kiln_streamed_in_place(&p))
      let (a, b, c) = (Floats(rows * k, &random), Floats(k * n, &random), Floats(rows * n))
      runParts(kiln_streamed_f32, p, [a, b, nil, nil, c, nil], parts: 3)
      for row in 0..<rows {
        for column in 0..<n {
          var sum = 0.0
          for i in 0..<k { sum += a[row * k + i] * b[i * n + column] }
          #expect((c[row * n + column] - sum).magnitude < 1e-5)
        }
      }
    }
  }

  @Test(arguments: [KILN_NARROW_BF16, KILN_NARROW_I8]) func narrowProducts(_ form: kiln_narrow_form) {
    var random = TestRandom(named: "narrow")
    for _ in 0..<150 {
      let (m, n, k) = (Int.random(in: 1...9, using: &random), Int.random(in: 1...130, using: &random), Int.random(in: 0...70, using: &random))
      let transposed = Bool.random(using: &random)
      var p = kiln_narrow_params()
      (p.m, p.n, p.k, p.form) = (Int64(m), Int64(n), Int64(k), Int32(form.rawValue))
      p.activation.function = kiln_function_by_name("relu")
      let (a, b) = (Floats(m * k, &random), Floats(k * n, &random))
      // A column of zeros has a scale of 0.
      for i in 0..<k { b.pointer[transposed ? i : i * n] = 0 }
      let bias = Bool.random(using: &random) ? Floats(n, &random) : nil
      let residual = Bool.random(using: &random) ? Floats(m * n, &random) : nil
      let c = Floats(m * n)
      let packed = Floats((kiln_narrow_packed_bytes(p.form, p.n, p.k) + 3) / 4, alignment: 64)
      kiln_narrow_pack(p.form, b.pointer, Int64(transposed ? 1 : n), Int64(transposed ? k : 1), p.n, p.k, packed.pointer)
      runParts(
        kiln_narrow_f32, p, [a, packed, bias, residual, c],
        parts: Int32.random(in: 1...4, using: &random))
      func weight(_ i: Int, _ j: Int) -> Float { b.pointer[transposed ? j * k + i : i * n + j] }
      var (worst, farthest) = (0.0, 0.0)
      for j in 0..<n {
        let scale = (0..<k).reduce(Float(0)) { max($0, weight($1, j).magnitude) } / 127
        let kept: [Double] = (0..<k).map { i in
          if form == KILN_NARROW_BF16 {
            let bits = weight(i, j).bitPattern
            return Double(Float(bitPattern: (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF_0000))
          }
          return scale > 0 ? Double((weight(i, j) / scale).rounded(.toNearestOrEven)) * Double(scale) : 0
        }
        for i in 0..<k {
          let limit = form == KILN_NARROW_BF16 ? Double(weight(i, j).magnitude) * 0x1p-8 : Double(scale) * 0.501
          farthest = max(farthest, (kept[i] - Double(weight(i, j))).magnitude - limit)
        }
        for row in 0..<m {
          var sum = (bias?[j] ?? 0) + (residual?[row * n + j] ?? 0)
          for i in 0..<k { sum += a[row * k + i] * kept[i] }
          worst = max(worst, (c[row * n + j] - max(sum, 0)).magnitude)
        }
      }
      #expect(worst < 2e-5, "m \(m) n \(n) k \(k) transposed \(transposed)")
      #expect(farthest <= 0)
    }
  }
}
