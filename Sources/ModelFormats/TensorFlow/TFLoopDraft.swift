import GraphModule
import TensorModule

/// The condition and the body of a loop as graphs, with what each variable turned out to be.
///
/// The body is converted under an assumption on each variable (it does not change; it is carried with its initial type; it
/// is a list of elements of some type) until its results agree with the assumptions.
final class TFLoopDraft {
  enum Role {
    /// The body gives it back as it is.
    case constant
    case carried(TensorType)
    /// `size`: of a list that keeps its length.
    case list(element: [Dim]?, grows: Bool)
  }

  let loop: TFLoop
  let outer: TFBuilder
  private(set) var roles: [Role]
  private(set) var body: TFBuilder
  private(set) var condition: TFBuilder
  /// The inputs that each variable has in the body and in the condition: none, its value, or a list's rows and length.
  private(set) var bodyInputs: [[ValueID]] = []
  private(set) var conditionInputs: [[ValueID]] = []
  /// What the body gives back, input by input.
  private(set) var next: [[ValueID]] = []
  /// How many elements an iteration adds to each list, at most.
  private(set) var added: [Int]
  private(set) var test: ValueID
  /// The parts of the condition, all of which must hold.
  var tests: [ValueID] = []
  /// The number of iterations, where it follows from constants and shapes.
  var trips: Dim?

  /// Nil where something cannot be converted, which is noted.
  ///
  /// - Throws: `KilnError` (`unsupportedModel`) when no assumption holds.
  init?(_ loop: TFLoop, _ outer: TFBuilder, _ diagnostics: TFDiagnostics) throws {
    self.loop = loop
    self.outer = outer
    added = loop.initial.map { _ in 0 }
    test = ValueID(0)
    body = TFBuilder(name: "body", parent: outer)
    condition = TFBuilder(name: "condition", parent: outer)
    roles = try loop.initial.indices.map { index in
      let value = loop.initial[index]
      if loop.constant.contains(index) { return .constant }
      switch value.kind {
      case .tensor: return .carried(value.type)
      case .resource, .complex: return .constant
      case .list(let list): return .list(element: list.info.element, grows: list.grows || list.items != nil)
      }
    }
    var isSettled = false
    for _ in 0..<8 where !isSettled {
      let found = TFDiagnostics()
      body = TFBuilder(name: "body", parent: outer)
      let (values, inputs) = try enter(body)
      let results = try loop.body(body, values, found)
      isSettled = try settle(values, results)
      guard isSettled else { continue }
      guard found.isEmpty, results.allSatisfy({ $0 != nil }) else {
        diagnostics.merge(found)
        return nil
      }
      diagnostics.merge(found)
      if roles.contains(where: { if case .list(nil, _) = $0 { true } else { false } }) {
        throw KilnError(.unsupportedModel, "a list in a loop whose elements are not known is not supported")
      }
      bodyInputs = inputs
      next = try leave(values, results.compactMap { $0 })
    }
    guard isSettled else { throw KilnError(.unsupportedModel, "a loop whose variables change their types again and again is not supported") }
    condition = TFBuilder(name: "condition", parent: outer)
    let (values, inputs) = try enter(condition)
    conditionInputs = inputs
    guard let result = try loop.condition(condition, values, diagnostics).first ?? nil else { return nil }
    guard case .tensor = result.kind, result.type.elementCount == 1 else { throw KilnError(.badInput, "the condition of a loop gives \(result.type.message)") }
    var id = try condition.id(result)
    if result.type.rank > 0 { id = try condition.graph.addOne(Reshape([]), [id], name: "test") }
    if result.type.dtype != .bool { id = try condition.graph.addOne(Cast(.bool), [id], name: "test") }
    test = id
    try findTrips()
  }

  /// The variables inside a graph of the loop, whose first input is the number of the iteration.
  private func enter(_ builder: TFBuilder) throws -> (values: [TFValue], inputs: [[ValueID]]) {
    _ = try builder.graph.addInput("iteration", TensorType(.int64, []))
    var values: [TFValue] = []
    var inputs: [[ValueID]] = []
    for (index, role) in roles.enumerated() {
      let initial = loop.initial[index]
      let name = "variable_\(index)"
      switch (role, initial.kind) {
      case (.carried(let type), _):
        let value = try builder.addInput(name, type)
        values.append(value)
        inputs.append([try value.materialised()])
      case (.list(let element, let grows), .list(let list)):
        var inner = TFList(info: .init(dtype: list.info.dtype, size: list.info.size, element: element))
        inner.isDynamic = list.isDynamic
        inner.grows = grows
        guard let element else {
          inner.isTrial = true
          values.append(.list(inner, builder, name: name))
          inputs.append([])
          continue
        }
        let length = grows ? Dim.symbol("room_\(index)") : list.length ?? list.rows?.type.dims.first ?? .symbol("length_\(index)")
        let rows = try builder.addInput(name, TensorType(list.info.dtype, [length] + element))
        inner.rows = rows
        var own = [try rows.materialised()]
        if grows {
          let size = try builder.addInput("\(name)_size", TensorType(.int32, []))
          inner.info = .init(dtype: list.info.dtype, size: size, element: element)
          own.append(try size.materialised())
        }
        values.append(.list(inner, builder, name: name))
        inputs.append(own)
      default:
        values.append(initial)
        inputs.append([])
      }
    }
    return (values, inputs)
  }

  /// Compares what the body gives with what was assumed; whether it agrees.
  private func settle(_ values: [TFValue], _ results: [TFValue?]) throws -> Bool {
    guard results.count == roles.count else { throw KilnError(.badInput, "the body of a loop gives \(results.count) values for \(roles.count) variables") }
    var isSettled = true
    for (index, result) in results.enumerated() {
      guard let result else { continue }
      switch (roles[index], values[index].kind, result.kind) {
      case (.constant, .tensor, .tensor):
        if result === values[index] { continue }
        if let a = result.known, let b = values[index].known, a.elements == b.elements, a.shape == b.shape { continue }
        roles[index] = .carried(values[index].type)
        isSettled = false
      case (.constant, .resource(let a), .resource(let b)) where a == b: continue
      case (.constant, .complex, .complex) where result === values[index]: continue
      case (.constant, .list(let list), .list):
        if result === values[index] { continue }
        roles[index] = .list(element: list.info.element, grows: list.grows || list.items != nil)
        isSettled = false
      case (.carried(let type), _, .tensor):
        guard result.type.dtype == type.dtype, result.type.rank == type.rank else {
          throw KilnError(.unsupportedModel, "a loop whose variable \(index) is \(type.message) and becomes \(result.type.message) is not supported")
        }
        for (a, b) in zip(type.dims, result.type.dims) where (a - b).fixed.map({ $0 != 0 }) ?? false {
          throw KilnError(.unsupportedModel, "a loop whose variable \(index) changes its shape from \(type.message) to \(result.type.message) is not supported")
        }
      case (.list(let element, let grows), _, .list(let list)):
        if result === values[index] {
          if element == nil {
            roles[index] = .constant
            isSettled = false
          }
          continue
        }
        added[index] = max(added[index], list.added)
        let growsNow = grows || list.added > 0 || list.grows
        if element == nil {
          guard let dims = list.info.element else { continue }
          if let strange = dims.flatMap(\.symbols).first(where: { !outer.knows($0) }) {
            throw KilnError(.unsupportedModel, "a list in a loop whose elements have a size \(KilnError.quoted(strange)) that depends on the data is not supported")
          }
          roles[index] = .list(element: dims, grows: growsNow)
          isSettled = false
        } else if growsNow != grows {
          roles[index] = .list(element: element, grows: growsNow)
          isSettled = false
        }
      default: throw KilnError(.badInput, "variable \(index) of a loop is of one kind before and of another after an iteration")
      }
    }
    return isSettled
  }

  /// The values that the body gives back.
  private func leave(_ values: [TFValue], _ results: [TFValue]) throws -> [[ValueID]] {
    try results.indices.map { index in
      switch (roles[index], results[index].kind) {
      case (.carried(let type), _):
        return [try promised(try body.id(results[index]), type, bodyInputs[index][0])]
      case (.list(_, let grows), .list(let list)):
        let rows = try promised(try list.buffer(body, "rows"), body.graph.type(of: bodyInputs[index][0]), bodyInputs[index][0])
        return grows ? [rows, try list.count(body)] : [rows]
      default: return []
      }
    }
  }

  /// A value whose sizes the body alone knows, with the sizes that the variable has.
  private func promised(_ id: ValueID, _ type: TensorType, _ like: ValueID) throws -> ValueID {
    let made = body.graph.type(of: id)
    guard made.dims.flatMap(\.symbols).contains(where: { body.localPlace(of: $0) != nil && !outer.knows($0) && !type.dims.flatMap(\.symbols).contains($0) })
    else { return id }
    let shape = try body.graph.addOne(ShapeOf(), [like], name: "shape")
    return try body.graph.addOne(DynamicReshape(type.dims), [id, shape], name: "promised")
  }
}
