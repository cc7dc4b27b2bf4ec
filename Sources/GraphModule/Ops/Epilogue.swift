import TensorModule

/// What a product or convolution does to its result before it is stored: activation(result + bias + residual).
///
/// Operands follow the weights in this order: bias `[channels]`, residual (the shape of the result).
package struct Epilogue: Hashable, Sendable {
  package var bias: Bool
  package var residual: Bool
  package var activation: Activation

  package init(bias: Bool = false, residual: Bool = false, activation: Activation = .identity) {
    self.bias = bias
    self.residual = residual
    self.activation = activation
  }

  package static let none = Epilogue()

  package var operandCount: Int { (bias ? 1 : 0) + (residual ? 1 : 0) }

  /// The operand index of the bias, when there is one; `first` is the index after the weights.
  package func biasIndex(_ first: Int = 2) -> Int? { bias ? first : nil }
  package func residualIndex(_ first: Int = 2) -> Int? { residual ? first + (bias ? 1 : 0) : nil }

  var attributes: Attributes {
    var list: Attributes = []
    if bias { list.append(("bias", .bool(true))) }
    if residual { list.append(("residual", .bool(true))) }
    if activation != .identity { list.append(("activation", activation.attribute)) }
    return list
  }

  init(from reader: inout AttributeReader, op: String) throws {
    func flag(_ name: String) throws -> Bool {
      guard let value = reader.optional(name) else { return false }
      guard case .bool(let flag) = value else {
        throw KilnError(.badInput, "op '\(op)': attribute '\(name)' must be true or false")
      }
      return flag
    }
    bias = try flag("bias")
    residual = try flag("residual")
    activation = try reader.optional("activation").map { try Activation(attribute: $0, op: op) } ?? .identity
  }

  /// Checks the operands after the weights against the result's type.
  func check(_ inputs: [TensorType], _ result: TensorType, _ op: String) throws {
    try Expect.count(inputs, (2 + operandCount)...(2 + operandCount), op)
    try activation.check(op)
    if let index = biasIndex() {
      try Expect.rank(inputs[index], 1...1, op, "bias")
      try Expect.equal(inputs[index].dims[0], result.dims.last ?? 1, op, "the bias and the result's channels")
      try Expect.that(
        inputs[index].dtype == result.dtype, op,
        "the bias is \(inputs[index].dtype.name), the result \(result.dtype.name)")
    }
    if let index = residualIndex() {
      try Expect.that(
        inputs[index].dtype == result.dtype && inputs[index].rank == result.rank, op,
        "the residual is \(inputs[index].message), the result \(result.message)")
      for (a, b) in zip(inputs[index].dims, result.dims) {
        try Expect.equal(a, b, op, "the residual's and the result's dims")
      }
    }
  }

  /// The epilogue in Double over a result whose last axis has `channels` elements.
  func apply(_ values: [Double], channels: Int, _ inputs: [ReferenceTensor]) -> [Double] {
    var out = values
    if let index = biasIndex() {
      let bias = inputs[index].numbers
      for i in out.indices { out[i] += bias[i % channels] }
    }
    if let index = residualIndex() {
      let residual = inputs[index].numbers
      for i in out.indices { out[i] += residual[i] }
    }
    if activation != .identity {
      for i in out.indices { out[i] = activation.function.evaluate(out[i], 0, 0, activation.parameters) }
    }
    return out
  }
}
