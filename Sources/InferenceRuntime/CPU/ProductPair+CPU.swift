import CKernels
import GraphModule
import TensorModule

/// A product of rows with constant weights on the right, as a matrix product or a convolution of one tap has it.
private struct ConstantProduct {
  var params: kiln_gemm_params
  var weights: Tensor
  var rowStride: Int
  var columnStride: Int
  var epilogue: Epilogue

  init?(_ node: Node, shape: (ValueID) -> Shape?, constant: (ValueID) -> Tensor?) {
    guard node.inputs.count >= 2, let input = shape(node.inputs[0]), let output = shape(node.outputs[0]),
      let weights = constant(node.inputs[1])
    else { return nil }
    switch node.op {
    case let op as Conv:
      guard op.isPointwise(input, weights.shape, output) else { return nil }
      (params, epilogue) = (op.pointwiseParams(weights.shape, output), op.epilogue)
      (rowStride, columnStride) = (Int(params.n), 1)
    case let op as MatMul:
      guard !op.transposeA, weights.shape.count >= 2, weights.shape.dropLast(2).allSatisfy({ $0 == 1 }) else { return nil }
      (params, epilogue) = (op.denseParams(weights.shape, output), op.epilogue)
      (rowStride, columnStride) = op.denseStrides(params)
    default: return nil
    }
    self.weights = weights
    (params.lda, params.ldc, params.ldr) = (params.k, params.n, params.n)
  }
}

extension NodeLowering {
  /// The product in front and this node's in turns, by blocks of rows.
  func lower(_ front: Node, _ epilogue: Epilogue) throws -> Bool {
    guard let first = ConstantProduct(front, shape: shape(of:), constant: constant),
      let second = ConstantProduct(node, shape: shape(of:), constant: constant)
    else { throw KilnError(.internal, "blocks of rows without known shapes") }
    func packed(_ product: ConstantProduct) throws -> StepOperand {
      try packedProduct(
        product.weights, rowStride: product.rowStride, columnStride: product.columnStride, n: product.params.n, k: product.params.k)
    }
    let params = kiln_gemm_pair_params(first: first.params, second: second.params)
    let parts = withUnsafePointer(to: params) { kiln_gemm_pair_parts($0, threads) }
    let operands =
      [operand(front.inputs[0]), try packed(first), first.epilogue.biasIndex().map { operand(front.inputs[$0]) } ?? .absent, try packed(second)]
      + epilogueOperands(epilogue)
    let scratch = temporary(byteCount: withUnsafePointer(to: params) { kiln_gemm_pair_scratch_bytes($0, parts) })
    because("the \(first.params.reason("product", parts: 1)) in front and it in turns, by blocks of rows that stay in cache")
    try step(kiln_gemm_pair_f32, "gemm + gemm", copying: params, operands + [scratch], parts: parts)
    allowResidualInPlace(epilogue)
    return true
  }
}

extension Graph {
  /// Products whose results only another product reads, and so large that they had better not be written to memory: by that.
  ///
  /// - Parameters:
  ///   - readers, makers: of each value, by its index.
  ///   - prologues: of products, and bands, which stay as they are.
  func productsInTurns(_ options: PlanOptions, _ readers: [[Int]], _ makers: [Int?], _ prologues: Prologues) -> [Int: Int] {
    var found: [Int: Int] = [:]
    let inBands = Set(prologues.bands.flatMap { [$0.key] + $0.value.leading })
    func product(_ index: Int) -> ConstantProduct? {
      guard prologues.byReader[index] == nil, !prologues.absorbed.contains(index), !inBands.contains(index), found[index] == nil,
        let product = ConstantProduct(nodes[index], shape: { type(of: $0).shape }, constant: { constants[$0] }),
        isProductWorthPrologue(nodes[index], rows: .max, options)
      else { return nil }
      return product
    }
    for (index, node) in nodes.enumerated() where node.op is MatMul || node.op is Conv {
      guard let value = node.inputs.first, readers[value.index] == [index],
        let maker = makers[value.index], let second = product(index), let first = product(maker),
        !first.epilogue.residual, first.params.m == second.params.m, first.params.n == second.params.k
      else { continue }
      let params = kiln_gemm_pair_params(first: first.params, second: second.params)
      if withUnsafePointer(to: params, { kiln_gemm_pair_worth($0, Int32(clamping: options.threads)) }) { found[index] = maker }
    }
    return found
  }
}
