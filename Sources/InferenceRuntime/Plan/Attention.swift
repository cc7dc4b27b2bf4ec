import GraphModule
import TensorModule

/// softmax(q · kᵀ + …) · v as one step that never stores the scores: two products with what lies between them.
package struct Attention {
  /// Elementwise functions over the scores before the softmax, or over the weights behind it.
  struct Program {
    enum Source {
      case scores
      /// The largest score of each row.
      case maxima
      case value(ValueID, strides: [Int])
    }

    /// Over one matrix of scores; its inputs have no operands.
    var chain: ChainProgram
    /// What the inputs are; strides are those over `batch`, in elements.
    var sources: [Source]

    /// Whether it is one of the inputs that are the scores; an op may name them twice.
    func readsScores(_ source: ChainProgram.Source) -> Bool {
      if case .input(let input) = source, case .scores = sources[input] { true } else { false }
    }
  }

  /// The axes of the batches, outermost first.
  var batch: [Int]
  /// Queries, keys, the depth of a score, and the length of a result.
  var (m, n, depth, width): (Int, Int, Int, Int)
  /// Over [batch…, m, depth], [batch…, n, depth] and [batch…, n, width].
  var (query, key, value): (StridedView, StridedView, StridedView)
  /// Where [batch…, m, width] is in the result.
  var result: [Int]
  var scale = 1.0
  var (before, after): ([Program], [Program]) = ([], [])
  /// The nodes that it does, but for the one where it runs.
  var nodes: [Int]

  /// What it reads.
  var operands: [ValueID] {
    [query.base, key.base, value.base]
      + (before + after).flatMap(\.sources).compactMap { if case .value(let id, _) = $0 { id } else { nil } }
  }

  /// A scale that is the first of all functions is one of the keys.
  mutating func takeScale() {
    guard let first = before.first, let step = first.chain.steps.first, step.function == .affine, step.parameters[1] == 0,
      case .input(let scores) = step.sources[0], case .scores = first.sources[scores],
      !first.chain.steps.dropFirst().contains(where: { $0.sources.contains { first.readsScores($0) } })
    else { return }
    scale *= step.parameters[0]
    before[0].chain.steps.removeFirst()
    for index in before[0].chain.steps.indices {
      before[0].chain.steps[index].sources = before[0].chain.steps[index].sources.map {
        if case .step(let number) = $0 { number == 0 ? .input(scores) : .step(number - 1) } else { $0 }
      }
    }
    if before[0].chain.steps.isEmpty { before.removeFirst() }
  }

  /// Splits the axes of the batches where `finer` has several for one.
  mutating func refine(_ finer: [Int]) -> Bool {
    func split(_ strides: some Collection<Int>) -> [Int]? { StridedView.strides(of: finer, over: batch, Array(strides)) }
    func split(programs: inout [Program]) -> Bool {
      for program in programs.indices {
        for index in programs[program].sources.indices {
          guard case .value(let id, let strides) = programs[program].sources[index] else { continue }
          guard let own = split(strides) else { return false }
          programs[program].sources[index] = .value(id, strides: own)
        }
      }
      return true
    }
    guard let q = split(query.strides.dropLast(2)), let y = split(result.dropLast(2)), split(programs: &before), split(programs: &after)
    else { return false }
    query.strides = q + query.strides.suffix(2)
    result = y + result.suffix(2)
    batch = finer
    return true
  }
}
