import TensorModule

/// The node that fills a table, with its operands after the table.
struct TableFilling {
  struct Operand {
    /// The constant that it is; nil when it is computed.
    var tensor: TFTensor?
    /// The node of the graph that holds it: an asset is known by that.
    var node: String?
    /// The tensor of the graph that it is, where the filling node is one of the graph itself.
    var reference: TFReference?
  }

  static let ops: Set<String> = [
    "InitializeTable", "InitializeTableV2", "InitializeTableFromTextFile", "InitializeTableFromTextFileV2", "LookupTableImport",
    "LookupTableImportV2",
  ]

  /// The ops that are tables.
  static let tables: Set<String> = [
    "HashTable", "HashTableV2", "MutableHashTable", "MutableHashTableV2", "MutableHashTableOfTensors", "MutableHashTableOfTensorsV2",
    "MutableDenseHashTable", "MutableDenseHashTableV2", "AnonymousHashTable", "AnonymousMutableHashTable",
    "AnonymousMutableHashTableOfTensors", "AnonymousMutableDenseHashTable",
  ]

  let node: TFNode
  let operands: [Operand]
  /// The node of the table itself.
  let table: TFNode?

  /// The keys and values in the table's own dtypes.
  ///
  /// - Throws: `KilnError` when they are computed, or in a file that is no asset of the model.
  func contents(_ assets: [String: () throws -> [UInt8]]) throws -> (keys: Tensor, values: Tensor) {
    let (keys, values) = node.op.contains("TextFile") ? try file(assets) : try constants()
    guard keys.shape.count == 1, let count = values.shape.first, count == keys.count else {
      throw KilnError(.badInput, "has keys \(keys.shape.shapeText) and values \(values.shape.shapeText)")
    }
    return (keys, values)
  }

  /// Whether an operand that is no constant has to be computed from the graph.
  var isComputed: Bool {
    !node.op.contains("TextFile") && operands.count == 2 && operands.allSatisfy { $0.tensor != nil || $0.reference != nil }
      && operands.contains { $0.tensor == nil }
  }

  /// The keys and values, given the tensors that were computed for them.
  func contents(_ keys: Tensor, _ values: Tensor) throws -> (keys: Tensor, values: Tensor) {
    guard keys.shape.count == 1, let count = values.shape.first, count == keys.count else {
      throw KilnError(.badInput, "has keys \(keys.shape.shapeText) and values \(values.shape.shapeText)")
    }
    return (try TableFilling.fit(keys, type("key_dtype")), try TableFilling.fit(values, type("value_dtype")))
  }

  private func type(_ key: String) -> DType? {
    if case .type(let type)? = table?.attributes[key] { return type.dtype }
    return nil
  }

  private func constants() throws -> (keys: Tensor, values: Tensor) {
    guard operands.count == 2, let keys = operands[0].tensor, let values = operands[1].tensor else {
      throw KilnError(.unsupportedModel, "is filled with keys and values that are computed, which is not supported")
    }
    return (try TableFilling.fit(try keys.load(), type("key_dtype")), try TableFilling.fit(try values.load(), type("value_dtype")))
  }

  private static func fit(_ tensor: Tensor, _ dtype: DType?) throws -> Tensor {
    guard let dtype, dtype != tensor.dtype else { return tensor }
    return try tensor.converted(to: dtype)
  }

  // MARK: Text files

  private static let wholeLine = -2
  private static let lineNumber = -1
  private static let maximumLines = 1 << 24

  private func int(_ key: String, _ fallback: Int) -> Int {
    if case .int(let value)? = node.attributes[key] { return value }
    return fallback
  }

  /// Lines of an asset: a column, the whole line or its number each for keys and values.
  private func file(_ assets: [String: () throws -> [UInt8]]) throws -> (keys: Tensor, values: Tensor) {
    guard let place = operands.first?.node, let asset = assets[place] else {
      throw KilnError(.unsupportedModel, "is filled from a file that the model does not hold", hint: "save the model as a SavedModel, with its assets")
    }
    let bytes = try asset()
    var lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
    if lines.last?.isEmpty == true { lines.removeLast() }
    let offset = int("offset", 0)
    guard offset >= 0, offset <= lines.count, lines.count <= TableFilling.maximumLines else {
      throw KilnError(.badInput, "its file has \(lines.count) lines")
    }
    lines.removeFirst(offset)
    let size = int("vocab_size", -1)
    if size >= 0 {
      guard size <= lines.count else { throw KilnError(.badInput, "its file has \(lines.count) lines, expected \(size)") }
      lines = Array(lines.prefix(size))
    }
    let texts = lines.map { $0.last == 0x0D ? $0.dropLast() : $0 }
    return (
      try column(int("key_index", TableFilling.wholeLine), of: texts, type("key_dtype") ?? .string),
      try column(int("value_index", TableFilling.lineNumber), of: texts, type("value_dtype") ?? .int64)
    )
  }

  private func column(_ index: Int, of lines: [ArraySlice<UInt8>], _ dtype: DType) throws -> Tensor {
    if index == TableFilling.lineNumber {
      return try Tensor(integers: lines.indices.map(Int64.init), dtype: dtype, shape: [lines.count])
    }
    var delimiter: UInt8 = 0x09
    if case .bytes(let bytes)? = node.attributes["delimiter"], let first = bytes.first { delimiter = first }
    let parts = try lines.enumerated().map { number, line -> ArraySlice<UInt8> in
      if index == TableFilling.wholeLine { return line }
      let columns = line.split(separator: delimiter, omittingEmptySubsequences: false)
      guard columns.indices.contains(index) else {
        throw KilnError(.badInput, "line \(number + 1) of its file has \(columns.count) columns, expected \(index + 1)")
      }
      return columns[index]
    }
    if dtype == .string { return Tensor(strings: parts.map { ByteString($0) }, shape: [parts.count]) }
    let numbers = try parts.map { part -> Double in
      guard let number = Double(String(decoding: part, as: UTF8.self)) else {
        throw KilnError(.badInput, "its file has \(KilnError.quoted(String(decoding: part, as: UTF8.self))) for a number")
      }
      return number
    }
    return try Tensor(converting: numbers, to: dtype, shape: [parts.count])
  }
}
