import GraphModule
import TensorModule

/// An equation of `Einsum` over any number of operands: masks of diagonals, transposes, broadcasts and products of two.
struct EinsumOperands {
  private let text: String
  private let parts: [String]
  private let result: String?

  init(_ text: String) throws {
    self.text = text.filter { $0 != " " }
    let wrong = KilnError(.badInput, "the equation \(KilnError.quoted(text)) is none")
    guard self.text.utf8.count <= 256, self.text.utf8.allSatisfy({ $0 < 128 }) else { throw wrong }
    if let arrow = self.text.firstIndex(of: ">") {
      guard self.text[..<arrow].last == "-" else { throw wrong }
      parts = self.text[..<arrow].dropLast().split(separator: ",", omittingEmptySubsequences: false).map(String.init)
      result = String(self.text[self.text.index(after: arrow)...])
    } else {
      parts = self.text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
      result = nil
    }
  }

  private struct Operand {
    var value: ValueID
    var labels: [String]
  }

  private var wrong: KilnError { KilnError(.badInput, "the equation \(KilnError.quoted(text)) does not fit its operands") }

  func build(_ call: some NodeBuilding, _ values: [ValueID]) throws -> ValueID {
    guard parts.count == values.count, !values.isEmpty else { throw wrong }
    var widest = 0
    // An ellipsis becomes labels of its own, counted from the last.
    func labels(_ part: String, _ rank: Int?) throws -> [String] {
      guard let dots = part.firstIndex(of: ".") else { return part.map(String.init) }
      let before = part[..<dots].map(String.init), after = part[dots...].drop { $0 == "." }.map(String.init)
      let count = rank.map { $0 - before.count - after.count } ?? widest
      guard (0...maximumRank).contains(count), part.filter({ $0 == "." }).count == 3 else { throw wrong }
      widest = max(widest, count)
      return before + (0..<count).map { ".\(count - 1 - $0)" } + after
    }
    var operands: [Operand] = []
    for (part, value) in zip(parts, values) {
      let names = try labels(part, call.type(value).rank)
      guard names.count == call.type(value).rank else { throw wrong }
      operands.append(try diagonal(call, Operand(value: value, labels: names)))
    }
    let all = parts.joined().filter { $0.isLetter }
    let wanted = try result.map { try labels($0, nil) }
      ?? (0..<widest).map { ".\(widest - 1 - $0)" } + Set(all).filter { letter in all.count { $0 == letter } == 1 }.sorted().map(String.init)
    guard Set(wanted).count == wanted.count, wanted.allSatisfy({ name in operands.contains { $0.labels.contains(name) } }) else { throw wrong }
    var current = operands[0]
    for index in 1..<max(operands.count, 1) where index < operands.count {
      let later = operands[(index + 1)...].reduce(into: Set(wanted)) { $0.formUnion($1.labels) }
      current = try product(call, current, operands[index], keeping: later)
    }
    current = try summed(call, current, keeping: Set(wanted))
    return try call.transpose(current.value, try wanted.map { name in
      guard let place = current.labels.firstIndex(of: name) else { throw wrong }
      return place
    })
  }

  /// A label twice in one operand is its diagonal.
  private func diagonal(_ call: some NodeBuilding, _ operand: Operand) throws -> Operand {
    var (value, names) = (operand.value, operand.labels)
    while let twice = names.indices.first(where: { names[..<$0].contains(names[$0]) }), let first = names.firstIndex(of: names[twice]) {
      let rest = names.indices.filter { $0 != first && $0 != twice }
      value = try call.transpose(value, rest + [first, twice])
      let length = try call.length(value, -1)
      guard length <= 1 << 20 else { throw call.unsupported("a diagonal of \(length)") }
      let dims = call.type(value).dims
      let flat = try call.reshape(value, Array(dims.dropLast(2)) + [Dim(length * length)])
      let places = try call.numbers((0..<length).map { Double($0 * length + $0) }, [length], .int32, "diagonal")
      value = try call.add(Gather(axis: dims.count - 2), [flat, places], "gather")
      names = rest.map { names[$0] } + [names[first]]
    }
    return Operand(value: value, labels: names)
  }

  private func summed(_ call: some NodeBuilding, _ operand: Operand, keeping: Set<String>) throws -> Operand {
    let axes = operand.labels.indices.filter { !keeping.contains(operand.labels[$0]) }
    if axes.isEmpty { return operand }
    return Operand(value: try call.reduce(.sum, operand.value, axes), labels: operand.labels.filter(keeping.contains))
  }

  private func product(_ call: some NodeBuilding, _ left: Operand, _ right: Operand, keeping: Set<String>) throws -> Operand {
    let a = try summed(call, left, keeping: keeping.union(right.labels)), b = try summed(call, right, keeping: keeping.union(left.labels))
    let batch = a.labels.filter { b.labels.contains($0) && keeping.contains($0) }
    let shared = a.labels.filter { b.labels.contains($0) && !keeping.contains($0) }
    let rows = a.labels.filter { !b.labels.contains($0) }, columns = b.labels.filter { !a.labels.contains($0) }
    func dim(_ name: String) -> Dim {
      let lengths = [a, b].compactMap { operand in operand.labels.firstIndex(of: name).map { call.type(operand.value).dims[$0] } }
      return lengths.first { $0 != 1 } ?? lengths.first ?? 1
    }
    func arranged(_ operand: Operand, _ groups: [[String]]) throws -> ValueID {
      let names = groups.flatMap { $0 }
      let moved = try call.transpose(operand.value, names.compactMap { operand.labels.firstIndex(of: $0) })
      let full = try call.broadcast(moved, names.map(dim))
      return try call.reshape(full, batch.map(dim) + groups.dropFirst().map { $0.map(dim).reduce(1, *) })
    }
    let dtype = call.type(a.value).dtype
    var (x, y) = (try arranged(a, [batch, rows, shared]), try arranged(b, [batch, shared, columns]))
    if !dtype.isFloat { (x, y) = (try call.cast(x, .float64), try call.cast(y, .float64)) }
    let product = try call.cast(try call.add(MatMul(), [x, y], "matmul"), dtype)
    let names = batch + rows + columns
    return Operand(value: try call.reshape(product, names.map(dim)), labels: names)
  }
}
