import CKernels
import GraphModule
import TensorModule

extension Pad: CPUBinding {
  package func lower(_ node: NodeLowering) throws -> Bool {
    if (low + high).allSatisfy({ $0 == 0 }) {
      node.alias(of: 0)
      return true
    }
    let dtype = node.inputs[0].dtype
    var params = kiln_pad_params()
    params.element_size = Int32(dtype.byteCount)
    params.rank = Int32(low.count)
    params.mode =
      switch mode {
      case .constant: Int32(KILN_PAD_CONSTANT.rawValue)
      case .reflect: Int32(KILN_PAD_REFLECT.rawValue)
      case .symmetric: Int32(KILN_PAD_SYMMETRIC.rawValue)
      case .edge: Int32(KILN_PAD_EDGE.rawValue)
      }
    withUnsafeMutableBytes(of: &params.dims) { $0.store(node.inputShapes[0].map(Int64.init)) }
    withUnsafeMutableBytes(of: &params.before) { $0.store(low.map(Int64.init)) }
    withUnsafeMutableBytes(of: &params.after) { $0.store(high.map(Int64.init)) }
    let value = try Tensor(converting: [value], to: dtype, shape: [])
    withUnsafeMutableBytes(of: &params.value) { $0.copyMemory(from: value.bytes) }
    try node.step(
      kiln_pad, "pad/\(mode.rawValue)", copying: params, [node.input(0), node.output()],
      parts: kiln_pad_parts(&params, node.threads))
    return true
  }
}
