import CKernels
import GraphModule
import TensorModule

extension ConvTranspose: CPUBinding {
  package func lower(_ node: NodeLowering) throws -> Bool {
    let (input, output) = (node.inputShapes[0], node.outputShapes[0])
    let kernel = Array(node.inputShapes[1].dropLast(2))
    guard node.isAll(.float32), groups == 1,
      let window = SpatialWindow(
        input: input, output: output, kernel: kernel, strides: strides, dilations: dilations,
        low: kernel.indices.map { cut(input[$0 + 1], output: output[$0 + 1], size: kernel[$0], axis: $0) })
    else { return false }
    var params = kiln_conv_params(window, groups: 1, activation: epilogue.activation)
    let parts = kiln_conv_transpose_parts(&params, node.threads)
    let chosen = params
    let packed = try node.packedOrComputed(
      1, layout: "conv_transpose",
      key: [
        params.kernel_h, params.kernel_w, params.in_c, params.out_c, params.stride_h, params.stride_w, params.dilation_h,
        params.dilation_w, params.pad_top, params.pad_left,
      ].map(Int.init),
      byteCount: kiln_conv_transpose_packed_bytes(&params), params: params
    ) { weights, out in
      withUnsafePointer(to: chosen) { kiln_conv_transpose_pack($0, weights, out) }
    } kernel: { params, operands, _, _ in
      guard let operands, let weights = operands[0], let out = operands[1] else { return }
      kiln_conv_transpose_pack(
        params?.assumingMemoryBound(to: kiln_conv_params.self), weights.assumingMemoryBound(to: Float.self),
        out.assumingMemoryBound(to: Float.self))
    }
    let scratch = node.temporary(byteCount: kiln_conv_transpose_scratch_bytes(&params, parts))
    node.allowResidualInPlace(epilogue)
    try node.step(
      kiln_conv_transpose_f32, "conv_transpose", copying: params,
      [node.input(0), packed] + node.epilogueOperands(epilogue) + [scratch], parts: parts)
    return true
  }
}
