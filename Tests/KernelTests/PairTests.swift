import CKernels
import TestSupport
import Testing

/// Two products in turns, by blocks of rows.
@Suite struct PairTests {
  @Test(arguments: [1...40, 700...3000]) func pairsOfAllSizes(width: ClosedRange<Int>) {
    var random = TestRandom(named: "pairs of \(width)")
    for round in 0..<24 {
      let (m, k) = (Int.random(in: 1...300, using: &random), Int.random(in: 1...40, using: &random))
      let (h, n) = (Int.random(in: width, using: &random), Int.random(in: 1...60, using: &random))
      var pair = kiln_gemm_pair_params()
      (pair.first.m, pair.first.n, pair.first.k) = (Int64(m), Int64(h), Int64(k))
      (pair.first.lda, pair.first.ldc, pair.first.ldr) = (Int64(k), Int64(h), Int64(h))
      (pair.second.m, pair.second.n, pair.second.k) = (Int64(m), Int64(n), Int64(h))
      (pair.second.lda, pair.second.ldc, pair.second.ldr) = (Int64(h), Int64(n), Int64(n))
      // One that tiles do themselves, and one that runs over finished rows.
      let isClipped = round % 2 == 0
      pair.first.activation = isClipped
        ? kiln_activation(function: kiln_function_by_name("clip"), p: (-0.25, 1, 0)) : kiln_activation(function: kiln_function_by_name("abs"), p: (0, 0, 0))
      let (a, b, bias) = (Floats(m * k, &random), Floats(k * h, &random), Floats(h, &random))
      let (d, second) = (Floats(h * n, &random), Floats(n, &random))
      let residual = round % 3 == 0 ? Floats(m * n, &random) : nil
      let c = Floats(m * n, &random)
      let packed = [(b, h, k), (d, n, h)].map { weights, n, k in
        let out = Floats(kiln_gemm_packed_bytes(Int64(n), Int64(k)) / 4, alignment: 64)
        kiln_gemm_pack(weights.pointer, Int64(n), 1, Int64(n), Int64(k), out.pointer)
        return out
      }
      let parts = max(withUnsafePointer(to: pair) { kiln_gemm_pair_parts($0, 4) }, [1, 2, 3][round % 3])
      let scratch = Floats(withUnsafePointer(to: pair) { kiln_gemm_pair_scratch_bytes($0, parts) } / 4, alignment: 64)
      let operands: [Floats?] = [a, packed[0], bias, packed[1], second, residual, c, scratch]
      runParts(kiln_gemm_pair_f32, pair, operands, parts: parts)
      var worst = 0.0
      for _ in 0..<8 {
        let row = Int.random(in: 0..<m, using: &random)
        let hidden = (0..<h).map { j in
          let sum = (0..<k).reduce(bias[j]) { $0 + a[row * k + $1] * b[$1 * h + j] }
          return isClipped ? min(1, max(-0.25, sum)) : sum.magnitude
        }
        let scale = 1 + hidden.reduce(0) { $0 + $1 * $1 }.squareRoot()
        for o in 0..<n {
          let wanted = hidden.indices.reduce(second[o] + (residual?[row * n + o] ?? 0)) { $0 + hidden[$1] * d[$1 * n + o] }
          worst = max(worst, (c[row * n + o] - wanted).magnitude / scale)
        }
      }
      #expect(worst < 1e-5, "\(pair), \(parts) parts")
    }
  }
}
