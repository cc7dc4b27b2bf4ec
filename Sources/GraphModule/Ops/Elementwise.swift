import TensorModule

/// A scalar function applied to each element of its operands, which broadcast as in NumPy.
package struct Elementwise: OpDefinition {
  package static let name = "elementwise"
  package static let summary =
    "function(x), function(x, y) or function(x, y, z) for each element; operands broadcast and have one dtype (`select`: bool, then two alike)"

  package var function: ScalarFunction
  package var parameters: [Double]

  package init(_ function: ScalarFunction, _ parameters: [Double] = []) {
    self.function = function
    self.parameters = parameters
  }

  package init(_ activation: Activation) { self.init(activation.function, activation.parameters) }

  package var attributes: Attributes {
    [("function", .word(function.rawValue))] + (parameters.isEmpty ? [] : [("parameters", .floats(parameters))])
  }

  package init(from reader: inout AttributeReader) throws {
    function = try reader.choice("function")
    parameters = function.parameterCount > 0 ? try reader.floats("parameters") : []
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, function.arity...function.arity, function.rawValue)
    try Expect.that(parameters.count == function.parameterCount, function.rawValue, "takes \(function.parameterCount) parameters")
    let dtype = try Self.resultType(function, inputs.map(\.dtype))
    return [TensorType(dtype, try Broadcast.dims(inputs.map(\.dims), function.rawValue))]
  }

  /// The dtype of the result, when the function takes operands of these dtypes.
  package static func resultType(_ function: ScalarFunction, _ dtypes: [DType]) throws -> DType {
    var operands = dtypes
    if function == .select {
      try Expect.that(operands.removeFirst() == .bool, function.rawValue, "the condition must be bool")
    }
    let dtype = operands[0]
    try Expect.that(
      operands.allSatisfy { $0 == dtype }, function.rawValue,
      "operands must have one dtype, found \(operands.map(\.name).joined(separator: " and "))")
    let fits =
      switch dtype {
      case .bool:
        function.isLogical || [.equal, .notEqual, .select, .identity, .max, .min].contains(function)
      case .string: [.equal, .notEqual, .select, .identity].contains(function)
      case let dtype where dtype.isFloat: !function.isLogical && !function.isBitwise
      default: function.acceptsIntegers
      }
    try Expect.that(fits, function.rawValue, "is not defined for \(dtype.name)")
    return function.isPredicate ? .bool : dtype
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let type = outputs[0]
    guard let shape = type.shape else { throw KilnError(.internal, "elementwise without a shape") }
    return [try Self.apply(function, parameters, inputs.map { $0.broadcast(to: shape) }, dtype: type.dtype, shape: shape)]
  }

  /// The function over operands of one shape.
  package static func apply(
    _ function: ScalarFunction, _ p: [Double], _ inputs: [ReferenceTensor], dtype: DType, shape: Shape
  ) throws -> ReferenceTensor {
    let count = shape.elementCount
    let compared = function == .select ? inputs[1].dtype : inputs[0].dtype
    if compared == .string {
      let texts = inputs.map { if case .strings(let values) = $0.storage { values } else { [ByteString]() } }
      switch function {
      case .equal: return ReferenceTensor(dtype, shape, .integers(zip(texts[0], texts[1]).map { $0 == $1 ? 1 : 0 }))
      case .notEqual: return ReferenceTensor(dtype, shape, .integers(zip(texts[0], texts[1]).map { $0 != $1 ? 1 : 0 }))
      case .select:
        let condition = inputs[0].integers
        return ReferenceTensor(dtype, shape, .strings((0..<count).map { condition[$0] != 0 ? texts[1][$0] : texts[2][$0] }))
      default: return inputs[0]
      }
    }
    if compared.isFloat {
      let operands = inputs.map(\.numbers)
      let values = (0..<count).map { i in
        function.evaluate(
          operands[0][i], operands.count > 1 ? operands[1][i] : 0, operands.count > 2 ? operands[2][i] : 0, p)
      }
      return dtype.isFloat
        ? ReferenceTensor(dtype, shape, .floats(values)) : ReferenceTensor(dtype, shape, numbers: values)
    }
    let operands = inputs.map(\.integers)
    let values = try (0..<count).map { i in
      guard
        let value = function.evaluate(
          operands[0][i], operands.count > 1 ? operands[1][i] : 0, operands.count > 2 ? operands[2][i] : 0, p)
      else { throw KilnError(.internal, "'\(function.rawValue)' is not defined for integers") }
      return value
    }
    return try ReferenceTensor(Tensor(integers: values, dtype: dtype, shape: shape))
  }

  package static var examples: [OpExample] {
    ScalarFunction.allCases.flatMap { function -> [OpExample] in
      let defaults: [ScalarFunction: [Double]] = [
        .clip: [-0.5, 1.5], .hardSigmoid: [0.2, 0.5], .threshold: [0.3, -2], .affine: [2, -1], .generalRelu: [0.1, 0.2, 1.5],
      ]
      let parameters = defaults[function] ?? [Double](repeating: 0.7, count: function.parameterCount)
      let op = Elementwise(function, parameters)
      let dtype: DType = function.isLogical ? .bool : function.isBitwise ? .int32 : .float32
      var shapes: [[[Dim]]] = [[[7]], [[]], [[0, 3]], [[2, 3, 33]]]
      if function.arity > 1 { shapes = shapes.map { $0 + [$0[0]] } + [[[2, 3, 5], [5]], [[4, 1, 3], [2, 1]], [[], [17]]] }
      // Long rows, of which each operand repeats another part.
      if function == .mul { shapes.append([[2, 1, 300], [2, 3, 1]]) }
      return shapes.map { dims in
        var inputs = dims.map { TensorType(dtype, $0) }
        if function == .select { inputs.insert(TensorType(.bool, dims[0]), at: 0) }
        let range: ClosedRange<Double>? =
          switch function {
          case .shiftLeft, .shiftRight: 0...20
          case .erfinv: -0.99...0.99
          case .lgamma, .digamma: 0.1...9
          default: function.isLogical ? 0...1 : function.isBitwise ? -40...40 : nil
          }
        return OpExample(op, inputs, range: range)
      }
    }
  }
}
