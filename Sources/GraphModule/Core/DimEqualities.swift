import Synchronization

/// The dims that ops ask to be equal while types are inferred, as far as they hold symbols and differ.
package final class DimEqualities: Sendable {
  /// Collects within `$current.withValue`.
  @TaskLocal package static var current: DimEqualities?

  private let pairs = Mutex<[(Dim, Dim)]>([])

  package init() {}

  /// Notes two dims that must be equal.
  static func note(_ a: Dim, _ b: Dim) {
    guard a != b, a.fixed == nil, b.fixed == nil, let current else { return }
    current.pairs.withLock { $0.append((a, b)) }
  }

  /// Symbols that stand for the same length: for each one that does, the first of them in the given order.
  package func representatives(_ symbols: [String]) -> [String: String] {
    var parents: [String: String] = [:]
    func root(_ symbol: String) -> String {
      var symbol = symbol
      while let parent = parents[symbol] { symbol = parent }
      return symbol
    }
    let rank = Dictionary(uniqueKeysWithValues: symbols.enumerated().map { ($1, $0) })
    for (a, b) in pairs.withLock({ $0 }) {
      // Equal multiples of symbols are equal symbols.
      guard let x = a.multiple, let y = b.multiple, x.coefficient == y.coefficient else { continue }
      let (p, q) = (root(x.symbol), root(y.symbol))
      if p == q { continue }
      if rank[p] ?? .max <= rank[q] ?? .max { parents[q] = p } else { parents[p] = q }
    }
    return Dictionary(uniqueKeysWithValues: symbols.map { ($0, root($0)) })
  }
}

extension Dim {
  /// The symbol and the factor, when the dim is a multiple of a symbol.
  fileprivate var multiple: (symbol: String, coefficient: Int)? {
    guard constant == 0, terms.count == 1, terms[0].atoms.count == 1, case .symbol(let name) = terms[0].atoms[0] else { return nil }
    return (name, terms[0].coefficient)
  }
}
