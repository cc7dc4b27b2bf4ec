import CKernels
import GraphModule
import TensorModule

extension NodeLowering {
  /// Adds a strided copy of operand `input` to the result. `fill` sets up the parameters for an element size.
  func copy(
    from input: Int = 0, label: String, _ fill: (inout kiln_copy_params, Int32) -> Void
  ) throws -> Bool {
    var params = kiln_copy_params()
    fill(&params, Int32(inputs[input].dtype.byteCount))
    guard kiln_copy_prepare(&params) == 0 else { return false }
    try step(
      kiln_copy, label, copying: params, [self.input(input), output()], parts: kiln_copy_parts(&params, threads))
    return true
  }
}

extension Transpose: CPUBinding {
  package func lower(_ node: NodeLowering) throws -> Bool {
    let shape = node.inputShapes[0]
    let moved = permutation.filter { shape[$0] != 1 }
    if zip(moved, moved.dropFirst()).allSatisfy({ $0 < $1 }) {
      node.alias(of: 0)
      return true
    }
    return try node.copy(label: "copy/transpose") {
      kiln_copy_transpose(&$0, $1, Int32(shape.count), shape.map(Int64.init), permutation.map { Int32($0) })
    }
  }
}

extension Slice: CPUBinding {
  package func lower(_ node: NodeLowering) throws -> Bool {
    let shape = node.inputShapes[0]
    let resolved = zip(ranges, shape).map { $0.resolved($1) }
    // One block of memory: single positions, then one range, then whole axes.
    let first = resolved.firstIndex { $0.count != 1 } ?? shape.count
    let isBlock = shape.indices.allSatisfy { axis in
      axis < first || (axis == first && (ranges[axis].step == 1)) || resolved[axis].count == shape[axis] && ranges[axis].step == 1
    }
    if isBlock {
      let offset = zip(resolved, shape.rowMajorStrides).reduce(0) { $0 + $1.0.start * $1.1 }
      node.alias(of: 0, byteOffset: offset * node.inputs[0].dtype.byteCount)
      return true
    }
    return try node.copy(label: "copy/slice") {
      kiln_copy_slice(
        &$0, $1, Int32(shape.count), shape.map(Int64.init), resolved.map { Int64($0.start) }, ranges.map { Int64($0.step) },
        resolved.map { Int64($0.count) })
    }
  }
}

extension Reverse: CPUBinding {
  package func lower(_ node: NodeLowering) throws -> Bool {
    let shape = node.inputShapes[0]
    let turned = shape.indices.map { axes.contains($0) && shape[$0] > 1 }
    if !turned.contains(true) {
      node.alias(of: 0)
      return true
    }
    return try node.copy(label: "copy/reverse") {
      kiln_copy_slice(
        &$0, $1, Int32(shape.count), shape.map(Int64.init), shape.indices.map { turned[$0] ? Int64(shape[$0] - 1) : 0 },
        turned.map { $0 ? -1 : 1 }, shape.map(Int64.init))
    }
  }
}

extension Concat: CPUBinding {
  package func lower(_ node: NodeLowering) throws -> Bool {
    let size = node.outputs[0].dtype.byteCount
    let total = Axes.split(node.outputShapes[0], at: axis)
    var at = 0
    for (index, shape) in node.inputShapes.enumerated() {
      let width = Array(shape[axis...]).elementCount
      if width > 0, total.outer != 1 || !node.mergeIntoResult(index, byteOffset: at * size) {
        guard
          try node.copy(from: index, label: "copy/concat", {
            kiln_copy_concat(&$0, $1, Int64(total.outer), Int64(width), Int64(total.length * total.inner), Int64(at))
          })
        else { return false }
      }
      at += width
    }
    node.because("operands are computed in their places where they may be, else copied")
    return true
  }
}
