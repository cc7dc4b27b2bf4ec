import GraphModule
import TensorModule

/// Turns the functions that wanted results need into a graph. Blocks are looked through; circles become loops.
final class CNTKConverter {
  let graph: CNTKGraph
  let builder: ImportBuilder
  let diagnostics: TFDiagnostics
  /// The length of the batch axis.
  let batch: Dim
  /// Values by what they are of; those of a loop's body begin with what it reads.
  var values: [CNTKGraph.Source: CNTKValue] = [:]
  private var failed: Set<Int> = []
  /// Sequence axes that conditions make, by their names.
  var derived: [String: CNTKSequence] = [:]
  /// Functions whose results are read outside their loops, or wanted.
  private var readers: [CNTKGraph.Source: Set<Int>] = [:]
  private(set) var wanted: Set<CNTKGraph.Source> = []
  let parent: CNTKConverter?

  init(_ graph: CNTKGraph, builder: ImportBuilder, diagnostics: TFDiagnostics, batch: Dim) {
    self.graph = graph
    self.builder = builder
    self.diagnostics = diagnostics
    self.batch = batch
    parent = nil
  }

  /// A converter of a loop's body.
  init(inside outer: CNTKConverter, builder: ImportBuilder, diagnostics: TFDiagnostics) {
    graph = outer.graph
    self.builder = builder
    self.diagnostics = diagnostics
    batch = outer.batch
    parent = outer
  }

  enum Found {
    case value(CNTKValue)
    /// A problem, which is noted, stands in the way.
    case failed
  }

  /// Converts what the wanted uids need.
  ///
  /// - Returns: the values; nil where a problem, which is noted, stands in the way.
  func run(wanted uids: [String]) throws -> [CNTKValue?] {
    let groups = try graph.groups(wanted: uids)
    let needed = Set(groups.flatMap(\.functions))
    for index in needed { for uid in graph.model.functions[index].inputs { readers[try graph.source(uid), default: []].insert(index) } }
    wanted = Set(try uids.map { try graph.source($0) })
    for group in groups {
      if group.isLoop { loop(group) } else { for index in group.functions { convert(index) } }
    }
    return try uids.map { uid in
      if case .value(let value) = try find(try graph.source(uid)) { value } else { nil }
    }
  }

  /// Whether a result is read by a function outside a group.
  func isRead(_ source: CNTKGraph.Source, outside group: Set<Int>) -> Bool {
    wanted.contains(source) || !(readers[source] ?? []).isSubset(of: group)
  }

  /// What a source is, here; parameters and constants are made on demand.
  func find(_ source: CNTKGraph.Source) throws -> Found {
    if let value = values[source] { return .value(value) }
    switch source {
    case .result(let function, let index):
      if failed.contains(function) { return .failed }
      throw KilnError(.badInput, "\(KilnError.quoted(graph.model.functions[function].title)) has no result \(index)")
    case .variable(let uid):
      if let parent { return try parent.find(source) }
      guard let variable = graph.model.variables[uid], let array = variable.value else {
        throw KilnError(.badInput, "the variable \(KilnError.quoted(uid)) has no value")
      }
      let tensor: Tensor
      do { tensor = try array.load() } catch let error as KilnError {
        throw KilnError(error.code, "\(KilnError.quoted(variable.name.isEmpty ? uid : variable.name)): \(error.message)")
      }
      let value = CNTKValue(value: .constant(tensor, builder, name: builder.free(variable.name.isEmpty ? uid : variable.name)), axes: .none)
      values[source] = value
      return .value(value)
    }
  }

  func fail(_ function: Int) { failed.insert(function) }

  func note(_ error: KilnError, _ function: Int) {
    let node = graph.model.functions[function]
    diagnostics.add(error, node.op, node.title)
  }

  /// Converts one function that is in no circle.
  ///
  /// - Parameter isCounted: false for one that is converted again.
  func convert(_ index: Int, isCounted: Bool = true) {
    let function = graph.model.functions[index]
    if isCounted { diagnostics.count(function.op) }
    do {
      var inputs: [CNTKValue] = []
      for uid in function.inputs {
        switch try find(try graph.source(uid)) {
        case .value(let value): inputs.append(value)
        case .failed: return fail(index)
        }
      }
      if let reason = function.attributes[CNTKFunction.unreadKey]?.text {
        throw KilnError(.unsupportedModel, "\(reason), so it is not supported")
      }
      guard let reader = CNTKOpCatalog.readers[function.op] else {
        diagnostics.unsupported(function.op, function.title)
        return fail(index)
      }
      let call = CNTKCall(self, function, builder.free(graph.names[index]), inputs)
      for (place, value) in call.finished(try reader(call)).enumerated() { values[.result(function: index, index: place)] = value }
    } catch let error as KilnError {
      note(error, index)
      fail(index)
    } catch {
      note(KilnError(.internal, "\(error)"), index)
      fail(index)
    }
  }

  private func loop(_ group: CNTKGraph.Group) {
    do { try CNTKLoop(self, group).build() } catch let error as KilnError {
      if error.code != .internal || error.message != CNTKLoop.noted {
        note(error, group.functions.first { graph.model.functions[$0].isDelay } ?? group.functions[0])
      }
      for index in group.functions { fail(index) }
    } catch {
      note(KilnError(.internal, "\(error)"), group.functions[0])
      for index in group.functions { fail(index) }
    }
  }
}
