import CKernels
import GraphModule
import TensorModule

extension Conv: CPUBinding {
  package func lower(_ node: NodeLowering) throws -> Bool {
    if let first = node.first { return try node.lower(first, epilogue) }
    if let band = node.band { return try lower(node, band) }
    guard node.isAll(.float32) else { return false }
    if try lowerPointwise(node) { return true }
    guard let window = SpatialWindow(
      input: node.inputShapes[0], output: node.outputShapes[0], kernel: Array(node.inputShapes[1].dropLast(2)),
      strides: strides, dilations: dilations, padding: padding)
    else { return false }
    node.allowResidualInPlace(epilogue)
    let channels = node.inputShapes[1].suffix(2).map { $0 }
    if groups > 1, channels[0] == 1 { return try lowerDepthwise(node, kiln_depthwise_params(window, epilogue.activation)) }
    return try lowerWindow(node, window)
  }

  package func takesPrologue(_ prologue: Prologue, _ node: Node, in graph: Graph, _ options: PlanOptions) -> Bool {
    guard let input = graph.type(of: node.inputs[0]).shape, let kernel = graph.type(of: node.inputs[1]).shape,
      let output = graph.type(of: node.outputs[0]).shape
    else { return false }
    return graph.constants[node.inputs[1]] != nil && isPointwise(input, kernel, output)
      && graph.isProductWorthPrologue(node, rows: output.dropLast().elementCount, options)
  }

  func isPointwise(_ input: Shape, _ kernel: Shape, _ output: Shape) -> Bool {
    groups == 1 && kernel.dropLast(2).allSatisfy { $0 == 1 } && strides.allSatisfy { $0 == 1 } && input.dropLast() == output.dropLast()
  }

  /// - Parameters:
  ///   - kernel: with one tap.
  func pointwiseParams(_ kernel: Shape, _ output: Shape) -> kiln_gemm_params {
    var params = kiln_gemm_params()
    params.m = Int64(output.dropLast().elementCount)
    params.n = Int64(kernel[kernel.count - 1])
    params.k = Int64(kernel[kernel.count - 2])
    params.activation = epilogue.activation.kernel
    return params
  }

  /// A kernel of one tap without strides is a product over all positions at once.
  private func lowerPointwise(_ node: NodeLowering) throws -> Bool {
    let kernel = node.inputShapes[1]
    guard let weights = node.constant(1), isPointwise(node.inputShapes[0], kernel, node.outputShapes[0]) else { return false }
    let n = kernel[kernel.count - 1]
    var params = pointwiseParams(kernel, node.outputShapes[0])
    try node.gemm(
      &params, weights, rowStride: n, columnStride: 1, [node.input(0)], node.epilogueOperands(epilogue))
    node.allowResidualInPlace(epilogue)
    return true
  }

  private func lowerWindow(_ node: NodeLowering, _ window: SpatialWindow) throws -> Bool {
    var params = kiln_conv_params(window, groups: groups, activation: epilogue.activation)
    kiln_conv_choose(&params, node.threads, node.options.exact)
    if params.algorithm != Int32(KILN_CONV_DIRECT.rawValue), node.constant(1) != nil,
      !node.options.transforms(kiln_conv_packed_bytes(&params), positions: Int(params.batch) * Int(params.out_h) * Int(params.out_w))
    {
      params.algorithm = Int32(KILN_CONV_DIRECT.rawValue)
    }
    if params.algorithm == Int32(KILN_CONV_DIRECT.rawValue), let weights = node.constant(1),
      try node.streamed(params, weights, [node.input(0)], node.epilogueOperands(epilogue))
    {
      return true
    }
    let parts = kiln_conv_parts(&params, node.threads)
    let chosen = params
    let packed = try node.packedOrComputed(
      1, layout: "conv", key: params.layoutKey,
      byteCount: kiln_conv_packed_bytes(&params), params: params
    ) { weights, out in
      withUnsafePointer(to: chosen) { kiln_conv_pack($0, weights, out) }
    } kernel: { params, operands, _, _ in
      guard let operands, let weights = operands[0], let out = operands[1] else { return }
      kiln_conv_pack(
        params?.assumingMemoryBound(to: kiln_conv_params.self), weights.assumingMemoryBound(to: Float.self),
        out.assumingMemoryBound(to: Float.self))
    }
    node.because(params.reason(isExact: node.options.exact))
    let scratch = node.temporary(byteCount: kiln_conv_scratch_bytes(&params, parts))
    let label =
      switch kiln_conv_algorithm(UInt32(params.algorithm)) {
      case KILN_CONV_WINOGRAD2: "conv/winograd2"
      case KILN_CONV_WINOGRAD4: "conv/winograd4"
      case KILN_CONV_LINE: "conv/line"
      default: "conv/direct"
      }
    try node.step(
      kiln_conv_f32, label, copying: params, [node.input(0), packed] + node.epilogueOperands(epilogue) + [scratch],
      parts: parts)
    return true
  }
}

extension kiln_conv_params {
  /// What the layout of packed weights depends on.
  var layoutKey: [Int] { [algorithm, points, outputs, kernel_h, kernel_w, in_c, out_c, groups].map(Int.init) }
}

extension NodeLowering {
  /// Weights in a kernel's layout: packed now when they are constant, else by a step of each prediction.
  ///
  /// - Parameters:
  ///   - pack: packs constant weights.
  ///   - kernel: the same as a kernel over `params`: operands weights, packed.
  func packedOrComputed<Params>(
    _ input: Int, layout: String, key: [Int], byteCount: Int, params: Params,
    pack: @escaping @Sendable (UnsafePointer<Float>, UnsafeMutablePointer<Float>) -> Void, kernel: @escaping kiln_kernel
  ) throws -> StepOperand {
    if let weights = constant(input) {
      return try packed(weights, layout: layout, key: key, byteCount: byteCount) {
        pack(weights.address.assumingMemoryBound(to: Float.self), $0.assumingMemoryBound(to: Float.self))
      }
    }
    let out = temporary(byteCount: byteCount)
    try step(kernel, "pack", copying: params, [self.input(input), out])
    return out
  }
}
