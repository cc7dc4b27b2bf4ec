import CKernels
import GraphModule
import TensorModule

extension Conv {
  func lowerDepthwise(_ node: NodeLowering, _ window: kiln_depthwise_params) throws -> Bool {
    if let product = node.product, let op = product.op as? Conv { return try lower(node, behind: product, op, window) }
    var params = window
    node.because("one input channel a group: a vector of channels along a row")
    let parts = kiln_depthwise_parts(&params, node.threads)
    try node.step(
      kiln_depthwise_f32, "depthwise", copying: params, [node.input(0), node.input(1)] + node.epilogueOperands(epilogue),
      parts: parts)
    return true
  }

  /// The product of pixels that makes the operand, and this convolution over bands of its rows.
  private func lower(_ node: NodeLowering, behind product: Node, _ op: Conv, _ window: kiln_depthwise_params) throws -> Bool {
    guard let weights = node.constant(product.inputs[1]), let output = node.shape(of: product.outputs[0]) else {
      throw KilnError(.internal, "a product in bands has no weights")
    }
    let params = op.bandParams(weights.shape, output, window)
    let (n, k) = (params.product.n, params.product.k)
    let packed = try node.packedProduct(weights, rowStride: Int(n), columnStride: 1, n: n, k: k)
    func operand(_ index: Int?) -> StepOperand { index.map { node.operand(product.inputs[$0]) } ?? .absent }
    let parts = withUnsafePointer(to: params) { kiln_pointwise_depthwise_parts($0, node.threads) }
    let scratch = node.temporary(byteCount: withUnsafePointer(to: params) { kiln_pointwise_depthwise_scratch_bytes($0, parts) })
    node.because("the \(params.product.reason("product", parts: 1)) in front and it in turns, by bands of rows that stay in cache")
    try node.step(
      kiln_pointwise_depthwise_f32, "gemm + depthwise", copying: params,
      [operand(0), packed, operand(op.epilogue.biasIndex()), operand(op.epilogue.residualIndex()), scratch, node.input(1)]
        + node.epilogueOperands(epilogue), parts: parts)
    return true
  }

  /// - Parameters:
  ///   - kernel, output: of this product of pixels.
  ///   - window: the depthwise convolution behind it.
  fileprivate func bandParams(_ kernel: Shape, _ output: Shape, _ window: kiln_depthwise_params) -> kiln_pointwise_depthwise_params {
    var params = kiln_pointwise_depthwise_params()
    params.product = pointwiseParams(kernel, output)
    (params.product.lda, params.product.ldc, params.product.ldr) = (params.product.k, params.product.n, params.product.n)
    params.depthwise = window
    return params
  }
}

extension kiln_depthwise_params {
  init(_ window: SpatialWindow, _ activation: Activation) {
    self.init()
    batch = window.batch
    (in_h, in_w) = window.input
    channels = window.channels
    multiplier = window.outputChannels / max(1, window.channels)
    (out_h, out_w) = window.output
    (kernel_h, kernel_w) = window.kernel
    (stride_h, stride_w) = window.strides
    (dilation_h, dilation_w) = window.dilations
    (pad_top, pad_left) = window.low
    self.activation = activation.kernel
  }
}

extension Graph {
  /// Products of pixels whose results only a depthwise convolution reads, and large enough that they had better not be written to
  /// memory: by the node of that convolution.
  ///
  /// - Parameters:
  ///   - readers, makers: of each value, by its index.
  ///   - prologues: of products, which stay as they are.
  func productsInBands(_ options: PlanOptions, _ readers: [[Int]], _ makers: [Int?], _ prologues: Prologues) -> [Int: Int] {
    var found: [Int: Int] = [:]
    for (index, node) in nodes.enumerated() {
      guard let conv = node.op as? Conv, conv.groups > 1, readers[node.inputs[0].index] == [index],
        node.inputs.filter({ $0 == node.inputs[0] }).count == 1,
        (node.inputs + node.outputs).allSatisfy({ type(of: $0).dtype == .float32 }),
        let maker = makers[node.inputs[0].index], prologues.byReader[maker] == nil, !prologues.absorbed.contains(maker),
        let product = nodes[maker].op as? Conv, isProductWorthPrologue(nodes[maker], rows: .max, options),
        let weights = constants[nodes[maker].inputs[1]], let input = type(of: nodes[maker].inputs[0]).shape,
        let between = type(of: node.inputs[0]).shape, product.isPointwise(input, weights.shape, between),
        let output = type(of: node.outputs[0]).shape, let kernel = type(of: node.inputs[1]).shape, kernel[kernel.count - 2] == 1,
        let window = SpatialWindow(
          input: between, output: output, kernel: Array(kernel.dropLast(2)), strides: conv.strides, dilations: conv.dilations,
          padding: conv.padding)
      else { continue }
      let params = product.bandParams(weights.shape, between, kiln_depthwise_params(window, conv.epilogue.activation))
      if withUnsafePointer(to: params, { kiln_pointwise_depthwise_worth($0, Int32(clamping: options.threads)) }) { found[index] = maker }
    }
    return found
  }
}
