import GraphModule
import TensorModule

/// A value of a graph with operators, so that formulas read as formulas.
struct GraphTerm {
  let id: ValueID
  let writer: GraphWriter

  private func with(_ id: ValueID) -> GraphTerm { GraphTerm(id: id, writer: writer) }

  func unary(_ function: ScalarFunction, _ parameters: Double...) throws -> GraphTerm {
    with(try writer.add(Elementwise(function, parameters), [id]))
  }

  func binary(_ function: ScalarFunction, _ other: GraphTerm) throws -> GraphTerm { with(try writer.binary(function, id, other.id)) }

  func binary(_ function: ScalarFunction, _ number: Float) throws -> GraphTerm { with(try writer.binary(function, id, Double(number))) }

  /// As the condition.
  func select(_ a: GraphTerm, _ b: GraphTerm) throws -> GraphTerm { with(try writer.select(id, a.id, b.id)) }

  func reduced(_ kind: Reduce.Kind, axes: [Int]? = nil, keepDims: Bool = false) throws -> GraphTerm {
    with(try writer.reduce(kind, id, axes: axes, keepDims: keepDims))
  }

  func reshaped(_ shape: Shape) throws -> GraphTerm { with(try writer.reshape(id, shape)) }

  func constant(_ value: Float) throws -> GraphTerm { with(try writer.scalar(Double(value))) }

  func root() throws -> GraphTerm { try unary(.sqrt) }
  func squared() throws -> GraphTerm { try unary(.square) }
  /// √Σx².
  func length() throws -> GraphTerm { try squared().reduced(.sum).root() }

  static func + (a: GraphTerm, b: GraphTerm) throws -> GraphTerm { try a.binary(.add, b) }
  static func + (a: GraphTerm, b: Float) throws -> GraphTerm { try a.binary(.add, b) }
  static func - (a: GraphTerm, b: GraphTerm) throws -> GraphTerm { try a.binary(.sub, b) }
  static func - (a: Float, b: GraphTerm) throws -> GraphTerm { try b.unary(.affine, -1, Double(a)) }
  static func * (a: GraphTerm, b: GraphTerm) throws -> GraphTerm { try a.binary(.mul, b) }
  static func * (a: GraphTerm, b: Float) throws -> GraphTerm { try a.binary(.mul, b) }
  static func / (a: GraphTerm, b: GraphTerm) throws -> GraphTerm { try a.binary(.div, b) }
  static func / (a: GraphTerm, b: Float) throws -> GraphTerm { try a.binary(.div, try a.constant(b)) }
  static func > (a: GraphTerm, b: GraphTerm) throws -> GraphTerm { try a.binary(.greater, b) }
  static func > (a: GraphTerm, b: Float) throws -> GraphTerm { try a.binary(.greater, b) }
}
