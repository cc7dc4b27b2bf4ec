import GraphModule
import TensorModule

extension TFOpCatalog {
  /// Tables from keys to values, whose contents are known when the model is imported.
  static let tables = Family(
    "Tables",
    [
      "LookupTableFind": { [try find($0)] }, "LookupTableFindV2": { [try find($0)] },
      "LookupTableSize": { [try tableSize($0)] }, "LookupTableSizeV2": { [try tableSize($0)] },
    ],
    values: Dictionary(
      uniqueKeysWithValues: TableFilling.tables.map { op in (op, { @Sendable call in [.resource(call.name, call.builder)] }) }))

  /// The contents of the table that an operand is.
  private static func table(_ call: TFCall) throws -> (name: String, keys: Tensor, values: Tensor) {
    let name = try resource(call)
    let model = call.converter.model
    do {
      // A checkpoint's contents come before what an initializer says, so a filling is computed only where nothing else is.
      if let filling = model.fillings[name], filling.isComputed, !model.stored.contains(name) {
        let tensors = try filling.operands.map { try operand($0, call) }
        let (keys, values) = try filling.contents(tensors[0], tensors[1])
        return (name, keys, values)
      }
      guard let load = model.tables[name] else {
        throw KilnError(
          .unsupportedModel, "nothing in the file fills it",
          hint: "a frozen graph holds no tables: import the SavedModel, or freeze with the nodes that initialise tables")
      }
      let (keys, values) = try load()
      return (name, keys, values)
    } catch let error as KilnError { throw error.inside("table \(KilnError.quoted(name))") }
  }

  /// A filling's operand: a constant, or what the graph computes from constants.
  private static func operand(_ operand: TableFilling.Operand, _ call: TFCall) throws -> Tensor {
    if let tensor = operand.tensor { return try tensor.load() }
    let converter = call.converter
    guard let reference = operand.reference, converter.depth == 0,
      let value = try converter.values([(converter.root, reference)]).first ?? nil
    else { throw KilnError(.unsupportedModel, "its keys or values are computed, which is not supported here") }
    if let tensor = value.evaluated { return tensor }
    if let tensor = try cast(value, call.builder.graph) { return tensor }
    throw KilnError(.unsupportedModel, "its keys or values are computed from more than constants, which is not supported")
  }

  /// A constant of any length that is only cast.
  private static func cast(_ value: TFValue, _ graph: Graph) throws -> Tensor? {
    guard let id = value.id, let node = graph.nodes.last(where: { $0.outputs.contains(id) }), let op = node.op as? Cast,
      let source = graph.constants[node.inputs[0]]
    else { return nil }
    return try source.converted(to: op.dtype)
  }

  private static func find(_ call: TFCall) throws -> ValueID {
    let (name, keys, values) = try table(call)
    let (x, other) = (try call.x(1), try call.x(2))
    let type = call.type(x)
    guard type.dtype == keys.dtype, keys.dtype == .string || keys.dtype.isInteger else {
      throw call.unsupported("a table of \(keys.dtype.name) keys for \(type.message)")
    }
    let places = shared("\(name)/keys", keys, call)
    guard values.shape.count > 1 else {
      return try call.add(Lookup(), [x, places, shared("\(name)/values", values, call), try call.cast(other, values.dtype)], "lookup")
    }
    // Rows of values: the key's place picks a row, that of no key the default behind the last.
    let row = Array(values.shape.dropFirst())
    let last = Dim(keys.count)
    guard call.type(other).dims == row.map({ Dim($0) }) else { throw call.unsupported("a default \(call.type(other).message) for rows \(row.shapeText)") }
    let indices = shared("\(name)/rows", try Tensor((0..<keys.count).map { Int32(clamping: $0) }, shape: [keys.count]), call)
    let none = try call.scalar(Double(last.fixed ?? 0), .int32)
    let place = try call.add(Lookup(), [x, places, indices, none], "lookup")
    let all = try call.concat([shared("\(name)/values", values, call), try call.expand(other, 0)], axis: 0)
    return try call.add(Gather(axis: 0), [all, place], "gather")
  }

  private static func tableSize(_ call: TFCall) throws -> ValueID {
    try call.scalar(Double(try table(call).keys.count), .int64)
  }

  /// A constant that several lookups in one table share.
  private static func shared(_ name: String, _ tensor: Tensor, _ call: TFCall) -> ValueID {
    if let known = call.builder.graph.value(named: name), call.builder.graph.constants[known] != nil { return known }
    return call.builder.graph.addConstant(call.builder.free(name), tensor)
  }
}
