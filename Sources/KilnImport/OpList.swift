import GraphModule

/// The graph's ops, by name.
package enum OpList {
  package static let all: [(name: String, summary: String)] = OpCatalog.all.map { ($0.name, $0.summary) }
    .sorted { $0.name < $1.name }
}
