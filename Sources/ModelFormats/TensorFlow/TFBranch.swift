import GraphModule
import TensorModule

/// A condition on the model's data: one graph for each side, of which a prediction runs one.
struct TFBranch {
  /// What converts a side, given the builder of its graph.
  typealias Part = (TFBuilder, TFDiagnostics) throws -> [TFValue?]

  var name: String
  /// Picks the side: false and true, or a number.
  var selector: TFValue
  var sides: [Part]
  var resultNames: [String]

  /// The results; nil where something cannot be converted, which is noted.
  func build(_ outer: TFBuilder, _ diagnostics: TFDiagnostics) throws -> [TFValue]? {
    var builders: [TFBuilder] = []
    var values: [[TFValue]] = []
    for (index, side) in sides.enumerated() {
      let builder = TFBuilder(name: "branch_\(index)", parent: outer)
      let found = try side(builder, diagnostics)
      let results = found.compactMap { $0 }
      guard results.count == found.count, diagnostics.isEmpty else { return nil }
      guard results.count == resultNames.count else { throw KilnError(.badInput, "a branch gives \(results.count) values, not \(resultNames.count)") }
      builders.append(builder)
      values.append(results)
    }
    var outputs = [[ValueID]](repeating: [], count: sides.count)
    var made: [([ValueID]) throws -> TFValue] = []
    for index in resultNames.indices {
      made.append(try result(index, values.map { $0[index] }, builders, &outputs, outer))
    }
    let results = outputs[0].isEmpty ? [] : try add(outer, builders, outputs)
    return try made.map { try $0(results) }
  }

  /// Adds what a result needs to the outputs of each side, and says how the result is made of what the node gives.
  private func result(
    _ index: Int, _ values: [TFValue], _ builders: [TFBuilder], _ outputs: inout [[ValueID]], _ outer: TFBuilder
  ) throws -> ([ValueID]) throws -> TFValue {
    let name = resultNames[index]
    func append(_ ids: [ValueID]) -> Int {
      for (side, id) in ids.enumerated() { outputs[side].append(id) }
      return outputs[0].count - 1
    }
    if values.allSatisfy({ $0 === values[0] }) { return { _ in values[0] } }
    switch values[0].kind {
    case .tensor:
      guard values.allSatisfy({ if case .tensor = $0.kind { true } else { false } }) else { break }
      if let known = values[0].known?.fixed, values.allSatisfy({ $0.known?.fixed == known && $0.type == values[0].type }) {
        guard let elements = values[0].known, let tensor = try elements.tensor() else { break }
        return { _ in .constant(tensor, outer, name: name) }
      }
      let ids = try zip(builders, values).map { try $0.id($1) }
      let types = zip(builders, ids).map { $0.graph.type(of: $1) }
      guard types.allSatisfy({ $0.dtype == types[0].dtype && $0.rank == types[0].rank }),
        types[0].dims.indices.allSatisfy({ axis in Set(types.compactMap { $0.dims[axis].fixed }).count <= 1 })
      else { throw KilnError(.unsupportedModel, "branches that give \(types.map(\.message).joined(separator: " and ")) are not supported") }
      let place = append(ids)
      return { results in
        let id = results[place]
        if outer.graph.value(named: name) == nil { outer.graph.rename(id, to: name) }
        return .value(id, outer, name: name)
      }
    case .resource(let node):
      guard values.allSatisfy({ if case .resource(node) = $0.kind { true } else { false } }) else { break }
      return { _ in values[0] }
    case .list(let first):
      let lists = values.compactMap { if case .list(let list) = $0.kind { list } else { nil } }
      guard lists.count == values.count else { break }
      return try list(name, first, lists, builders, append, outer)
    case .complex: throw KilnError(.unsupportedModel, "complex numbers that a branch gives are not supported")
    }
    throw KilnError(.unsupportedModel, "branches that give a tensor on one side and a resource on the other are not supported")
  }

  /// A list that the sides write to, or make longer.
  private func list(
    _ name: String, _ first: TFList, _ lists: [TFList], _ builders: [TFBuilder], _ append: ([ValueID]) -> Int, _ outer: TFBuilder
  ) throws -> ([ValueID]) throws -> TFValue {
    let element = lists.compactMap(\.info.element).first
    var merged = TFList(info: .init(dtype: first.info.dtype, size: first.info.size, element: element))
    merged.added = lists.map(\.added).max() ?? 0
    merged.isDynamic = first.isDynamic
    merged.isTrial = lists.contains(where: \.isTrial)
    if merged.isTrial || element == nil && lists.allSatisfy({ $0.rows == nil && $0.slots.isEmpty && $0.items == nil }) {
      merged.isTrial = true
      return { _ in .list(merged, outer, name: name) }
    }
    for list in lists { list.info.element = list.info.element ?? element }
    merged.grows = lists.contains(where: \.grows)
    var rows: Int?
    if let same = first.rows, lists.allSatisfy({ $0.rows === same }) {
      merged.rows = same
    } else {
      rows = append(try zip(builders, lists).map { try $1.buffer($0, name) })
    }
    var size: Int?
    let lengths = lists.map(\.length)
    if lists.contains(where: { $0.info.size !== first.info.size }), lengths[0] == nil || lengths.contains(where: { $0 != lengths[0] }) {
      size = append(try zip(builders, lists).map { try $1.count($0) })
    }
    return { results in
      if let rows { merged.rows = .value(results[rows], outer, name: name) }
      if let size { merged.info = .init(dtype: first.info.dtype, size: .value(results[size], outer, name: "\(name)/size"), element: element) }
      return .list(merged, outer, name: name)
    }
  }

  private func add(_ outer: TFBuilder, _ builders: [TFBuilder], _ outputs: [[ValueID]]) throws -> [ValueID] {
    for builder in builders { try builder.bindSymbols() }
    var seen: Set<ObjectIdentifier> = []
    let captures = builders.flatMap(\.captures).filter { seen.insert(ObjectIdentifier($0)).inserted }
    let operands = try captures.map { try outer.id($0) }
    let graphs = zip(builders, outputs).map { builder, outputs in
      var graph = builder.graph
      graph.setInputs(captures.map { builder.capture(of: $0) ?? graph.declareInput($0.name, $0.type) })
      graph.outputs = outputs.enumerated().map { .init(name: "result_\($0)", value: $1) }
      return graph.compacted()
    }
    var chosen = try outer.id(selector)
    if outer.graph.type(of: chosen).rank > 0 { chosen = try outer.graph.addOne(Reshape([]), [chosen], name: "\(name)/selector") }
    let scope = name.lastIndex(of: "/").map { String(name[..<$0]) } ?? ""
    return try outer.graph.add(Branch(graphs), [chosen] + operands, name: "\(name)/branch", scope: scope)
  }
}
