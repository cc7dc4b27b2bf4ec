import GraphModule
import TensorModule

/// Adds expressions to the graph of a step. All shapes are numbers.
struct GraphWriter {
  let tape: GradientTape
  var scope: String

  func type(_ value: ValueID) -> TensorType { tape.graph.type(of: value) }

  func shape(_ value: ValueID) throws -> Shape {
    guard let shape = type(value).shape else {
      throw KilnError(.unsupportedModel, "the shape of \(KilnError.quoted(tape.graph[value].name)) depends on the data")
    }
    return shape
  }

  func add(_ op: any OpDefinition, _ operands: [ValueID]) throws -> ValueID { try tape.add(op, operands, scope) }

  func unary(_ function: ScalarFunction, _ x: ValueID, _ parameters: Double...) throws -> ValueID {
    try add(Elementwise(function, parameters), [x])
  }

  func binary(_ function: ScalarFunction, _ a: ValueID, _ b: ValueID) throws -> ValueID { try add(Elementwise(function), [a, b]) }

  func binary(_ function: ScalarFunction, _ a: ValueID, _ b: Double) throws -> ValueID {
    try binary(function, a, try scalar(b, type(a).dtype))
  }

  func affine(_ x: ValueID, _ factor: Double, _ offset: Double = 0) throws -> ValueID {
    factor == 1 && offset == 0 ? x : try unary(.affine, x, factor, offset)
  }

  func scalar(_ value: Double, _ dtype: DType = .float32) throws -> ValueID { try tape.scalar(value, dtype) }

  func select(_ condition: ValueID, _ a: ValueID, _ b: ValueID) throws -> ValueID {
    try add(Elementwise(.select), [condition, a, b])
  }

  func reduce(_ kind: Reduce.Kind, _ x: ValueID, axes: [Int]? = nil, keepDims: Bool = false) throws -> ValueID {
    let axes = axes ?? Array(0..<type(x).rank)
    return try add(Reduce(kind, axes: axes, keepDims: keepDims), [x])
  }

  func reshape(_ x: ValueID, _ shape: Shape) throws -> ValueID {
    try self.shape(x) == shape ? x : try add(Reshape(shape.map { Dim($0) }), [x])
  }

  func cast(_ x: ValueID, _ dtype: DType) throws -> ValueID { type(x).dtype == dtype ? x : try add(Cast(dtype), [x]) }

  func clip(_ x: ValueID, _ low: Double, _ high: Double) throws -> ValueID {
    // Both bounds as `min` and `max`, which have a slope where they are met as TensorFlow's have.
    try unary(.clip, x, low, high)
  }
}
