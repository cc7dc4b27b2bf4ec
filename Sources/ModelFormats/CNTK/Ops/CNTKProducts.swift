import GraphModule
import TensorModule

extension CNTKOpCatalog {
  static let products = Family(
    "Products",
    [
      Row("Times") { try [$0.product(transposed: false)] },
      Row("TransposeTimes") { try [$0.product(transposed: true)] },
    ])
}

extension CNTKCall {
  /// `Times(A, B)` of the file, columns first, is B · A in NumPy's order: A [inner..., outer...], B [rows..., inner...]. With `transposed`, A
  /// is [outer..., inner...].
  func product(transposed: Bool) throws -> CNTKValue {
    guard inputs.count == 2 else { throw wrong("takes 2 inputs, found \(inputs.count)") }
    let (a, b) = (inputs[0], inputs[1])
    let outerRank = try int("outputRank", 1)
    let rank = a.shape.count
    guard outerRank >= 0, outerRank <= rank else { throw wrong("an output rank of \(outerRank) does not fit \(rank) axes") }
    // A vector that is transposed is one row: all of it is inner.
    let isRow = transposed && rank == 1 && outerRank == 1
    let innerRank = isRow ? 1 : rank - outerRank
    guard innerRank <= b.shape.count else { throw wrong("\(a.value.type.message) and \(b.value.type.message) do not fit") }
    let outer = isRow ? [1] : transposed ? Array(a.shape.prefix(outerRank)) : Array(a.shape.suffix(outerRank))
    let inner = transposed ? Array(a.shape.suffix(innerRank)) : Array(a.shape.prefix(innerRank))
    let rows = Array(b.shape.dropLast(innerRank))
    guard zip(inner, b.shape.suffix(innerRank)).allSatisfy({ $0 == $1 || $0.fixed == nil || $1.fixed == nil }) else {
      throw wrong("the inner lengths of \(a.value.type.message) and \(b.value.type.message) differ")
    }
    func count(_ dims: [Dim]) -> Dim { dims.reduce(Dim(1)) { $0 * $1 } }
    let (left, right) = (try x(1), try x(0))
    let axes = try common(inputs)
    if a.axes.count == 0 {
      // One matrix for all samples.
      let dynamic = Array(b.value.type.dims.prefix(b.axes.count))
      let lead = dynamic + rows
      let flat = try reshape(left, (lead.count > 1 || lead.isEmpty ? [count(lead)] : lead) + [count(inner)])
      let matrix = try reshape(right, transposed ? [count(outer), count(inner)] : [count(inner), count(outer)])
      let product = try add(MatMul(transposeB: transposed), [flat, matrix], "matmul")
      return result(try reshape(product, lead + outer), axes)
    }
    func lead(_ value: CNTKValue) -> [Dim] {
      let own = value.value.type.dims
      var dims: [Dim] = []
      if axes.hasBatch { dims.append(value.axes.hasBatch ? own[0] : 1) }
      if axes.sequence != nil { dims.append(value.axes.sequence != nil ? own[value.axes.hasBatch ? 1 : 0] : 1) }
      return dims
    }
    let flat = try reshape(left, lead(b) + [count(rows), count(inner)])
    let matrix = try reshape(right, lead(a) + (transposed ? [count(outer), count(inner)] : [count(inner), count(outer)]))
    let product = try add(MatMul(transposeB: transposed), [flat, matrix], "matmul")
    return result(try reshape(product, Array(type(product).dims.prefix(axes.count)) + rows + outer), axes)
  }
}
