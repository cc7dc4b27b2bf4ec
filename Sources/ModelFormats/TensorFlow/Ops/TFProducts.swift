import GraphModule
import TensorModule

extension TFOpCatalog {
  static let products = Family(
    "Products",
    [
      "MatMul": { [try product($0, "transpose_a", "transpose_b")] },
      "BatchMatMul": { [try product($0, "adj_x", "adj_y")] },
      "BatchMatMulV2": { [try product($0, "adj_x", "adj_y")] },
      "BatchMatMulV3": { [try product($0, "adj_x", "adj_y")] },
      "SparseMatMul": { [try product($0, "transpose_a", "transpose_b")] },
      "Einsum": { [try einsum($0)] },
      "Cross": { call in
        let (a, b) = (try call.x(0), try call.x(1))
        let axis = call.type(a).rank - 1
        func turned(_ x: ValueID, _ order: [Double]) throws -> ValueID {
          try call.add(Gather(axis: axis), [x, try call.numbers(order, [3], .int32, "order")], "gather")
        }
        let left = try call.binary(.mul, try turned(a, [1, 2, 0]), try turned(b, [2, 0, 1]))
        let right = try call.binary(.mul, try turned(a, [2, 0, 1]), try turned(b, [1, 2, 0]))
        return [try call.binary(.sub, left, right)]
      },
    ])

  private static func product(_ call: TFCall, _ left: String, _ right: String) throws -> ValueID {
    let (a, b) = (try call.x(0), try call.x(1))
    var (x, y) = (a, b)
    let wanted = try call.dtype("Tout", call.type(a).dtype)
    let dtype = call.type(a).dtype
    // Integers are multiplied as doubles, which hold every product of 32-bit numbers that a sum can need exactly.
    if !dtype.isFloat { (x, y) = (try call.cast(a, .float64), try call.cast(b, .float64)) }
    let result = try call.add(
      MatMul(transposeA: try call.bool(left), transposeB: try call.bool(right)), [x, y], "matmul")
    return try call.cast(result, wanted)
  }

  /// Any equation of one or two operands by masks of diagonals, transposes, broadcasts and one product.
  private static func einsum(_ call: TFCall) throws -> ValueID {
    let text = try call.text("equation").filter { $0 != " " }
    let wrong = call.wrong("the equation \(KilnError.quoted(text)) does not fit its operands")
    guard let arrow = text.firstIndex(of: ">"), text[..<arrow].last == "-", text.utf8.count <= 256 else { throw wrong }
    let left = text[..<arrow].dropLast().split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    let right = String(text[text.index(after: arrow)...])
    let operands = try call.all()
    guard left.count == operands.count, (1...2).contains(left.count) else { throw wrong }
    // An ellipsis becomes labels of its own, counted from the last.
    var widest = 0
    func labels(_ part: String, _ rank: Int?) throws -> [String] {
      guard let dots = part.firstIndex(of: ".") else { return part.map(String.init) }
      let before = part[..<dots].map(String.init), after = part[dots...].drop { $0 == "." }.map(String.init)
      let count = rank.map { $0 - before.count - after.count } ?? widest
      guard (0...maximumRank).contains(count) else { throw wrong }
      widest = max(widest, count)
      return before + (0..<count).map { ".\(count - 1 - $0)" } + after
    }
    var values: [ValueID] = []
    var axes: [[String]] = []
    for (part, operand) in zip(left, operands) {
      var names = try labels(part, call.type(operand).rank)
      guard names.count == call.type(operand).rank else { throw wrong }
      var value = operand
      // A label twice in one operand is its diagonal.
      while let twice = names.indices.first(where: { names[..<$0].contains(names[$0]) }), let first = names.firstIndex(of: names[twice]) {
        let rest = names.indices.filter { $0 != first && $0 != twice }
        value = try call.transpose(value, rest + [first, twice])
        let length = try call.length(value, -1)
        let dims = call.type(value).dims
        let flat = try call.reshape(value, Array(dims.dropLast(2)) + [Dim(length * length)])
        let places = try call.numbers((0..<length).map { Double($0 * length + $0) }, [length], .int32, "diagonal")
        value = try call.add(Gather(axis: dims.count - 2), [flat, places], "gather")
        names = rest.map { names[$0] } + [names[first]]
      }
      values.append(value)
      axes.append(names)
    }
    let result = try labels(right, nil)
    guard Set(result).count == result.count, result.allSatisfy({ name in axes.contains { $0.contains(name) } }) else { throw wrong }
    // Labels that only one operand has and the result lacks are summed at once.
    for index in values.indices {
      let others = Set(result).union(axes.indices.filter { $0 != index }.flatMap { axes[$0] })
      let summed = axes[index].indices.filter { !others.contains(axes[index][$0]) }
      if !summed.isEmpty {
        values[index] = try call.reduce(.sum, values[index], summed)
        axes[index] = axes[index].filter(others.contains)
      }
    }
    if values.count == 1 { return try call.transpose(values[0], try result.map { name in
      guard let place = axes[0].firstIndex(of: name) else { throw wrong }
      return place
    }) }
    let batch = result.filter { axes[0].contains($0) && axes[1].contains($0) }
    let shared = axes[0].filter { axes[1].contains($0) && !result.contains($0) }
    let rows = axes[0].filter { !axes[1].contains($0) }, columns = axes[1].filter { !axes[0].contains($0) }
    func dim(_ name: String) -> Dim {
      let lengths = values.indices.compactMap { index in axes[index].firstIndex(of: name).map { call.type(values[index]).dims[$0] } }
      return lengths.first { $0 != 1 } ?? lengths.first ?? 1
    }
    func arranged(_ index: Int, _ groups: [[String]]) throws -> ValueID {
      let order = groups.flatMap { $0 }.compactMap { axes[index].firstIndex(of: $0) }
      let moved = try call.transpose(values[index], order)
      let full = try call.broadcast(moved, groups.flatMap { $0 }.map(dim))
      return try call.reshape(full, batch.map(dim) + groups.dropFirst().map { $0.map(dim).reduce(1, *) })
    }
    let dtype = call.type(values[0]).dtype
    var (x, y) = (try arranged(0, [batch, rows, shared]), try arranged(1, [batch, shared, columns]))
    if !dtype.isFloat { (x, y) = (try call.cast(x, .float64), try call.cast(y, .float64)) }
    let product = try call.cast(try call.add(MatMul(), [x, y], "matmul"), dtype)
    let names = batch + rows + columns
    let spread = try call.reshape(product, names.map(dim))
    return try call.transpose(spread, try result.map { name in
      guard let place = names.firstIndex(of: name) else { throw wrong }
      return place
    })
  }
}
