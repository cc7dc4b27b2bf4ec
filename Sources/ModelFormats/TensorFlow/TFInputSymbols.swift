import GraphModule
import TensorModule

/// What the unknown lengths of inputs are called: `batch` along a first axis, `<input>_<axis>` otherwise. First axes that need
/// not be as long as the batch are called `<input>_0`.
final class TFInputSymbols {
  /// Whether first axes have symbols of their own.
  private let isApart: Bool
  /// The symbols of first axes, by inputs.
  private var first: [(input: String, symbol: String)] = []
  private let names: [String: String]

  /// All first axes are the batch.
  static var together: TFInputSymbols { TFInputSymbols(isApart: false, names: [:]) }

  /// The first one is the batch, each other has a symbol of its own.
  static var apart: TFInputSymbols { TFInputSymbols(isApart: true, names: [:]) }

  private init(isApart: Bool, names: [String: String]) {
    self.isApart = isApart
    self.names = names
  }

  /// Whether more than one input may count something along its first axis.
  static func isUseful(for model: TFModel) -> Bool {
    let open = model.graph.nodes.count { node in
      guard node.op == "Placeholder" || node.op == "PlaceholderV2" else { return false }
      guard case .shape(let shape)? = node.attributes["shape"], let dims = shape.dims else { return true }
      return dims.first == .some(nil)
    }
    return open > 1
  }

  /// The dims of an input.
  func dims(_ shape: [Int?], _ name: String) -> [Dim] {
    shape.enumerated().map { axis, length in
      if let length { return Dim(length) }
      if axis > 0 { return .symbol("\(name)_\(axis)") }
      let symbol = names[name] ?? (isApart && !first.isEmpty ? "\(name)_0" : "batch")
      first.append((name, symbol))
      return .symbol(symbol)
    }
  }

  /// The same with first axes that must be equally long made one; nil when nothing changes.
  ///
  /// - Parameters:
  ///   - symbols: those of the graph's inputs, in order.
  func joined(_ equalities: DimEqualities, _ symbols: [String]) -> TFInputSymbols? {
    let roots = equalities.representatives(symbols)
    var groups: [String: String] = [:]
    var found: [String: String] = [:]
    for (input, symbol) in first {
      guard let root = roots[symbol] else { continue }
      // The first one is the batch.
      let own = groups.isEmpty ? "batch" : symbol == "batch" ? "\(input)_0" : symbol
      groups[root] = groups[root] ?? own
      found[input] = groups[root]
    }
    if first.allSatisfy({ found[$0.input] ?? $0.symbol == $0.symbol }) { return nil }
    return TFInputSymbols(isApart: true, names: found)
  }
}
