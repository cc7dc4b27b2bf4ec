import TensorModule

/// An op whose results' sizes depend on what its operands hold: `nonzero`, `dynamic_reshape`.
///
/// It declares its results' dims in its attributes. A dim that is a symbol which nothing before it has bound is a *data
/// size*: it gets its value when the node has run, and everything after it may use it as any other symbol. All other
/// dims are promises that are checked.
package protocol DataDependentOp: SymbolicAttributes {
  /// The results with the sizes that they turn out to have.
  func results(_ inputs: [ReferenceTensor]) throws -> [ReferenceTensor]
}

extension DataDependentOp {
  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let results = try results(inputs)
    for (result, type) in zip(results, outputs) where type.shape != result.shape {
      throw KilnError(
        .badInput, "op '\(opName)': a result was declared \(type.message) and is \(result.dtype.name)\(result.shape.shapeText)")
    }
    return results
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int { 0 }

  /// The symbols in the attributes' dims.
  package var sizeSymbols: Set<String> {
    Set(attributes.flatMap { $0.value.dimSymbols })
  }

  /// Runs the node, and binds the data sizes that it finds.
  ///
  /// - Parameter bindings: what the symbols are that are known; grows by those of this node.
  package func run(_ inputs: [ReferenceTensor], _ bindings: inout [String: Int]) throws -> [ReferenceTensor] {
    let op = substituting(bindings)
    let declared = try op.infer(inputs.map { TensorType($0.dtype, shape: $0.shape) })
    let results = try op.results(inputs)
    guard results.count == declared.count else { throw KilnError(.internal, "op '\(opName)' made \(results.count) results") }
    for (result, type) in zip(results, declared) {
      let mismatch = KilnError(
        .badInput, "op '\(opName)': a result was declared \(type.message) and is \(result.dtype.name)\(result.shape.shapeText)")
      guard result.dtype == type.dtype, result.shape.count == type.rank else { throw mismatch }
      for (dim, length) in zip(type.dims, result.shape) {
        if let symbol = dim.plainSymbol, bindings[symbol] == nil { bindings[symbol] = length }
        guard dim.substituting(bindings).fixed == length else { throw mismatch }
      }
    }
    return results
  }
}

/// A data-dependent op whose only attribute is the shape that its result is declared to have.
package protocol DeclaredShapeOp: DataDependentOp {
  /// The result's dims.
  var dims: [Dim] { get }
  init(_ dims: [Dim])
}

extension DeclaredShapeOp {
  package var attributes: Attributes { [("dims", .dims(dims))] }

  package init(from reader: inout AttributeReader) throws { self.init(try reader.dims("dims")) }

  package func substituting(_ bindings: [String: Int]) -> Self { Self(dims.map { $0.substituting(bindings) }) }
}

extension AttributeValue {
  /// Every symbol in dims, however deep in lists; not in graphs, whose symbols are their own.
  package var dimSymbols: [String] {
    switch self {
    case .dims(let dims): dims.flatMap(\.symbols)
    case .list(let items): items.flatMap(\.dimSymbols)
    default: []
    }
  }
}

extension Graph {
  /// The data sizes that each node binds, by its index.
  package func dataSizes() -> [Int: Set<String>] {
    var known = Set(symbols)
    var found: [Int: Set<String>] = [:]
    for (index, node) in nodes.enumerated() {
      guard let op = node.op as? any DataDependentOp else { continue }
      let new = op.sizeSymbols.subtracting(known)
      if new.isEmpty { continue }
      found[index] = new
      known.formUnion(new)
    }
    return found
  }

  /// Whether a node may find data sizes, so that it matters even when nothing reads its results.
  package func mayFindSizes(_ node: Node) -> Bool {
    guard let op = node.op as? any DataDependentOp else { return false }
    return !op.sizeSymbols.isSubset(of: symbols)
  }

  /// Whether some sizes are known only when the graph has run in part.
  package var hasDataSizes: Bool { nodes.contains { $0.op is any DataDependentOp } && !dataSizes().isEmpty }
}

/// Helpers for ops that take sizes and positions as operands.
enum SizeOperand {
  /// Throws unless the operand is a vector of integers, of `count` elements where that is given.
  static func vector(_ type: TensorType, _ count: Int?, _ op: String, _ what: String) throws {
    try Expect.that(type.dtype.isInteger && type.rank == 1, op, "\(what) must be a vector of integers, found \(type.message)")
    if let count { try Expect.equal(type.dims[0], Dim(count), op, "the length of \(what) and the rank") }
  }

  static func scalar(_ type: TensorType, _ op: String, _ what: String) throws {
    try Expect.that(type.dtype.isInteger && type.rank == 0, op, "\(what) must be a scalar integer, found \(type.message)")
  }

  /// Sizes that come from data, checked: not negative, and a number of elements that memory can hold.
  ///
  /// - Parameter most: the most elements there may be; an op that makes them from less needs a lower limit.
  static func shape(_ sizes: [Int64], _ op: String, most: Int = mostMade) throws -> Shape {
    let shape = sizes.map { Int($0) }
    // Without the axes that have no length, whose lengths go on to other ops.
    guard shape.count <= maximumRank, shape.allSatisfy({ $0 >= 0 }), let count = checkedProduct(shape.filter { $0 > 0 }), count <= most else {
      throw KilnError(.badInput, "op '\(op)': the sizes \(shape.shapeText) are not those of a tensor")
    }
    return shape
  }

  /// Elements that an op may make out of a few.
  static let mostMade = 1 << 28

  /// Declared dims, which attributes may give without a sign only.
  static func declared(_ dims: [Dim], _ op: String) throws {
    try Expect.that(
      dims.count <= maximumRank && dims.allSatisfy { ($0.fixed ?? 0) >= 0 }, op,
      "dims must not be negative, found \(TensorType(.float32, dims).message)")
  }
}
