import CKernels
import GraphModule
import TensorModule

extension Conv {
  /// The band's step; this convolution is its last node.
  func lower(_ node: NodeLowering, _ band: Band<Node>) throws -> Bool {
    guard let params = kiln_band_params(band, shape: node.shape(of:), node.options),
      let depthwise = band.depthwise.op as? Conv
    else { throw KilnError(.internal, "bands of rows without known shapes") }
    var operands = [StepOperand](repeating: .absent, count: 4)
    var labels = ["depthwise"]
    var parts: [String] = []
    if let front = band.front, let op = front.op as? Conv, let weights = node.constant(front.inputs[1]) {
      let packed: StepOperand
      if params.front == Int32(KILN_FRONT_PRODUCT.rawValue) {
        packed = try node.packedProduct(weights, rowStride: Int(params.product.n), columnStride: 1, n: params.product.n, k: params.product.k)
        labels.insert("gemm", at: 0)
        parts.append("the \(params.product.reason("product", parts: 1)) in front")
      } else {
        packed = try node.packedConvolution(weights, params.conv)
        labels.insert("conv/direct", at: 0)
        parts.append("the \(params.conv.kernel_h)x\(params.conv.kernel_w) convolution in front")
      }
      operands = [node.operand(front.inputs[0]), packed] + node.operands(of: front, op.epilogue)
    } else {
      operands[0] = node.operand(band.depthwise.inputs[0])
    }
    let count = withUnsafePointer(to: params) { kiln_band_parts($0, node.threads) }
    operands.append(node.temporary(byteCount: withUnsafePointer(to: params) { kiln_band_scratch_bytes($0, count) }))
    operands += [node.operand(band.depthwise.inputs[1])] + node.operands(of: band.depthwise, depthwise.epilogue)
    if let projection = band.projection, let op = projection.op as? Conv, let weights = node.constant(projection.inputs[1]) {
      let (n, k) = (params.projection.n, params.projection.k)
      operands += [try node.packedProduct(weights, rowStride: Int(n), columnStride: 1, n: n, k: k)] + node.operands(of: projection, op.epilogue)
      labels.append("gemm")
      parts.append("the \(params.projection.reason("product", parts: 1)) behind")
    } else {
      operands += [.absent, .absent, .absent]
    }
    node.allowResidualInPlace(epilogue)
    node.because(parts.joined(separator: ", ") + ", and the depthwise convolution in turns, by bands of rows that stay in cache")
    try node.step(kiln_band_f32, labels.joined(separator: " + "), copying: params, operands + [node.output()], parts: count)
    return true
  }
}

extension NodeLowering {
  /// Bias and residual of a node of a band, each absent where there is none.
  fileprivate func operands(of other: Node, _ epilogue: Epilogue) -> [StepOperand] {
    [epilogue.biasIndex(), epilogue.residualIndex()].map { $0.map { operand(other.inputs[$0]) } ?? .absent }
  }

  /// Weights of a direct convolution.
  fileprivate func packedConvolution(_ weights: Tensor, _ params: kiln_conv_params) throws -> StepOperand {
    try packed(weights, layout: "conv", key: params.layoutKey, byteCount: withUnsafePointer(to: params) { kiln_conv_packed_bytes($0) }) { out in
      withUnsafePointer(to: params) {
        kiln_conv_pack($0, weights.address.assumingMemoryBound(to: Float.self), out.assumingMemoryBound(to: Float.self))
      }
    }
  }
}

extension kiln_band_params {
  /// Nil where a node has not the form of its part.
  init?(_ band: Band<Node>, shape: (ValueID) -> Shape?, _ options: PlanOptions) {
    self.init()
    func window(_ node: Node, _ op: Conv) -> SpatialWindow? {
      guard let input = shape(node.inputs[0]), let kernel = shape(node.inputs[1]), let output = shape(node.outputs[0]) else { return nil }
      return SpatialWindow(
        input: input, output: output, kernel: Array(kernel.dropLast(2)), strides: op.strides, dilations: op.dilations, padding: op.padding)
    }
    func product(_ node: Node, _ op: Conv) -> kiln_gemm_params? {
      guard let input = shape(node.inputs[0]), let kernel = shape(node.inputs[1]), let output = shape(node.outputs[0]),
        op.isPointwise(input, kernel, output)
      else { return nil }
      var params = op.pointwiseParams(kernel, output)
      (params.lda, params.ldc, params.ldr) = (params.k, params.n, params.n)
      return params
    }
    guard let op = band.depthwise.op as? Conv, op.groups > 1, let kernel = shape(band.depthwise.inputs[1]), kernel[kernel.count - 2] == 1,
      let own = window(band.depthwise, op)
    else { return nil }
    depthwise = kiln_depthwise_params(own, op.epilogue.activation)
    if let node = band.front {
      guard let op = node.op as? Conv else { return nil }
      if let params = product(node, op) {
        (front, self.product) = (Int32(KILN_FRONT_PRODUCT.rawValue), params)
      } else {
        guard op.groups == 1, let own = window(node, op) else { return nil }
        (front, conv) = (Int32(KILN_FRONT_CONV.rawValue), kiln_conv_params(own, groups: 1, activation: op.epilogue.activation))
        kiln_conv_choose(&conv, Int32(clamping: options.threads), options.exact)
        guard conv.algorithm == Int32(KILN_CONV_DIRECT.rawValue) else { return nil }
      }
    }
    if let node = band.projection {
      guard let op = node.op as? Conv, let params = product(node, op) else { return nil }
      projection = params
    }
  }
}

extension Graph {
  /// Depthwise convolutions with a convolution in front or a product of pixels behind whose results nothing else reads, large enough that
  /// they had better not be written to memory: by their last nodes.
  ///
  /// - Parameters:
  ///   - readers, makers: of each value, by its index.
  ///   - prologues: of products, which stay as they are.
  func bands(_ options: PlanOptions, _ readers: [[Int]], _ makers: [Int?], _ prologues: Prologues) -> [Int: Band<Int>] {
    let threads = Int32(clamping: options.threads)
    var found: [Int: Band<Int>] = [:]
    // Whether the only reader of the value is that node, which reads it once (readers count every operand), as its first operand.
    func isLink(_ value: ValueID, to index: Int) -> Bool {
      readers[value.index] == [index] && nodes[index].inputs.first == value
    }
    func isPacked(_ index: Int) -> Bool {
      nodes[index].op is Conv && prologues.byReader[index] == nil && !prologues.absorbed.contains(index)
        && isProductWorthPrologue(nodes[index], rows: .max, options)
    }
    for (index, node) in nodes.enumerated() {
      guard let conv = node.op as? Conv, conv.groups > 1, (node.inputs + node.outputs).allSatisfy({ type(of: $0).dtype == .float32 })
      else { continue }
      func params(_ band: Band<Int>) -> kiln_band_params? {
        kiln_band_params(band.map { nodes[$0] }, shape: { type(of: $0).shape }, options)
      }
      var band = Band(front: nil, depthwise: index, projection: nil)
      if let maker = makers[node.inputs[0].index], isLink(node.inputs[0], to: index), isPacked(maker), found[maker] == nil {
        band.front = maker
        if !(params(band).map { withUnsafePointer(to: $0) { kiln_band_front_worth($0, threads) } } ?? false) { band.front = nil }
      }
      if let reader = readers[node.outputs[0].index].first, nodes.indices.contains(reader), isLink(node.outputs[0], to: reader), isPacked(reader) {
        band.projection = reader
        if !(params(band).map { withUnsafePointer(to: $0) { kiln_band_projection_worth($0, threads) } } ?? false) { band.projection = nil }
      }
      if band.front != nil || band.projection != nil { found[band.projection ?? index] = band }
    }
    return found
  }
}
