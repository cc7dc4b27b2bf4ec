import CKernels
import TestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

@Suite struct GemmTests {
  /// Sizes around the tiles' edges, any number of parts, all packed memory between guard pages.
  @Test func productsOfAllSmallSizes() {
    var random = TestRandom(named: "gemm")
    for _ in 0..<250 {
      // Half of them narrow: those have taller tiles.
      let widest = Bool.random(using: &random) ? 130 : 20
      let (m, n, k) = (Int.random(in: 0...50, using: &random), Int.random(in: 1...widest, using: &random), Int.random(in: 0...40, using: &random))
      let transposed = Bool.random(using: &random)
      var params = kiln_gemm_params()
      (params.m, params.n, params.k) = (Int64(m), Int64(n), Int64(k))
      let (lda, ldc) = (k + Int.random(in: 0...3, using: &random), n + Int.random(in: 0...3, using: &random))
      (params.lda, params.ldc, params.ldr) = (Int64(lda), Int64(ldc), Int64(n))
      params.activation.function = kiln_function_by_name("relu")
      _ = kiln_gemm_parts(&params, 4)
      if Bool.random(using: &random) { params.split = Int32(KILN_SPLIT_COLUMNS.rawValue) }
      // The last row ends where its columns end.
      let a = Floats(m == 0 ? 0 : (m - 1) * lda + k, &random)
      let b = Floats(k * n, &random)
      let bias = Bool.random(using: &random) ? Floats(n, &random) : nil
      let residual = Bool.random(using: &random) ? Floats(m * n, &random) : nil
      let c = Floats(m == 0 ? 0 : (m - 1) * ldc + n, &random)
      let packed = Floats(kiln_gemm_packed_bytes(Int64(n), Int64(k)) / 4, alignment: 64)
      kiln_gemm_pack(
        b.pointer, Int64(transposed ? 1 : n), Int64(transposed ? k : 1), Int64(n), Int64(k), packed.pointer)
      runParts(
        kiln_gemm_f32, params, [a, packed, bias, residual, c],
        parts: Int32.random(in: 1...5, using: &random))
      var worst = 0.0
      for row in 0..<m {
        for column in 0..<n {
          var sum = (bias?[column] ?? 0) + (residual?[row * n + column] ?? 0)
          for i in 0..<k { sum += a[row * lda + i] * b[transposed ? column * k + i : i * n + column] }
          worst = max(worst, (c[row * ldc + column] - max(sum, 0)).magnitude)
        }
      }
      // Up to 42 terms below 1: half a unit of the last place each.
      #expect(worst < 42 * 42 * 0x1p-24, "m \(m) n \(n) k \(k) transposed \(transposed)")
    }
  }

  /// The left operand in pieces, scaled (for all rows or by sample), shifted and activated on its way in.
  @Test func productsWithAPrologue() {
    var random = TestRandom(named: "prologue")
    for _ in 0..<120 {
      let samples = Int.random(in: 1...4, using: &random), rowsEach = Int.random(in: 1...40, using: &random)
      let (m, n) = (samples * rowsEach, Int.random(in: 1...70, using: &random))
      let widths = (0..<Int.random(in: 1...5, using: &random)).map { _ in Int.random(in: 1...40, using: &random) }
      let k = widths.reduce(0, +), perSample = Bool.random(using: &random)
      let pieces = widths.map { Floats(m * $0, &random) }
      let scale = Int.random(in: 0...2, using: &random) > 0 ? Floats((perSample ? samples : 1) * k, &random) : nil
      let shift = scale == nil || Bool.random(using: &random) ? Floats(k, &random) : nil
      let function = ["identity", "relu", "silu"].randomElement(using: &random) ?? "relu"
      let b = Floats(k * n, &random), c = Floats(m * n)
      let packed = Floats(kiln_gemm_packed_bytes(Int64(n), Int64(k)) / 4, alignment: 64)
      kiln_gemm_pack(b.pointer, Int64(n), 1, Int64(n), Int64(k), packed.pointer)
      let lengths = widths.map { Int64($0) }
      lengths.withUnsafeBufferPointer { lengths in
        var params = kiln_gemm_params()
        (params.m, params.n, params.k) = (Int64(m), Int64(n), Int64(k))
        (params.lda, params.ldc, params.ldr) = (params.k, params.n, params.n)
        params.prologue.sources = Int32(widths.count)
        params.prologue.widths = lengths.baseAddress
        params.prologue.scale_rows = perSample ? Int64(rowsEach) : 0
        params.prologue.activation.function = kiln_function_by_name(function)
        if Bool.random(using: &random) { params.split = Int32(KILN_SPLIT_COLUMNS.rawValue) }
        let parts = Int32.random(in: 1...5, using: &random)
        let scratch = Floats(kiln_gemm_scratch_bytes(&params, parts) / 4, alignment: 64)
        let operands: [Floats?] = [pieces[0], packed, nil, nil, c, scale, shift, scratch] + pieces.dropFirst().map(Optional.some)
        runParts(kiln_gemm_f32, params, operands, parts: parts)
      }
      var worst = 0.0
      for row in 0..<m {
        var left: [Double] = []
        for (piece, width) in zip(pieces, widths) { left += (0..<width).map { piece[row * width + $0] } }
        for i in 0..<k {
          var x = left[i]
          if let scale { x *= scale[(perSample ? row / rowsEach * k : 0) + i] }
          if let shift { x += shift[i] }
          left[i] = function == "relu" ? max(0, x) : function == "silu" ? x / (1 + exp(-x)) : x
        }
        for column in 0..<n {
          let sum = (0..<k).reduce(0.0) { $0 + left[$1] * b[$1 * n + column] }
          worst = max(worst, (c[row * n + column] - sum).magnitude)
        }
      }
      // Terms below 2, each sum rounded to half a unit of the last place of at most 2 k.
      #expect(worst < Double(4 * k * k) * 0x1p-24, "m \(m) n \(n) widths \(widths) \(function)")
    }
  }
}
