/// Sums over name scopes (`block1/conv`): what lies in a scope, with what lies below it.
package struct ScopeTree {
  package struct Row {
    /// The whole path.
    package let path: String
    /// The path after the row that it stands under.
    package let name: String
    /// How many rows it stands under.
    package let level: Int
    package let nodes: Int
    package let sums: [Int]
  }

  private struct Scope {
    var name: String
    var children: [Int] = []
    var own = 0
    var nodes = 0
    var sums: [Int]
  }

  private var scopes: [Scope]
  private var places: [String: Int] = [:]

  /// - Parameter width: how many numbers are summed.
  package init(width: Int) {
    scopes = [Scope(name: "", sums: [Int](repeating: 0, count: width))]
  }

  /// Adds nodes to the scope of a path.
  package mutating func add(_ path: String, nodes: Int, _ values: [Int]) {
    var place = 0
    var prefix = ""
    note(place, nodes, values)
    for part in path.split(separator: "/") {
      prefix += "/\(part)"
      if let known = places[prefix] { place = known } else {
        scopes[place].children.append(scopes.count)
        place = scopes.count
        places[prefix] = place
        scopes.append(Scope(name: String(part), sums: scopes[0].sums.map { _ in 0 }))
      }
      note(place, nodes, values)
    }
    scopes[place].own += nodes
  }

  private mutating func note(_ place: Int, _ nodes: Int, _ values: [Int]) {
    scopes[place].nodes += nodes
    for (index, value) in values.enumerated() {
      let sum = scopes[place].sums[index].addingReportingOverflow(value)
      scopes[place].sums[index] = sum.overflow ? Int.max : sum.partialValue
    }
  }

  /// The scopes in the order in which they came, each before those below it. A scope that holds one other and nothing else shares
  /// a row with it.
  ///
  /// - Parameter depth: scopes at more levels than this are folded into the one that holds them; nil folds nothing.
  package func rows(depth: Int?) -> [Row] {
    var rows: [Row] = []
    var stack = scopes[0].children.reversed().map { (place: $0, path: "", level: 0) }
    while let (start, above, level) = stack.popLast() {
      var place = start
      var name = scopes[place].name
      while scopes[place].own == 0, scopes[place].children.count == 1, let only = scopes[place].children.first {
        place = only
        name += "/\(scopes[place].name)"
      }
      let path = above.isEmpty ? name : "\(above)/\(name)"
      rows.append(Row(path: path, name: name, level: level, nodes: scopes[place].nodes, sums: scopes[place].sums))
      if let depth, level + 1 >= depth { continue }
      stack += scopes[place].children.reversed().map { ($0, path, level + 1) }
    }
    return rows
  }
}
