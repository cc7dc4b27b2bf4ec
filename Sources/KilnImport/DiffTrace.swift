import GraphModule
import TensorModule

/// A model with every value that it computes for some inputs.
struct DiffTrace {
  let graph: Graph
  private let tensors: [ValueID: Tensor]
  private let tolerance: Double
  private let summaries: [ValueID: Summary]

  /// What tells most values apart without looking at their elements.
  struct Summary {
    var lengths: [Int]
    var low: Double
    var high: Double
    /// Whether all elements are one number, which says nothing.
    var isFlat: Bool
  }

  init(_ graph: Graph, _ inputs: [Tensor], _ tolerance: Double, _ run: (Graph, [Tensor]) throws -> [Tensor]) throws {
    var wide = graph
    let computed = graph.nodes.flatMap(\.outputs)
    wide.outputs = computed.enumerated().map { Graph.Output(name: "value_\($0)", value: $1) }
    let results = try run(wide, inputs)
    var tensors = graph.constants
    for (id, tensor) in zip(graph.inputs, inputs) { tensors[id] = tensor }
    for (id, tensor) in zip(computed, results) { tensors[id] = tensor }
    self.graph = graph
    self.tensors = tensors
    self.tolerance = tolerance
    summaries = tensors.filter { graph.constants[$0.key] == nil && $0.value.dtype != .string }.mapValues { tensor in
      let values = tensor.doubles
      let (low, high) = (values.min() ?? 0, values.max() ?? 0)
      return Summary(lengths: tensor.shape.filter { $0 != 1 }.sorted(), low: low, high: high, isFlat: low == high || values.isEmpty)
    }
  }

  func tensor(_ id: ValueID) -> Tensor? { tensors[id] }

  /// The values that the inputs and nodes give, in order.
  var values: [ValueID] { graph.inputs + graph.nodes.flatMap(\.outputs) }

  /// Whether a value can tell anything by its numbers.
  func isTelling(_ id: ValueID) -> Bool { summaries[id].map { !$0.isFlat } ?? (tensors[id]?.dtype == .string) }

  /// The largest |a − b|; nil when the shapes differ by more than axes of length 1.
  func error(_ id: ValueID, _ other: DiffTrace, _ counterpart: ValueID) -> Double? {
    guard let a = tensors[id], let b = other.tensors[counterpart], a.dtype != .string, b.dtype != .string,
      a.shape.filter({ $0 != 1 }) == b.shape.filter({ $0 != 1 })
    else { return nil }
    return DiffTrace.distance(a.doubles, b.doubles)
  }

  private static func distance(_ a: [Double], _ b: [Double]) -> Double {
    var worst = 0.0
    for (x, y) in zip(a, b) where !(x == y || x.isNaN && y.isNaN) {
      let distance = abs(x - y)
      if !(distance <= worst) { worst = distance.isNaN ? .infinity : distance }
    }
    return worst
  }

  /// The largest |a| that is finite.
  func scale(_ id: ValueID) -> Double {
    guard let tensor = tensors[id], tensor.dtype != .string else { return 0 }
    return tensor.doubles.reduce(0) { $1.isFinite ? max($0, abs($1)) : $0 }
  }

  /// How far apart equal values of that size may be.
  private func allowed(_ scale: Double) -> Double { tolerance * max(scale, 1e-2) }

  /// Whether two values hold the same numbers in the same order; axes of length 1 do not count.
  func matches(_ id: ValueID, _ other: DiffTrace, _ counterpart: ValueID) -> Bool {
    guard let a = tensors[id], let b = other.tensors[counterpart] else { return false }
    if a.dtype == .string || b.dtype == .string { return a.dtype == b.dtype && a.strings == b.strings }
    return error(id, other, counterpart).map { $0 <= allowed(scale(id)) } ?? false
  }

  /// Whether two values hold the same numbers, with axes in any order.
  func matchesTurned(_ id: ValueID, _ other: DiffTrace, _ counterpart: ValueID) -> Bool {
    if matches(id, other, counterpart) { return true }
    guard let a = tensors[id], let b = other.tensors[counterpart], let s = summaries[id], let t = other.summaries[counterpart],
      s.lengths == t.lengths, s.lengths.count >= 2, s.lengths.count <= 5
    else { return false }
    let allowed = allowed(max(abs(s.low), abs(s.high)))
    guard abs(s.low - t.low) <= allowed, abs(s.high - t.high) <= allowed else { return false }
    let long = b.reshaped(b.shape.filter { $0 != 1 })
    let wanted = a.shape.filter { $0 != 1 }
    let values = a.doubles
    return DiffTrace.permutations(wanted.count).contains { permutation in
      guard permutation.map({ long.shape[$0] }) == wanted, let turned = try? long.transposed(permutation) else { return false }
      return DiffTrace.distance(values, turned.doubles) <= allowed
    }
  }

  /// Whether two values hold the same numbers in any order at all.
  func hasSameNumbers(_ id: ValueID, _ other: DiffTrace, _ counterpart: ValueID) -> Bool {
    guard let a = tensors[id], let b = other.tensors[counterpart], a.count == b.count, a.dtype != .string, b.dtype != .string, isTelling(id) else { return false }
    return DiffTrace.distance(a.doubles.sorted(), b.doubles.sorted()) <= allowed(scale(id))
  }

  private static func permutations(_ count: Int) -> [[Int]] {
    if count <= 1 { return [Array(0..<count)] }
    return permutations(count - 1).flatMap { shorter in (0...shorter.count).map { place in
      var longer = shorter
      longer.insert(count - 1, at: place)
      return longer
    } }
  }
}
