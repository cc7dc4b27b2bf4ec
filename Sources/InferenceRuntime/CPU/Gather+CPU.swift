import CKernels
import GraphModule
import TensorModule

extension Gather: CPUBinding {
  /// Batches are gathered one step each; more of them take the slow path.
  private static let mostBatches = 256

  package func lower(_ node: NodeLowering) throws -> Bool {
    let (data, picks) = (node.inputShapes[0], node.inputShapes[1])
    let batches = Array(data[..<batchDims]).elementCount
    guard batches <= Self.mostBatches, let (indices, dtype) = try node.indices(1) else { return false }
    let size = node.inputs[0].dtype.byteCount
    var params = kiln_gather_params()
    params.element_size = Int32(size)
    params.index_dtype = Int32(dtype.rawValue)
    params.outer = Int64(Array(data[batchDims..<axis]).elementCount)
    params.axis = Int64(data[axis])
    params.inner = Int64(Array(data[(axis + 1)...]).elementCount)
    params.count = Int64(Array(picks[batchDims...]).elementCount)
    let parts = kiln_gather_parts(&params, node.threads)
    let kept = UnsafeRawPointer(try node.keep(params))
    let flag = node.errorFlag("an index is out of range for \(data[axis]) entries")
    for batch in 0..<batches {
      let source = batch * Array(data[batchDims...]).elementCount * size
      let target = batch * Int(params.outer * params.count * params.inner) * size
      try node.step(
        kiln_gather, "gather", kept,
        [
          node.input(0, byteOffset: source), indices.advanced(by: batch * Int(params.count) * dtype.byteCount),
          node.output(byteOffset: target), flag,
        ], parts: parts)
    }
    return true
  }
}

extension OneHot: CPUBinding {
  package func lower(_ node: NodeLowering) throws -> Bool {
    guard let (indices, index) = try node.indices(0) else { return false }
    var params = kiln_one_hot_params()
    params.element_size = Int32(dtype.byteCount)
    params.index_dtype = Int32(index.rawValue)
    (params.outer, params.depth, params.inner) = (Int64(node.inputShapes[0].elementCount), Int64(depth), 1)
    let values = try Tensor(converting: [on, off], to: dtype, shape: [2])
    withUnsafeMutableBytes(of: &params.on) { $0.copyMemory(from: .init(rebasing: values.bytes.prefix(dtype.byteCount))) }
    withUnsafeMutableBytes(of: &params.off) { $0.copyMemory(from: .init(rebasing: values.bytes.suffix(dtype.byteCount))) }
    try node.step(
      kiln_one_hot, "one_hot", copying: params, [indices, node.output()], parts: kiln_one_hot_parts(&params, node.threads))
    return true
  }
}

extension NodeLowering {
  /// Integer operand `index` as int32 or int64, converted by a step when it is neither.
  fileprivate func indices(_ index: Int) throws -> (StepOperand, DType)? {
    let dtype = inputs[index].dtype
    if dtype == .int32 || dtype == .int64 { return (input(index), dtype) }
    let shape = inputShapes[index]
    let wide = temporary(byteCount: max(1, shape.elementCount * 4))
    let program = ChainProgram(
      shape: shape, inputs: [.init(operand: input(index), dtype: dtype, shape: shape)], steps: [], resultType: .int32)
    return try program.append(to: self, output: wide, label: "chain/cast") ? (wide, .int32) : nil
  }
}
