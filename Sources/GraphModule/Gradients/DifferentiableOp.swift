import TensorModule

/// An op with a derivative: graph expressions over its operands, its results and their cotangents.
///
/// A cotangent of a value is the derivative of the loss by that value; it has the value's type. Ops that are not
/// differentiable do not conform; a gradient that would have to pass one is refused by the op's name.
package protocol DifferentiableOp: OpDefinition {
  /// Adds to the graph what the cotangents of the operands are, and hands them to `call`.
  ///
  /// - Throws: `KilnError` (`unsupportedModel`) for attributes that have no rule.
  func gradient(_ call: GradientCall) throws
}

/// A node whose derivative is being made: its values, and the means to add expressions.
///
/// Shapes are known: gradients are made of graphs that are specialized to the shapes they run with.
package final class GradientCall {
  package let inputs: [ValueID]
  package let outputs: [ValueID]
  /// The cotangents of the results; nil for those that the loss does not depend on.
  package let cotangents: [ValueID?]
  let scope: String
  private let isWanted: [Bool]
  private let tape: GradientTape
  /// What the rule found, by operand.
  private(set) var found: [ValueID?]

  init(_ node: Node, cotangents: [ValueID?], isWanted: [Bool], tape: GradientTape) {
    inputs = node.inputs
    outputs = node.outputs
    self.cotangents = cotangents
    self.isWanted = isWanted
    self.tape = tape
    scope = node.scope.isEmpty ? "gradient" : "gradient/\(node.scope)"
    found = node.inputs.map { _ in nil }
  }

  /// Whether the cotangent of an operand is of use.
  package func wants(_ input: Int?) -> Bool { input.map { isWanted[$0] } ?? false }

  /// Hands over the cotangent of an operand.
  package func give(_ input: Int, _ cotangent: ValueID) throws {
    let (wanted, got) = (type(inputs[input]), type(cotangent))
    guard wanted == got else {
      throw KilnError(.internal, "the cotangent of operand \(input) is \(got.message), the operand \(wanted.message)")
    }
    found[input] = cotangent
  }

  /// The cotangent of the first result, with zeros where there is none.
  package func cotangent(_ output: Int = 0) throws -> ValueID {
    if let given = cotangents[output] { return given }
    return try fill(0, type(outputs[output]))
  }

  // MARK: Types

  package func type(_ value: ValueID) -> TensorType { tape.graph.type(of: value) }

  /// The known shape of a value.
  package func shape(_ value: ValueID) throws -> Shape {
    guard let shape = type(value).shape else {
      throw KilnError(.internal, "a gradient is made of a graph with symbols: \(type(value).message)")
    }
    return shape
  }

  package func constant(_ value: ValueID) -> Tensor? { tape.graph.constants[value] }

  // MARK: Expressions

  package func add(_ op: any OpDefinition, _ operands: [ValueID]) throws -> ValueID {
    try tape.add(op, operands, scope)
  }

  package func addAll(_ op: any OpDefinition, _ operands: [ValueID]) throws -> [ValueID] {
    try tape.addAll(op, operands, scope)
  }

  package func unary(_ function: ScalarFunction, _ x: ValueID, _ parameters: Double...) throws -> ValueID {
    try add(Elementwise(function, parameters), [x])
  }

  package func binary(_ function: ScalarFunction, _ a: ValueID, _ b: ValueID) throws -> ValueID {
    try add(Elementwise(function), [a, b])
  }

  package func mul(_ a: ValueID, _ b: ValueID) throws -> ValueID { try binary(.mul, a, b) }

  /// factor · x + offset.
  package func affine(_ x: ValueID, _ factor: Double, _ offset: Double = 0) throws -> ValueID {
    factor == 1 && offset == 0 ? x : try unary(.affine, x, factor, offset)
  }

  /// condition ? a : b.
  package func select(_ condition: ValueID, _ a: ValueID, _ b: ValueID) throws -> ValueID {
    try add(Elementwise(.select), [condition, a, b])
  }

  /// A scalar constant of a value's dtype.
  package func scalar(_ number: Double, like value: ValueID) throws -> ValueID {
    try tape.scalar(number, type(value).dtype)
  }

  /// A comparison of a value with a number.
  package func compare(_ function: ScalarFunction, _ x: ValueID, _ number: Double) throws -> ValueID {
    try binary(function, x, try scalar(number, like: x))
  }

  /// dy where the condition holds, 0 elsewhere.
  package func gate(_ condition: ValueID, _ dy: ValueID) throws -> ValueID {
    try select(condition, dy, try scalar(0, like: dy))
  }

  package func fill(_ number: Double, _ type: TensorType) throws -> ValueID {
    try add(BroadcastTo(type.dims), [try tape.scalar(number, type.dtype)])
  }

  package func constant(_ tensor: Tensor) -> ValueID { tape.graph.addConstant("gradient/constant", tensor) }

  package func reshape(_ x: ValueID, _ shape: Shape) throws -> ValueID {
    try self.shape(x) == shape ? x : try add(Reshape(shape.map { Dim($0) }), [x])
  }

  package func transpose(_ x: ValueID, _ permutation: [Int]) throws -> ValueID {
    permutation == Array(permutation.indices) ? x : try add(Transpose(permutation), [x])
  }

  package func sum(_ x: ValueID, axes: [Int], keepDims: Bool = false) throws -> ValueID {
    axes.isEmpty ? x : try add(Reduce(.sum, axes: axes, keepDims: keepDims), [x])
  }

  package func broadcast(_ x: ValueID, to shape: Shape) throws -> ValueID {
    try self.shape(x) == shape ? x : try add(BroadcastTo(shape.map { Dim($0) }), [x])
  }

  package func reverse(_ x: ValueID, axes: [Int]) throws -> ValueID {
    axes.isEmpty ? x : try add(Reverse(axes: axes), [x])
  }

  /// The cotangent of a value of `shape` that was broadcast to what `x` is: the sum over the repeated axes.
  package func sum(_ x: ValueID, to shape: Shape) throws -> ValueID {
    let from = try self.shape(x)
    if from == shape { return x }
    let added = from.count - shape.count
    let axes = from.indices.filter { $0 < added || shape[$0 - added] == 1 && from[$0] != 1 }
    return try reshape(try sum(x, axes: axes), shape)
  }
}
