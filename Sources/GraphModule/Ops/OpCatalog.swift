/// Every op there is, by name.
package enum OpCatalog {
  package static let all: [any OpDefinition.Type] = [
    Conv.self, Elementwise.self, MatMul.self, Reshape.self,
  ]

  private static let byName: [String: any OpDefinition.Type] = Dictionary(
    uniqueKeysWithValues: all.map { ($0.name, $0) })

  package static func op(named name: String) -> (any OpDefinition.Type)? { byName[name] }
}
