import GraphModule
import GraphTestSupport
import InferenceRuntime
import TensorModule
import TestSupport
import Testing

/// Graphs that look like attention, or are one in a form that no importer writes.
@Suite struct AttentionEdgeTests {
  private static func text(_ body: String, keys: Int, extra: String = "") -> String {
    """
    graph "attention" {
      input %q: float32[1, 8, 16]
      input %k: float32[1, \(keys), 16]
      input %v: float32[1, \(keys), 16]
      \(extra)
      \(body)
      output "y" = %y
    }
    """
  }

  private static func chain(_ from: String, _ to: String, keys: Int, times: Int, _ steps: String) -> String {
    let inputs = [String](repeating: "%\(from)", count: times).joined(separator: ", ")
    return "%\(to): float32[1, 8, \(keys)] = chain(\(inputs)) {inputs: \(times), steps: [\(steps)]}\n"
  }

  private static func scores(_ keys: Int) -> String {
    "%s: float32[1, 8, \(keys)] = matmul(%q, %k) {transpose_a: false, transpose_b: true}\n"
  }

  private static func context(_ weights: String) -> String {
    "%y: float32[1, 8, 16] = matmul(%\(weights), %v) {transpose_a: false, transpose_b: false}\n"
  }

  private func agrees(_ text: String) throws {
    var random = TestRandom(named: "attention edges")
    let graph = try TextForm.parse(text)
    let feed = try graph.inputs.map { try random.tensor(graph.type(of: $0)) }
    let expected = try ReferenceBackend.run(graph, feed)
    for threads in 1...2 {
      let (outputs, _) = try run(graph, feed, threads: threads)
      #expect(firstDifference(outputs[0], expected[0], relative: 1e-5, absolute: 1e-5) == nil)
    }
  }

  /// A scale that belongs to one of two names of the same scores.
  @Test func scoresThatAreNamedTwice() throws {
    let steps = "[affine, [0.25, 0.0], [x0]], [add, [], [s0, x1]]"
    try agrees(
      Self.text(
        Self.scores(12) + Self.chain("s", "c", keys: 12, times: 2, steps)
          + "%p: float32[1, 8, 12] = softmax(%c) {axis: -1, log: false}\n" + Self.context("p"), keys: 12))
  }

  /// With one key, the largest scores have the scores' shape, and weights are multiplied by what the softmax reads.
  @Test func oneKey() throws {
    try agrees(
      Self.text(
        Self.scores(1) + """
          %x: float32[1, 8, 1] = reduce(%s) {kind: max, axes: [2], keep_dims: true}
          %e: float32[1, 8, 1] = chain(%x, %s) {inputs: 2, steps: [[add, [], [x0, x1]]]}
          %p: float32[1, 8, 1] = softmax(%s) {axis: -1, log: false}
          %r: float32[1, 8, 1] = elementwise(%p, %e) {function: mul}

          """ + Self.context("r"), keys: 1))
  }

  /// The search for the scores follows a value that is named often once: 64⁵ ways otherwise.
  @Test(.timeLimit(.minutes(1))) func valuesThatAreNamedOften() throws {
    let names = ["s0", "a", "b", "c", "d", "e"]
    let chains = zip(names, names.dropFirst()).map { Self.chain($0, $1, keys: 12, times: 64, "[tanh, [], [x0]]") }.joined()
    try agrees(
      Self.text(
        chains + "%p: float32[1, 8, 12] = softmax(%e) {axis: -1, log: false}\n" + Self.context("p"), keys: 12,
        extra: "input %s0: float32[1, 8, 12]"))
  }
}
