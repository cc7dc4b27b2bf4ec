import GraphModule
import TensorModule

/// Equal for nodes that compute the same thing.
struct ExpressionKey: Hashable {
  let op: String
  let device: DeviceName?
  let attributes: [AttributeValue]
  let inputs: [ValueID]

  init(_ node: Node) {
    op = node.op.opName
    device = node.device.isEmpty ? nil : DeviceName(node.device)
    attributes = node.op.attributes.flatMap { [.word($0.name), $0.value] }
    let commutes = (node.op as? Elementwise)?.function.isCommutative ?? false
    inputs = commutes ? node.inputs.sorted { $0.index < $1.index } : node.inputs
  }
}

/// Equal for equal tensors; looks at a sample of the elements only.
struct ConstantKey: Hashable {
  let dtype: DType
  let shape: Shape
  let sample: [UInt8]

  init(_ tensor: Tensor) {
    dtype = tensor.dtype
    shape = tensor.shape
    sample = tensor.sample
  }
}
