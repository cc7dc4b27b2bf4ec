import GraphModule
import TensorModule

/// Einsum of any number of operands: repeated labels are diagonals, operands join from left to right.
enum EinsumProduct {
  static func of(_ call: FunctionCall, _ text: String, _ values: [ValueID]) throws -> ValueID {
    let plain = text.filter { $0 != " " }
    let wrong = call.wrong("the equation \(KilnError.quoted(text)) does not fit its \(values.count) operands")
    guard plain.utf8.count <= 256, !values.isEmpty, values.count <= 8 else { throw wrong }
    let sides = plain.replacingArrow.split(separator: ">", omittingEmptySubsequences: false).map(String.init)
    guard sides.count <= 2, var parts = sides.first.map({ $0.split(separator: ",", omittingEmptySubsequences: false).map { Array($0) } }),
      parts.count == values.count
    else { throw wrong }
    // An ellipsis becomes labels of its own: digits, aligned at the last one.
    let dots: [Character] = [".", ".", "."]
    let open = try zip(parts, values).map { part, value -> Int in
      guard part.contains(".") else {
        guard part.count == call.rank(value) else { throw wrong }
        return 0
      }
      let count = call.rank(value) - (part.count - 3)
      guard (0...9).contains(count) else { throw wrong }
      return count
    }
    let widest = open.max() ?? 0
    func filled(_ part: [Character], _ count: Int) throws -> [Character] {
      guard let start = part.firstIndex(of: ".") else { return part }
      guard part.count >= start + 3, Array(part[start..<start + 3]) == dots else { throw wrong }
      let digits = (widest - count..<widest).map { Character("\($0)") }
      return Array(part[..<start]) + digits + part[(start + 3)...]
    }
    for index in parts.indices { parts[index] = try filled(parts[index], open[index]) }
    let all = parts.flatMap { $0 }
    guard all.allSatisfy({ $0.isLetter || $0.isNumber }) else { throw wrong }
    var result: [Character]
    if sides.count == 2 {
      result = try filled(Array(sides[1]), widest)
    } else {
      // Without a result: the ellipsis, then the labels that occur once, in order.
      let once = Set(all.filter { label in !label.isNumber && all.count { $0 == label } == 1 })
      result = (0..<widest).map { Character("\($0)") } + once.sorted()
    }
    guard Set(result).count == result.count, result.allSatisfy(all.contains) else { throw wrong }
    guard call.dtype(of: values[0]).isFloat else { throw call.unsupported("the product of integers") }
    var (left, value) = try diagonals(call, parts[0], values[0])
    for index in 1..<max(parts.count, 1) {
      let (right, other) = try diagonals(call, parts[index], values[index])
      // Labels that only the operands so far have, and nothing later, are summed by the product.
      let later = Set(parts[(index + 1)...].flatMap { $0 } + result)
      let kept = (left + right.filter { !left.contains($0) }).filter(later.contains)
      let target = index == parts.count - 1 ? result : kept
      value = try product(call, left, right, target, value, other)
      left = target
    }
    return try arranged(call, left, result, value)
  }

  private static func product(
    _ call: FunctionCall, _ left: [Character], _ right: [Character], _ result: [Character], _ a: ValueID, _ b: ValueID
  ) throws -> ValueID {
    // A shared label may have length 1 in one operand: the ellipsis broadcasts.
    var (x, y) = (a, b)
    for label in left where right.contains(label) && label.isNumber {
      guard let i = left.firstIndex(of: label), let j = right.firstIndex(of: label) else { continue }
      let (m, n) = (call.dims(of: x)[i], call.dims(of: y)[j])
      if m == 1, n != 1 {
        var dims = call.dims(of: x)
        dims[i] = n
        x = try call.broadcast(x, dims)
      } else if n == 1, m != 1 {
        var dims = call.dims(of: y)
        dims[j] = m
        y = try call.broadcast(y, dims)
      }
    }
    return try call.layer.einsum(EinsumEquation(left: left, right: right, result: result), x, y)
  }

  /// An operand with each label once.
  private static func diagonals(
    _ call: FunctionCall, _ labels: [Character], _ value: ValueID
  ) throws -> ([Character], ValueID) {
    var (labels, value) = (labels, value)
    while let second = labels.indices.first(where: { labels[..<$0].contains(labels[$0]) }),
      let first = labels.firstIndex(of: labels[second])
    {
      let length = try call.length(value, first)
      guard try call.length(value, second) == length else { throw call.wrong("axes of one label differ") }
      let others = labels.indices.filter { $0 != first && $0 != second }
      let moved = try call.layer.transpose(value, others + [first, second])
      value = try FunctionCatalog.diagonal(call, moved)
      labels = others.map { labels[$0] } + [labels[first]]
    }
    return (labels, value)
  }

  /// Labels that the result lacks are summed, the others put in order.
  private static func arranged(
    _ call: FunctionCall, _ labels: [Character], _ result: [Character], _ value: ValueID
  ) throws -> ValueID {
    let gone = labels.indices.filter { !result.contains(labels[$0]) }
    let kept = labels.filter(result.contains)
    let sum = gone.isEmpty ? value : try call.reduce(.sum, value, gone, false)
    return try call.layer.transpose(sum, result.compactMap { kept.firstIndex(of: $0) })
  }
}

extension String {
  /// `a->b` as `a>b`, without a dot of an ellipsis lost.
  fileprivate var replacingArrow: String { split(separator: "-", omittingEmptySubsequences: false).joined() }
}
