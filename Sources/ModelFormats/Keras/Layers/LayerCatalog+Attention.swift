extension LayerCatalog {
  /// Attention and products.
  static let attentionRows: [String: Maker] = [
    "EinsumDense": { EinsumDense($0, $1) },
    "MultiHeadAttention": { config, _ in MultiHeadAttention(config) },
    "GroupQueryAttention": { config, _ in GroupQueryAttention(config) },
    "GroupedQueryAttention": { config, _ in GroupQueryAttention(config) },
    "Attention": { config, _ in DotAttention(config, additive: false) },
    "AdditiveAttention": { config, _ in DotAttention(config, additive: true) },
    "ReversibleEmbedding": { config, _ in ReversibleEmbedding(config) },
  ]
}
