import CKernels
import TestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Averages and maxima of windows against plain sums in Double.
@Suite struct PoolTests {
  private struct Axis {
    var input: Int, output: Int, kernel: Int, stride: Int, dilation: Int, before: Int, after: Int

    init(_ random: inout TestRandom) {
      kernel = Int.random(in: 1...3, using: &random)
      stride = Int.random(in: 1...3, using: &random)
      dilation = Int.random(in: 1...2, using: &random)
      let extent = (kernel - 1) * dilation + 1
      before = Int.random(in: 0..<extent, using: &random)
      after = Int.random(in: 0..<extent, using: &random)
      input = Int.random(in: max(1, extent - before - after)...9, using: &random)
      output = (input + before + after - extent) / stride + 1
    }

    /// Where the taps of an output lie in the input, and how many lie in the padded input.
    func taps(_ output: Int) -> (inside: [Int], counted: Int) {
      let all = (0..<kernel).map { output * stride - before + $0 * dilation }
      return (all.filter { $0 >= 0 && $0 < input }, all.filter { $0 >= -before && $0 < input + after }.count)
    }
  }

  /// With and without pieces, factors (for all or by sample), offsets and activations on the way in, and an activation of the result.
  @Test func windowsWithAPrologueAndAnActivation() {
    var random = TestRandom(named: "pool")
    for _ in 0..<200 {
      let axes = (0..<3).map { _ in Axis(&random) }
      let batch = Int.random(in: 1...3, using: &random)
      let hasPrologue = Bool.random(using: &random), perSample = Bool.random(using: &random), relu = Bool.random(using: &random)
      let widths = (0..<(hasPrologue ? Int.random(in: 1...4, using: &random) : 1)).map { _ in Int.random(in: 1...150, using: &random) }
      let channels = widths.reduce(0, +)
      let positions = axes.reduce(batch) { $0 * $1.input }
      let pieces = widths.map { Floats(positions * $0, &random) }
      let scale = hasPrologue && Bool.random(using: &random) ? Floats((perSample ? batch : 1) * channels, &random) : nil
      let shift = hasPrologue && Bool.random(using: &random) ? Floats(channels, &random) : nil
      let average = Bool.random(using: &random), counts = Bool.random(using: &random)
      let function = ["identity", "relu", "silu"].randomElement(using: &random) ?? "relu"
      let y = Floats(axes.reduce(batch) { $0 * $1.output } * channels)
      let lengths = widths.map { Int64($0) }
      lengths.withUnsafeBufferPointer { lengths in
        var params = kiln_window_pool_params()
        (params.batch, params.channels) = (Int64(batch), Int64(channels))
        func triple(_ value: (Axis) -> Int) -> (Int64, Int64, Int64) {
          (Int64(value(axes[0])), Int64(value(axes[1])), Int64(value(axes[2])))
        }
        (params.input, params.output, params.kernel) = (triple(\.input), triple(\.output), triple(\.kernel))
        (params.stride, params.dilation) = (triple(\.stride), triple(\.dilation))
        (params.pad_before, params.pad_after) = (triple(\.before), triple(\.after))
        (params.average, params.count_include_pad) = (average ? 1 : 0, counts ? 1 : 0)
        params.activation.function = kiln_function_by_name(function)
        if hasPrologue {
          params.prologue.sources = Int32(widths.count)
          params.prologue.widths = lengths.baseAddress
          (params.prologue.scale_by_sample, params.prologue.relu) = (perSample, relu)
        }
        let operands: [Floats?] = [pieces[0], y, scale, shift] + pieces.dropFirst().map(Optional.some)
        runParts(kiln_window_pool, params, operands, parts: Int32.random(in: 1...5, using: &random))
      }
      var worst = 0.0, at = 0
      for sample in 0..<batch {
        for d in 0..<axes[0].output {
          for h in 0..<axes[1].output {
            for w in 0..<axes[2].output {
              let taps = [axes[0].taps(d), axes[1].taps(h), axes[2].taps(w)]
              let divisor = taps.reduce(1) { $0 * (counts ? $1.counted : $1.inside.count) }
              var column = 0
              for (piece, width) in zip(pieces, widths) {
                for channel in 0..<width {
                  var elements: [Double] = []
                  for i in taps[0].inside {
                    for j in taps[1].inside {
                      for k in taps[2].inside {
                        var x = piece[((((sample * axes[0].input) + i) * axes[1].input + j) * axes[2].input + k) * width + channel]
                        if let scale { x *= scale[(perSample ? sample * channels : 0) + column + channel] }
                        if let shift { x += shift[column + channel] }
                        elements.append(hasPrologue && relu ? max(0, x) : x)
                      }
                    }
                  }
                  var expected = average ? (divisor > 0 ? elements.reduce(0, +) / Double(divisor) : 0) : elements.max() ?? -.infinity
                  if function == "relu" { expected = max(0, expected) }
                  if function == "silu" { expected = expected == -.infinity ? 0 : expected / (1 + exp(-expected)) }
                  let got = y[at + column + channel]
                  // The silu of an empty maximum is 0 times infinity.
                  if got != expected, !(function == "silu" && elements.isEmpty) { worst = max(worst, (got - expected).magnitude) }
                }
                column += width
              }
              at += channels
            }
          }
        }
      }
      #expect(worst < 1e-5, "axes \(axes) widths \(widths) average \(average) counts \(counts) prologue \(hasPrologue) relu \(relu) \(function)")
    }
  }
}
