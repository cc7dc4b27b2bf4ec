import TensorModule

/// The product of matrices in the last two axes; leading axes broadcast.
package struct MatMul: OpDefinition {
  package static let name = "matmul"
  package static let summary =
    "activation(a · b + bias + residual): a [..., m, k], b [..., k, n], bias [n], residual and result [..., m, n]; `transpose_a`/`transpose_b` swap an operand's last two axes"

  package var transposeA: Bool
  package var transposeB: Bool
  package var epilogue: Epilogue

  package init(transposeA: Bool = false, transposeB: Bool = false, epilogue: Epilogue = .none) {
    self.transposeA = transposeA
    self.transposeB = transposeB
    self.epilogue = epilogue
  }

  package var attributes: Attributes {
    [("transpose_a", .bool(transposeA)), ("transpose_b", .bool(transposeB))] + epilogue.attributes
  }

  package init(from reader: inout AttributeReader) throws {
    transposeA = try reader.bool("transpose_a")
    transposeB = try reader.bool("transpose_b")
    epilogue = try Epilogue(from: &reader, op: Self.name)
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 2...4, Self.name)
    let (a, b) = (inputs[0], inputs[1])
    try Expect.rank(a, 2...maximumRank, Self.name, "the left operand")
    try Expect.rank(b, 2...maximumRank, Self.name, "the right operand")
    try Expect.float(a, Self.name, "the left operand")
    try Expect.that(a.dtype == b.dtype, Self.name, "operands must have one dtype, found \(a.message) and \(b.message)")
    let (m, k) = Self.lastTwo(a, transposed: transposeA)
    let (k2, n) = Self.lastTwo(b, transposed: transposeB)
    try Expect.equal(k, k2, Self.name, "the inner dims of \(a.message) and \(b.message)")
    let batch = try Broadcast.dims(Array(a.dims.dropLast(2)), Array(b.dims.dropLast(2)), Self.name)
    let result = TensorType(a.dtype, batch + [m, n])
    try epilogue.check(inputs, result, Self.name)
    return [result]
  }

  private static func lastTwo(_ type: TensorType, transposed: Bool) -> (Dim, Dim) {
    let (x, y) = (type.dims[type.rank - 2], type.dims[type.rank - 1])
    return transposed ? (y, x) : (x, y)
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] {
    guard let shape = outputs[0].shape else { throw KilnError(.internal, "matmul without a shape") }
    let (a, b) = (inputs[0], inputs[1])
    let (m, n) = (shape[shape.count - 2], shape[shape.count - 1])
    let k = a.shape[a.shape.count - (transposeA ? 2 : 1)]
    let batch = Array(shape.dropLast(2))
    let (batchA, batchB) = (Array(a.shape.dropLast(2)), Array(b.shape.dropLast(2)))
    let (rowA, stepA) = transposeA ? (1, m) : (k, 1)
    var values = [Double](repeating: 0, count: shape.elementCount)
    a.numbers.withUnsafeBufferPointer { left in
      b.numbers.withUnsafeBufferPointer { right in
        values.withUnsafeMutableBufferPointer { result in
          for index in 0..<batch.elementCount {
            let offsetA = ReferenceTensor.broadcastIndex(index, from: batchA, to: batch) * m * k
            let offsetB = ReferenceTensor.broadcastIndex(index, from: batchB, to: batch) * k * n
            for i in 0..<m {
              let row = (index * m + i) * n
              if transposeB {
                for j in 0..<n {
                  var sum = 0.0
                  for l in 0..<k { sum += left[offsetA + i * rowA + l * stepA] * right[offsetB + j * k + l] }
                  result[row + j] = sum
                }
              } else {
                for l in 0..<k {
                  let factor = left[offsetA + i * rowA + l * stepA]
                  for j in 0..<n { result[row + j] += factor * right[offsetB + l * n + j] }
                }
              }
            }
          }
        }
      }
    }
    return [ReferenceTensor(outputs[0].dtype, shape, .floats(epilogue.apply(values, channels: n, inputs)))]
  }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int {
    let k = inputs[0].dims[inputs[0].rank - (transposeA ? 2 : 1)]
    return (outputs[0].elementCount * k * 2).fixed ?? 0
  }

  package static var examples: [OpExample] {
    func f(_ dims: [Dim]) -> TensorType { TensorType(.float32, dims) }
    var list = [
      OpExample(MatMul(), [f([3, 5]), f([5, 7])]),
      OpExample(MatMul(), [f([1, 1]), f([1, 1])]),
      OpExample(MatMul(), [f([0, 4]), f([4, 3])]),
      OpExample(MatMul(), [f([2, 0]), f([0, 3])]),
      OpExample(MatMul(transposeA: true), [f([5, 17]), f([5, 49])]),
      OpExample(MatMul(transposeB: true), [f([1, 33]), f([65, 33])]),
      OpExample(MatMul(), [f([2, 3, 4, 5]), f([3, 5, 6])]),
      OpExample(MatMul(transposeA: true, transposeB: true), [f([2, 1, 5, 4]), f([1, 3, 6, 5])]),
    ]
    for activation in [Activation(.relu), Activation(.clip, [0, 6]), Activation(.sigmoid), Activation(.gelu)] {
      list.append(
        OpExample(
          MatMul(epilogue: Epilogue(bias: true, residual: true, activation: activation)),
          [f([9, 31]), f([31, 50]), f([50]), f([9, 50])]))
    }
    // Other dtypes, and batch axes that do not join.
    list += [
      OpExample(MatMul(), [f([2, 1, 3, 4, 2]), f([1, 5, 1, 2, 3])]),
      OpExample(
        MatMul(transposeB: true, epilogue: Epilogue(bias: true, residual: true, activation: Activation(.tanh))),
        [[2, 3, 4], [5, 4], [5], [2, 3, 5]].map { TensorType(.float64, shape: $0) }),
      OpExample(MatMul(transposeA: true), [TensorType(.float16, [4, 3]), TensorType(.float16, [2, 4, 6])]),
    ]
    return list
  }
}
