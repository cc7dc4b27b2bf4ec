import CKernels
import Foundation
import TestSupport
import Testing

/// Recurrent steps with weights of each form, against the cells' equations in Double.
@Suite struct RecurrentTests {
  private static let cells = [KILN_RNN_SIMPLE, KILN_RNN_LSTM, KILN_RNN_GRU_RESET_AFTER, KILN_RNN_GRU_RESET_BEFORE]

  /// What a weight becomes.
  private static func kept(_ x: Float, scale: Float, _ form: kiln_rnn_form) -> Double {
    switch form {
    case KILN_RNN_BF16: return Double(Float(bitPattern: (x.bitPattern + 0x7FFF + (x.bitPattern >> 16 & 1)) & 0xFFFF_0000))
    case KILN_RNN_I8: return scale > 0 ? Double((x / scale).rounded(.toNearestOrEven)) * Double(scale) : 0
    default: return Double(x)
    }
  }

  private static func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }

  /// The last state of every row.
  private static func expected(_ p: kiln_rnn_params, _ x: Floats, _ weights: [Double], _ bias: Floats) -> [Double] {
    let (units, gates) = (Int(p.units), Int(kiln_rnn_gates(p.cell)))
    var all: [Double] = []
    for row in 0..<Int(p.batch) {
      var (h, c) = ([Double](repeating: 0, count: units), [Double](repeating: 0, count: units))
      for t in 0..<Int(p.time) {
        func input(_ g: Int, _ u: Int) -> Double { x[((row * Int(p.time) + t) * gates + g) * units + u] }
        func sum(_ g: Int, _ u: Int, _ state: [Double]) -> Double {
          (0..<units).reduce(bias[g * units + u]) { $0 + state[$1] * weights[($1 * gates + g) * units + u] }
        }
        let old = h
        switch kiln_rnn_cell(UInt32(p.cell)) {
        case KILN_RNN_SIMPLE: h = (0..<units).map { tanh(input(0, $0) + sum(0, $0, old)) }
        case KILN_RNN_LSTM:
          let value = (0..<units).map { u in (0..<4).map { input($0, u) + sum($0, u, old) } }
          for u in 0..<units {
            c[u] = sigmoid(value[u][1]) * c[u] + sigmoid(value[u][0]) * tanh(value[u][2])
            h[u] = sigmoid(value[u][3]) * tanh(c[u])
          }
        case KILN_RNN_GRU_RESET_AFTER:
          h = (0..<units).map { u in
            let z = sigmoid(input(0, u) + sum(0, u, old)), r = sigmoid(input(1, u) + sum(1, u, old))
            return z * old[u] + (1 - z) * tanh(input(2, u) + r * sum(2, u, old))
          }
        default:
          let gated = (0..<units).map { sigmoid(input(1, $0) + sum(1, $0, old)) * old[$0] }
          h = (0..<units).map { u in
            let z = sigmoid(input(0, u) + sum(0, u, old))
            return z * old[u] + (1 - z) * tanh(input(2, u) + sum(2, u, gated))
          }
        }
      }
      all += h
    }
    return all
  }

  @Test(arguments: [KILN_RNN_F32, KILN_RNN_BF16, KILN_RNN_I8]) func sequences(_ form: kiln_rnn_form) {
    var random = TestRandom(named: "recurrent \(form.rawValue)")
    for round in 0..<48 {
      var p = kiln_rnn_params()
      p.cell = Int32(Self.cells[round % 4].rawValue)
      p.form = Int32(form.rawValue)
      (p.batch, p.time) = (Int64.random(in: 1...8, using: &random), Int64.random(in: 0...4, using: &random))
      p.units = Int64.random(in: 1...70, using: &random)
      p.activation.function = kiln_function_by_name("tanh")
      p.recurrent_activation.function = kiln_function_by_name("sigmoid")
      let (units, gates) = (Int(p.units), Int(kiln_rnn_gates(p.cell)))
      let x = Floats(Int(p.batch * p.time) * gates * units, &random)
      let (weights, bias) = (Floats(units * gates * units, &random), Floats(gates * units, &random))
      for index in 0..<weights.count { weights.pointer[index] *= 0.3 }
      let packed = Floats(Int(kiln_rnn_packed_bytes(&p) + 3) / 4, alignment: 64)
      kiln_rnn_pack(&p, weights.pointer, packed.pointer)
      let output = Floats(Int(p.batch) * units)
      let parts: Int32 = Int32.random(in: 1...3, using: &random)
      let scratch = Floats(Int(kiln_rnn_scratch_bytes(&p)) / 4, alignment: 64)
      runParts(
        kiln_rnn, p,
        [x, packed, bias, nil, nil, nil, output, nil, nil, scratch, nil, nil], parts: parts)
      let columns = gates * units
      let kept = (0..<weights.count).map { index -> Double in
        let scale = (0..<units).reduce(Float(0)) { max($0, weights.pointer[$1 * columns + index % columns].magnitude / 127) }
        return Self.kept(weights.pointer[index], scale: scale, form)
      }
      let wanted = Self.expected(p, x, kept, bias)
      let worst = zip(0..., wanted).map { (output[$0] - $1).magnitude }.max() ?? 0
      #expect(worst < 5e-5, "cell \(p.cell), \(units) units, batch \(p.batch), \(p.time) steps")
    }
  }

  /// Sequences long enough for several chunks of steps, which project their inputs themselves.
  @Test(arguments: [false, true]) func projectedByChunks(backwards: Bool) {
    var random = TestRandom(named: "recurrent chunks \(backwards)")
    for round in 0..<16 {
      var p = kiln_rnn_params()
      p.cell = Int32(Self.cells[round % 4].rawValue)
      p.go_backwards = backwards ? 1 : 0
      p.batch = Int64.random(in: 1...9, using: &random)
      p.units = Int64.random(in: 1...70, using: &random)
      p.features = Int64.random(in: 1...40, using: &random)
      p.activation.function = kiln_function_by_name("tanh")
      p.recurrent_activation.function = kiln_function_by_name("sigmoid")
      let (units, features, batch) = (Int(p.units), Int(p.features), Int(p.batch))
      let width = units * Int(kiln_rnn_gates(p.cell))
      // At least 3 chunks of 128 KiB in one part.
      p.time = Int64(round < 4 ? round : 3 * (32 << 10) / (batch * width) + Int.random(in: 1...50, using: &random))
      let time = Int(p.time)
      let x = Floats(batch * time * features, &random)
      let kernel = Floats(features * width, &random), inputBias = Floats(width, &random)
      let (weights, bias) = (Floats(units * width, &random), Floats(width, &random))
      for index in 0..<weights.count { weights.pointer[index] *= 0.1 }
      let packed = Floats(Int(kiln_rnn_packed_bytes(&p) + 3) / 4, alignment: 64)
      kiln_rnn_pack(&p, weights.pointer, packed.pointer)
      let packedKernel = Floats(kiln_gemm_packed_bytes(Int64(width), p.features) / 4, alignment: 64)
      kiln_gemm_pack(kernel.pointer, Int64(width), 1, Int64(width), p.features, packedKernel.pointer)
      let parts = Int32.random(in: 1...3, using: &random)
      let hasBias = round % 3 != 0
      let output = Floats(batch * units)
      let scratch = Floats(Int(kiln_rnn_scratch_bytes(&p)) / 4, alignment: 64)
      let projections = Floats(Int(kiln_rnn_projection_bytes(&p, parts)) / 4, alignment: 64)
      #expect(Int(kiln_rnn_projection_bytes(&p, 1)) <= max(128 << 10, batch * width * 4) + 64)
      runParts(
        kiln_rnn, p,
        [
          x, packed, bias, nil, nil, nil, output, nil, nil, scratch, nil, nil, packedKernel,
          hasBias ? inputBias : nil, projections,
        ], parts: parts)
      let projected = Floats(batch * time * width)
      for row in 0..<batch {
        for t in 0..<time {
          let from = (row * time + (backwards ? time - 1 - t : t)) * features
          for j in 0..<width {
            let sum = (0..<features).reduce(hasBias ? Double(inputBias[j]) : 0) { $0 + Double(x[from + $1]) * Double(kernel[$1 * width + j]) }
            projected.pointer[(row * time + t) * width + j] = Float(sum)
          }
        }
      }
      let wanted = Self.expected(p, projected, (0..<weights.count).map { Double(weights.pointer[$0]) }, bias)
      let worst = zip(0..., wanted).map { (output[$0] - $1).magnitude }.max() ?? 0
      #expect(worst < 5e-5, "cell \(p.cell), \(units) units, \(features) features, batch \(batch), \(time) steps, \(parts) parts")
    }
  }
}
