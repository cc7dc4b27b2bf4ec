import CKernels
import GraphModule

extension ShapeOf: CPUBinding {
  /// Parameters: the number of dims, then the dims.
  private static let kernel: kiln_kernel = { params, operands, _, _ in
    guard let params, let target = operands?[0] else { return }
    target.copyMemory(from: params + MemoryLayout<Int64>.stride, byteCount: Int(params.load(as: Int64.self)) * MemoryLayout<Int64>.stride)
  }

  package func lower(_ node: NodeLowering) throws -> Bool {
    let shape = node.inputShapes[0].map(Int64.init)
    try node.step(Self.kernel, "shape_of", UnsafeRawPointer(try node.keep(array: [Int64(shape.count)] + shape)), [node.output()])
    return true
  }
}
