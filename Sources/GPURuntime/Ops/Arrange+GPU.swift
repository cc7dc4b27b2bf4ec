import GraphModule
import TensorModule

extension Transpose: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    let strides = node.inputShapes[0].rowMajorStrides
    return node.arranged(first: 0, strides: permutation.map { strides[$0] })
  }
}

extension Slice: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    let (shape, strides) = (node.inputShapes[0], node.inputShapes[0].rowMajorStrides)
    let starts = ranges.indices.map { ranges[$0].resolved(shape[$0]).start }
    // A step that is not taken may be of any size.
    let steps = ranges.indices.map { node.outputShapes[0][$0] > 1 ? ranges[$0].step * strides[$0] : strides[$0] }
    return node.arranged(first: zip(starts, strides).map { $0 * $1 }.reduce(0, +), strides: steps)
  }
}

extension Reverse: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    let (shape, strides) = (node.inputShapes[0], node.inputShapes[0].rowMajorStrides)
    let first = axes.map { (shape[$0] - 1) * strides[$0] }.reduce(0, +)
    return node.arranged(first: first, strides: shape.indices.map { axes.contains($0) && shape[$0] > 1 ? -strides[$0] : strides[$0] })
  }
}

extension Concat: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    let shape = node.outputShapes[0]
    let parts = node.inputShapes.indices.filter { !node.inputShapes[$0].contains(0) }
    if node.inputs.count == 1, node.alias(of: 0) { return .runs }
    let target = shape.rowMajorStrides
    var start = 0
    for index in parts {
      let part = node.inputShapes[index]
      CopyKernel(part, source: part.rowMajorStrides, target: target).append(
        to: node, bytes: node.storedBytes(node.inputs[0].dtype), node.input(index), node.output(), start: start)
      start += part[axis] * target[axis]
    }
    return .runs
  }
}
