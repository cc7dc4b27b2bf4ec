import GraphModule
import TensorModule

extension TFOpCatalog {
  /// Features of serialized `tf.train.Example` messages.
  static let examples = Family(
    "Parsing of tf.train.Example", [:],
    values: [
      "ParseExample": { call in
        let (sparse, dense) = (try call.int("Nsparse"), try call.int("Ndense"))
        guard sparse >= 0, dense >= 0, call.inputs.count == 2 + sparse + 2 * dense else { throw call.wrong("has \(call.inputs.count) inputs") }
        let keys = try (2..<2 + sparse + dense).map { try scalarText(call, $0, "a feature's name") }
        return try parse(
          call, sparse: Array(keys.prefix(sparse)), dense: Array(keys.dropFirst(sparse)), ragged: [],
          defaults: try (0..<dense).map { try call.x(2 + sparse + dense + $0) })
      },
      "ParseExampleV2": { call in
        let (sparse, dense, ragged) = (try names(call, 2), try names(call, 3), try names(call, 4))
        guard call.inputs.count == 5 + dense.count, sparse.count == (try call.int("num_sparse", 0)) else {
          throw call.wrong("has \(call.inputs.count) inputs for \(dense.count) dense features")
        }
        return try parse(call, sparse: sparse, dense: dense, ragged: ragged, defaults: try dense.indices.map { try call.x(5 + $0) })
      },
      "ParseSingleExample": { call in
        func keys(_ key: String) throws -> [String] {
          guard case .list(let items)? = call.attribute(key) else { return [] }
          return try items.map { item in
            guard let text = item.text else { throw call.wrong("attribute '\(key)' must be texts") }
            return text
          }
        }
        let (sparse, dense) = (try keys("sparse_keys"), try keys("dense_keys"))
        guard call.inputs.count == 1 + dense.count else { throw call.wrong("has \(call.inputs.count) inputs for \(dense.count) dense features") }
        return try parse(call, sparse: sparse, dense: dense, ragged: [], defaults: try dense.indices.map { try call.x(1 + $0) })
      },
    ])

  private static func names(_ call: TFCall, _ index: Int) throws -> [String] {
    let tensor = try call.constant(index, "features' names")
    guard tensor.dtype == .string else { throw call.wrong("features' names must be texts") }
    return try tensor.strings.map { name in
      guard let text = name.text else { throw call.unsupported("a feature's name that is not UTF-8") }
      return text
    }
  }

  private static func types(_ call: TFCall, _ key: String, _ count: Int) throws -> [DType] {
    guard count > 0 else { return [] }
    guard case .list(let items)? = call.attribute(key), items.count == count else { throw call.wrong("attribute '\(key)' must be \(count) dtypes") }
    return try items.map { item in
      guard case .type(let type) = item, let dtype = type.dtype else { throw call.wrong("attribute '\(key)' must be dtypes") }
      return dtype
    }
  }

  /// The results in TensorFlow's order: the sparse features' indices, values and shapes, the dense ones, the ragged ones' values
  /// and splits.
  private static func parse(
    _ call: TFCall, sparse: [String], dense: [String], ragged: [String], defaults: [ValueID]
  ) throws -> [TFValue] {
    var x = try call.x(0)
    let isSingle = call.type(x).rank == 0
    if isSingle {
      guard ragged.isEmpty else { throw call.unsupported("ragged features of a single example") }
      x = try call.reshape(x, [1])
    }
    var features: [ParseExample.Feature] = []
    for (key, dtype) in zip(sparse, try types(call, "sparse_types", sparse.count)) {
      features.append(.init(key, .sparse, dtype, sizes: [call.dataSize(), call.dataSize()]))
    }
    let shapes = try denseShapes(call, dense.count)
    for ((key, dtype), dims) in zip(zip(dense, try types(call, "Tdense", dense.count)), shapes) {
      if let first = dims.first, first == nil {
        let rest = dims.dropFirst().compactMap { $0 }
        guard rest.count == dims.count - 1 else { throw call.unsupported("more than one unknown length of the feature \(KilnError.quoted(key))") }
        features.append(.init(key, .padded, dtype, shape: rest, sizes: [call.dataSize()]))
      } else {
        let fixed = dims.compactMap { $0 }
        guard fixed.count == dims.count else { throw call.unsupported("the shape of the feature \(KilnError.quoted(key))") }
        features.append(.init(key, .dense, dtype, shape: fixed))
      }
    }
    for (key, dtype) in zip(ragged, try types(call, "ragged_value_types", ragged.count)) {
      features.append(.init(key, .ragged, dtype, sizes: [call.dataSize()]))
    }
    let results = try call.dynamic(ParseExample(features), [x] + defaults, "parse")
    let number = call.type(x).dims[0]
    var (indices, values, columns): ([ValueID], [ValueID], [ValueID]) = ([], [], [])
    for place in sparse.indices {
      indices.append(isSingle ? try call.slice(results[3 * place], axis: 1, 1, 2) : results[3 * place])
      values.append(results[3 * place + 1])
      columns.append(results[3 * place + 2])
    }
    var out = call.values(indices + values)
    for place in sparse.indices {
      let longest = call.type(columns[place]).dims[0]
      out.append(try call.vector(isSingle ? [longest] : [number, longest], output: out.count))
    }
    for place in dense.indices {
      let value = results[3 * sparse.count + place]
      out.append(.value(isSingle ? try call.drop(value, 0) : value, call.builder, name: "\(call.name):\(out.count)"))
    }
    let first = 3 * sparse.count + dense.count
    for place in ragged.indices { out.append(.value(results[first + 2 * place], call.builder, name: "\(call.name):\(out.count)")) }
    for (place, dtype) in try types(call, "ragged_split_types", ragged.count).enumerated() {
      out.append(.value(try call.cast(results[first + 2 * place + 1], dtype), call.builder, name: "\(call.name):\(out.count)"))
    }
    return out
  }

  /// The shapes of dense features; nil for an unknown length.
  private static func denseShapes(_ call: TFCall, _ count: Int) throws -> [[Int?]] {
    guard count > 0 else { return [] }
    guard case .list(let items)? = call.attribute("dense_shapes"), items.count == count else {
      throw call.wrong("attribute 'dense_shapes' must be \(count) shapes")
    }
    return try items.map { item in
      guard case .shape(let shape) = item, let dims = shape.dims else { throw call.unsupported("a dense feature of unknown rank") }
      return dims
    }
  }
}
