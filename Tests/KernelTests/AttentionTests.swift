import CKernels
import Foundation
import TestSupport
import Testing

/// softmax(q · kᵀ) · v by blocks of rows, against sums in Double.
@Suite struct AttentionTests {
  private struct Matrices {
    let floats: Floats
    let layout: kiln_attention_matrix

    /// [batches, rows, columns] with heads inside of rows or outside, and gaps.
    init(_ batches: Int, _ rows: Int, _ columns: Int, transposed: Bool = false, _ random: inout TestRandom) {
      let gap = Int.random(in: 0...3, using: &random)
      let (outer, inner) = transposed ? (columns, rows) : (rows, columns)
      let headsInside = Bool.random(using: &random)
      var layout = kiln_attention_matrix()
      let row = headsInside ? batches * (inner + gap) : inner + gap
      layout.batch.0 = Int64(headsInside ? inner + gap : outer * (inner + gap))
      (layout.row, layout.column) = transposed ? (1, Int64(row)) : (Int64(row), 1)
      self.layout = layout
      floats = Floats(batches * outer * (inner + gap) - gap, &random)
    }

    subscript(_ batch: Int, _ row: Int, _ column: Int) -> Double {
      floats[batch * Int(layout.batch.0) + row * Int(layout.row) + column * Int(layout.column)]
    }
  }

  @Test func blocksOfAllSizes() throws {
    var random = TestRandom(named: "attention")
    for round in 0..<90 {
      let batches = Int.random(in: 1...3, using: &random)
      let m = Int.random(in: 1...(round % 3 == 0 ? 300 : 40), using: &random)
      // Beyond 256 keys or depths products go by chunks.
      let n = round % 5 == 0 ? Int.random(in: 250...700, using: &random) : Int.random(in: 1...70, using: &random)
      let depth = round % 7 == 0 ? Int.random(in: 250...400, using: &random) : Int.random(in: 1...50, using: &random)
      let width = Int.random(in: 1...70, using: &random)
      let q = Matrices(batches, m, depth, &random)
      let k = Matrices(batches, n, depth, transposed: Bool.random(using: &random), &random)
      let v = Matrices(batches, n, width, &random), y = Matrices(batches, m, width, &random)
      var params = kiln_attention_params()
      params.axes = 1
      params.lengths.0 = Int64(batches)
      (params.m, params.n, params.depth, params.width) = (Int64(m), Int64(n), Int64(depth), Int64(width))
      (params.q, params.k, params.v, params.y) = (q.layout, k.layout, v.layout, y.layout)
      let sharesKeys = round % 4 == 0
      if sharesKeys { (params.k.batch.0, params.v.batch.0) = (0, 0) }
      params.scale = 1 / Float(depth).squareRoot()
      // A number for each key, added to the scores; then weights times a number for each row of each batch.
      let (shift, factor) = (Floats(n, &random), Floats(batches * m, &random))
      let hasPrograms = round % 2 == 0
      var inputs = [kiln_attention_input](repeating: kiln_attention_input(), count: 4)
      inputs[0].operand = Int32(KILN_ATTENTION_SCORES)
      inputs[1].operand = 5
      inputs[2].operand = Int32(KILN_ATTENTION_SCORES)
      inputs[3].operand = 6
      inputs[3].batch.0 = Int64(m)
      let parts = [kiln_attention_parts(&params, 4), 1, 2, 3, 5][round % 5]
      let scratch = Floats(kiln_attention_scratch_bytes(&params, parts) / 4, alignment: 64)
      try inputs.withUnsafeBufferPointer { inputs in
        try Self.withProgram("add", [Int64(n), 1], [0, 1], m, n, inputs.baseAddress) { before in
          try Self.withProgram("mul", [Int64(n), 1], [1, 0], m, n, inputs.baseAddress.map { $0 + 2 }) { after in
            if hasPrograms {
              (params.before_count, params.after_count) = (1, 1)
              (params.before, params.after) = (before, after)
            }
            runParts(
              kiln_attention_f32, params,
              [q.floats, k.floats, v.floats, y.floats, scratch, shift, factor],
              parts: parts)
          }
        }
      }
      var worst = 0.0
      for batch in 0..<batches {
        let keys = sharesKeys ? 0 : batch
        for row in 0..<m {
          let scores = (0..<n).map { key in
            (0..<depth).reduce(0.0) { $0 + q[batch, row, $1] * k[keys, key, $1] } * Double(params.scale) + (hasPrograms ? shift[key] : 0)
          }
          let most = scores.max() ?? 0
          let terms = scores.map { exp($0 - most) }
          let scale = (hasPrograms ? factor[batch * m + row] : 1) / terms.reduce(0, +)
          for column in 0..<width {
            let wanted = (0..<n).reduce(0.0) { $0 + terms[$1] * scale * v[keys, $1, column] }
            worst = max(worst, (y[batch, row, column] - wanted).magnitude)
          }
        }
      }
      // Weights add up to 1, scores are below 20.
      #expect(worst < 2e-6, "m \(m) n \(n) depth \(depth) width \(width) batches \(batches) parts \(parts)")
    }
  }

  /// Bits do not depend on how work is divided.
  @Test func partsDoNotMatter() {
    var random = TestRandom(named: "attention in parts")
    let (m, n, depth, width) = (131, 75, 19, 21)
    let q = Matrices(3, m, depth, &random), k = Matrices(3, n, depth, &random), v = Matrices(3, n, width, &random)
    let y = Matrices(3, m, width, &random)
    var params = kiln_attention_params()
    params.axes = 1
    params.lengths.0 = 3
    (params.m, params.n, params.depth, params.width) = (Int64(m), Int64(n), Int64(depth), Int64(width))
    (params.q, params.k, params.v, params.y) = (q.layout, k.layout, v.layout, y.layout)
    params.scale = 1
    var first: [Float] = []
    for parts in Int32(1)...7 {
      let scratch = Floats(kiln_attention_scratch_bytes(&params, parts) / 4, alignment: 64)
      runParts(
        kiln_attention_f32, params, [q.floats, k.floats, v.floats, y.floats, scratch], parts: parts)
      let got = (0..<y.floats.count).map { y.floats.pointer[$0] }
      if parts == 1 { first = got }
      #expect(got == first, "\(parts) parts")
    }
  }

  /// `function` of scores and another operand whose strides are `strides`.
  private static func withProgram(
    _ function: String, _ scores: [Int64], _ strides: [Int64], _ m: Int, _ n: Int, _ inputs: UnsafePointer<kiln_attention_input>?,
    _ body: (UnsafePointer<kiln_attention_program>) throws -> Void
  ) throws {
    var chainInputs = [scores, strides].map { strides in
      var input = kiln_chain_input()
      input.dtype = Int32(KILN_F32.rawValue)
      (input.strides.0, input.strides.1) = (strides[0], strides[1])
      return input
    }
    var instruction = kiln_chain_instruction()
    instruction.function = kiln_function_by_name(function)
    instruction.dst = 2
    (instruction.src.0, instruction.src.1) = (0, 1)
    let output = kiln_chain_output(dtype: Int32(KILN_F32.rawValue), source: 2)
    try withUnsafePointer(to: instruction) { instruction in
      try withUnsafePointer(to: output) { output in
        try chainInputs.withUnsafeMutableBufferPointer { chainInputs in
          var chain = kiln_chain_params()
          chain.register_type = Int32(KILN_REGISTER_F32.rawValue)
          (chain.rank, chain.input_count, chain.output_count, chain.instruction_count) = (2, 2, 1, 1)
          (chain.dims.0, chain.dims.1) = (Int64(m), Int64(n))
          (chain.inputs, chain.outputs, chain.instructions) = (chainInputs.baseAddress, output, instruction)
          try #require(kiln_chain_prepare(&chain) == 0)
          (chain.rank, chain.dims.0, chain.dims.1) = (2, Int64(m), Int64(n))
          for (index, strides) in [scores, strides].enumerated() {
            (chainInputs[index].strides.0, chainInputs[index].strides.1) = (strides[0], strides[1])
          }
          try withUnsafePointer(to: kiln_attention_program(chain: chain, inputs: inputs)) { try body($0) }
        }
      }
    }
  }
}
