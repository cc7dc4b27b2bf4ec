import CKernels
import TestSupport
import Testing

@Suite struct GemmTests {
  /// Sizes around the tiles' edges, any number of parts, all packed memory between guard pages.
  @Test func productsOfAllSmallSizes() {
    var random = TestRandom(named: "gemm")
    for _ in 0..<250 {
      let (m, n, k) = (Int.random(in: 0...30, using: &random), Int.random(in: 1...130, using: &random), Int.random(in: 0...40, using: &random))
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
        kiln_gemm_f32, params, [a.pointer, packed.pointer, bias?.pointer, residual?.pointer, c.pointer],
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
}
