import CKernels
import TestSupport
import Testing

/// Products of computed matrices, against sums in Double.
@Suite struct MatMulTests {
  /// Plain and transposed operands, few and many rows, depths of one chunk and of several, any number of parts; scratch that was sized
  /// for the deepest of several products.
  @Test func productsOfAllKinds() {
    var random = TestRandom(named: "matmul")
    for _ in 0..<120 {
      let (m, n) = (Int.random(in: 1...40, using: &random), Int.random(in: 1...70, using: &random))
      let k = Bool.random(using: &random) ? Int.random(in: 0...60, using: &random) : Int.random(in: 190...700, using: &random)
      let (transposedA, transposedB) = (Bool.random(using: &random), Bool.random(using: &random))
      let batches = Int.random(in: 1...2, using: &random)
      let gap = Int.random(in: 0...3, using: &random)
      let rowsA = transposedA ? k : m, columnsA = (transposedA ? m : k) + gap
      let rowsB = transposedB ? n : k, columnsB = (transposedB ? k : n) + gap
      let columnsC = n + gap
      var params = kiln_matmul_params()
      (params.batch_outer, params.batch_inner) = (1, Int64(batches))
      (params.m, params.n, params.k) = (Int64(m), Int64(n), Int64(k))
      (params.a_row, params.a_column) = transposedA ? (1, Int64(columnsA)) : (Int64(columnsA), 1)
      (params.b_row, params.b_column) = transposedB ? (1, Int64(columnsB)) : (Int64(columnsB), 1)
      params.c_row = Int64(columnsC)
      (params.a_inner, params.b_inner, params.c_inner) = (Int64(rowsA * columnsA), Int64(rowsB * columnsB), Int64(m * columnsC))
      params.alpha = Bool.random(using: &random) ? 1 : 0.5
      _ = kiln_matmul_parts(&params, 4)
      if Bool.random(using: &random) { params.split = Int32(KILN_SPLIT_COLUMNS.rawValue) }
      let parts = Int32.random(in: 1...5, using: &random)
      let a = Floats(batches * rowsA * columnsA, &random), b = Floats(batches * rowsB * columnsB, &random)
      let c = Floats(batches * m * columnsC, &random)
      var deepest = params
      deepest.k += Int64(Int.random(in: 0...300, using: &random))
      let scratch = Floats(kiln_matmul_scratch_bytes(&deepest, parts) / 4, alignment: 64)
      runParts(kiln_matmul_f32, params, [a, b, c, scratch], parts: parts)
      var worst = 0.0
      for batch in 0..<batches {
        for row in 0..<m {
          for column in 0..<n {
            var sum = 0.0
            for i in 0..<k {
              let left = batch * rowsA * columnsA + (transposedA ? i * columnsA + row : row * columnsA + i)
              let right = batch * rowsB * columnsB + (transposedB ? column * columnsB + i : i * columnsB + column)
              sum += a[left] * b[right]
            }
            worst = max(worst, (c[batch * m * columnsC + row * columnsC + column] - sum * Double(params.alpha)).magnitude)
          }
        }
      }
      // Half a unit of the last place for each term, which is below 1; sums of random signs grow with the root of their number.
      #expect(worst < Double(k + 1) * Double(k + 1).squareRoot() * 0x1p-24, "m \(m) n \(n) k \(k) transposed \(transposedA) \(transposedB) parts \(parts)")
    }
  }
}
