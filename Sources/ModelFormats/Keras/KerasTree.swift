import TensorModule

/// A nested structure of tensors and constants, as Keras passes them to a call.
indirect enum KerasTree<Leaf> {
  case leaf(Leaf)
  case list([KerasTree])
  case dict([(key: String, value: KerasTree)])
  case constant(JSON)

  /// The tensors in Keras's flattening order: lists in order, dicts by sorted key.
  var leaves: [Leaf] {
    switch self {
    case .leaf(let leaf): [leaf]
    case .list(let items): items.flatMap(\.leaves)
    case .dict(let entries): entries.sorted { $0.key < $1.key }.flatMap(\.value.leaves)
    case .constant: []
    }
  }

  func map<Other>(_ transform: (Leaf) throws -> Other) rethrows -> KerasTree<Other> {
    switch self {
    case .leaf(let leaf): .leaf(try transform(leaf))
    case .list(let items): .list(try items.map { try $0.map(transform) })
    case .dict(let entries): .dict(try entries.map { ($0.key, try $0.value.map(transform)) })
    case .constant(let value): .constant(value)
    }
  }

  /// The constant, when this is one that is not null.
  var constant: JSON? { if case .constant(let value) = self, !value.isNull { value } else { nil } }

  var isNull: Bool { if case .constant(.null) = self { true } else { false } }
}

/// A result of a layer's call: `[layer name, call, result]` in a configuration.
struct KerasReference: Hashable {
  var layer: String
  var call: Int
  var result: Int
}

/// One call of a layer.
struct KerasCall {
  var arguments: [KerasTree<KerasReference>]
  var keywords: [(key: String, value: KerasTree<KerasReference>)]

  var references: [KerasReference] { arguments.flatMap(\.leaves) + keywords.flatMap(\.value.leaves) }
}
