import GraphModule
import TensorModule

/// What each op type means.
enum TFOpCatalog {
  typealias Reader = @Sendable (TFCall) throws -> [TFValue]
  /// A reader whose results are values of the graph.
  typealias Plain = @Sendable (TFCall) throws -> [ValueID]

  /// One family of ops: a heading of the coverage table, and the readers.
  struct Family: Sendable {
    var title: String
    var readers: [String: Reader]

    init(_ title: String, _ plain: [String: Plain], values: [String: Reader] = [:]) {
      self.title = title
      readers = values
      for (op, reader) in plain { readers[op] = { call in call.values(try reader(call)) } }
    }
  }

  static let families: [Family] = [
    sources, elementwise, shapes, pieces, blocks, convolutions, pools, normalizations, reductions, products, indexing, images,
    quantization, recurrent, matrices, lists, tables, strings, ragged, dataSizes, sparse, raggedRows, boxes, media, examples,
    special, bits, complexNumbers, frequencies, audio, scattering, transforms, quantizedGraphs, randomNumbers,
  ]

  static let readers: [String: Reader] = families.reduce(into: [:]) { $0.merge($1.readers) { first, _ in first } }
}
