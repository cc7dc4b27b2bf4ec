import GraphModule
import TensorModule

extension ONNXOpCatalog {
  private static let microsoft = "com.microsoft"

  /// Fused ops that ONNX Runtime's optimizer writes.
  static let fused = Family(
    "Fused by ONNX Runtime (`com.microsoft`)",
    [
      Row("Gelu", microsoft) { [try $0.unary(.gelu, try $0.x(0))] },
      Row("FastGelu", microsoft) { call in
        let x = call.has(1) ? try call.binary(.add, try call.x(0), try call.x(1)) : try call.x(0)
        return [try call.unary(.geluTanh, x)]
      },
      Row("BiasGelu", microsoft) { [try $0.unary(.gelu, try $0.binary(.add, try $0.x(0), try $0.x(1)))] },
      Row("QuickGelu", microsoft) { [try swish($0, try $0.x(0), try $0.float("alpha", 1.702))] },
      Row("FusedMatMul", microsoft) { call in
        guard try !call.bool("transBatchA") && !call.bool("transBatchB") else { throw call.unsupported("transposed batches") }
        let op = MatMul(transposeA: try call.bool("transA"), transposeB: try call.bool("transB"))
        let product = try call.add(op, [try call.x(0), try call.x(1)], "matmul")
        let alpha = try call.float("alpha", 1)
        return [alpha == 1 ? product : try call.unary(.affine, product, [alpha, 0])]
      },
      Row("FusedConv", microsoft) { call in
        var y = try call.convolution(try call.x(0), try call.x(1), bias: call.has(2) ? try call.x(2) : nil)
        if call.has(3) { y = try call.binary(.add, y, try call.x(3)) }
        return [try activated(call, y)]
      },
      Row("FusedGemm", microsoft) { call in
        let op = MatMul(transposeA: try call.bool("transA"), transposeB: try call.bool("transB"))
        var y = try call.add(op, [try call.x(0), try call.x(1)], "matmul")
        let (alpha, beta) = (try call.float("alpha", 1), try call.float("beta", 1))
        if alpha != 1 { y = try call.unary(.affine, y, [alpha, 0]) }
        if call.has(2) { y = try call.binary(.add, y, beta == 1 ? try call.x(2) : try call.unary(.affine, try call.x(2), [beta, 0])) }
        return [try activated(call, y)]
      },
      Row("LayerNormalization", microsoft) { [try normalized($0, try $0.x(0), 1, 2)] },
      Row("SkipLayerNormalization", microsoft) { call in
        var sum = try call.binary(.add, try call.x(0), try call.x(1))
        if call.has(4) { sum = try call.binary(.add, sum, try call.x(4)) }
        let y = try normalized(call, sum, 2, 3)
        guard call.node.outputs.dropFirst().prefix(2).allSatisfy(\.isEmpty) else { throw call.unsupported("the mean as an output") }
        return [y, y, y, sum]
      },
    ])

  private static func normalized(_ call: ONNXCall, _ x: ValueID, _ gamma: Int, _ beta: Int) throws -> ValueID {
    let op = LayerNorm(axis: try call.int("axis", -1), epsilon: try call.float("epsilon", 1e-5), scale: true, offset: call.has(beta))
    return try call.add(op, [x, try call.x(gamma)] + (call.has(beta) ? [try call.x(beta)] : []), "layer_norm")
  }

  private static func activated(_ call: ONNXCall, _ x: ValueID) throws -> ValueID {
    let parameters = try call.floats("activation_params", [])
    switch try call.text("activation", "") {
    case "": return x
    case "Relu": return try call.unary(.relu, x)
    case "Sigmoid": return try call.unary(.sigmoid, x)
    case "Tanh": return try call.unary(.tanh, x)
    case "LeakyRelu": return try call.unary(.leakyRelu, x, [parameters.first ?? (try call.float("activation_alpha", 0.01))])
    case "Clip" where parameters.count == 2: return try call.unary(.clip, x, parameters)
    case let name: throw call.unsupported("the activation \(KilnError.quoted(name))")
    }
  }
}
