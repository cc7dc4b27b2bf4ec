import CommandSupport
import Testing

/// Sums over name scopes.
@Suite struct ScopeTests {
  private var tree: ScopeTree {
    var tree = ScopeTree(width: 1)
    tree.add("net/a/conv", nodes: 2, [5])
    tree.add("net/a/norm", nodes: 1, [1])
    tree.add("net/b/deep/er", nodes: 1, [7])
    tree.add("other", nodes: 1, [2])
    return tree
  }

  @Test func rowsAndSums() {
    let rows = tree.rows(depth: nil)
    #expect(rows.map(\.name) == ["net", "a", "conv", "norm", "b/deep/er", "other"])
    #expect(rows.map(\.level) == [0, 1, 2, 2, 1, 0])
    #expect(rows.map(\.nodes) == [4, 3, 2, 1, 1, 1])
    #expect(rows.map { $0.sums[0] } == [13, 6, 5, 1, 7, 2])
    #expect(rows[4].path == "net/b/deep/er")
  }

  @Test func folding() {
    #expect(tree.rows(depth: 1).map(\.name) == ["net", "other"])
    #expect(tree.rows(depth: 2).map(\.name) == ["net", "a", "b/deep/er", "other"])
  }

  @Test func sumsDoNotOverflow() {
    var tree = ScopeTree(width: 1)
    for _ in 0..<2 { tree.add("a", nodes: 1, [Int.max]) }
    #expect(tree.rows(depth: nil).map { $0.sums[0] } == [Int.max])
  }
}
