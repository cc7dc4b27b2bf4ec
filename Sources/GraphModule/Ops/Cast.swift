import TensorModule

/// The same values under another numeric dtype.
package struct Cast: OpDefinition {
  package static let name = "cast"
  package static let summary =
    "x as another dtype: floats to integers truncate toward zero and clamp, integers wrap, floats round to nearest even, bool is x ≠ 0"

  package var dtype: DType

  package init(_ dtype: DType) { self.dtype = dtype }

  package var attributes: Attributes { [("dtype", .word(dtype.name))] }

  package init(from reader: inout AttributeReader) throws { dtype = try reader.dtype("dtype") }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    try Expect.that(
      inputs[0].dtype != .string && dtype != .string, Self.name,
      "\(inputs[0].dtype.name) cannot become \(dtype.name)")
    return [inputs[0].with(dtype: dtype)]
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    let x = inputs[0]
    if x.dtype == dtype { return [x] }
    switch x.storage {
    case .floats(let values):
      if dtype == .bool { return [ReferenceTensor(dtype, x.shape, .integers(values.map { $0 != 0 ? 1 : 0 }))] }
      return [
        dtype.isFloat
          ? ReferenceTensor(dtype, x.shape, .floats(values.map(rounded)))
          : ReferenceTensor(dtype, x.shape, numbers: values)
      ]
    case .integers(let values):
      if !dtype.isFloat { return [try .wrapping(values, dtype, x.shape)] }
      return [
        ReferenceTensor(
          dtype, x.shape, .floats(values.map { dtype == .float32 ? Double(Float($0)) : rounded(Double($0)) }))
      ]
    case .strings: throw KilnError(.internal, "cast of strings")
    }
  }

  /// The value of the float dtype that is nearest.
  private func rounded(_ value: Double) -> Double {
    switch dtype {
    case .float32: Double(Float(value))
    case .float16: HalfPrecision.double(float16Bits: HalfPrecision.float16Bits(value))
    case .bfloat16: Double(HalfPrecision.float(bfloat16Bits: HalfPrecision.bfloat16Bits(Float(value))))
    default: value
    }
  }

  package static var examples: [OpExample] {
    let numeric = DType.allCases.filter { $0 != .string }
    var list = numeric.flatMap { from in
      numeric.map { to in
        OpExample(
          Cast(to), [TensorType(from, [17])], range: from == .bool ? 0...1 : from == .uint8 ? 0...200 : -100...100)
      }
    }
    list += [
      OpExample(Cast(.float32), [TensorType(.int32, [0, 3])], range: -9...9),
      OpExample(Cast(.int32), [TensorType(.float32, [])]),
      OpExample(Cast(.int8), [TensorType(.float32, [6])], fixed: [0: [-1.9, 1.9, -0.5, 127, -128, 0.99]]),
      OpExample(Cast(.uint8), [TensorType(.int32, [4])], fixed: [0: [256, -1, 511, 128]]),
      OpExample(Cast(.float16), [TensorType(.float32, [5])], fixed: [0: [2049, 65519, 1e-8, -0.1, 70000]]),
      OpExample(Cast(.bool), [TensorType(.float32, [4])], fixed: [0: [0, -0.0, 0.25, .nan]]),
    ]
    return list
  }
}
