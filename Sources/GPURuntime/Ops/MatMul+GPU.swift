import GraphModule
import TensorModule

extension MatMul: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    guard node.isAll(.float32),
      let shape = MatrixNumbers(node.inputShapes[0], node.inputShapes[1], node.outputShapes[0], transposeA, transposeB)
    else { return plain(node) }
    if let residual = epilogue.residualIndex() { node.allowInPlace(over: residual) }
    let right = node.inputShapes[1]
    let product = ProductKernel(
      numbers: shape, matrices: right.dropLast(2).reduce(1, *), matrix: shape.n * shape.k, left: node.input(0), right: 1, epilogue: epilogue,
      bias: node.optionalInput(epilogue.biasIndex()), residual: node.optionalInput(epilogue.residualIndex()), result: node.output())
    guard product.append(to: node) else { return .refused("its activation has no kernel, or the device has too small work-groups") }
    return .runs
  }
}

/// The sizes and strides of a product, its batch axes joined to at most two.
struct MatrixNumbers {
  var m: Int
  var n: Int
  var k: Int
  var aRow: Int
  var aColumn: Int
  var bRow: Int
  var bColumn: Int
  /// Lengths of the batch axes, and strides along them.
  var outer = 1
  var inner = 1
  var a = (outer: 0, inner: 0)
  var b = (outer: 0, inner: 0)
  var c = (outer: 0, inner: 0)

  /// Nil when more than two batch axes are left.
  init?(_ left: Shape, _ right: Shape, _ result: Shape, _ transposeA: Bool, _ transposeB: Bool) {
    var (left, result) = (left, result)
    // One matrix on the right: all rows of the left operand are one matrix.
    if !transposeA, right.dropLast(2).allSatisfy({ $0 == 1 }), right.count <= left.count {
      (left, result) = (
        [left.dropLast().reduce(1, *), left[left.count - 1]], [result.dropLast().reduce(1, *), result[result.count - 1]]
      )
    }
    (m, n) = (result[result.count - 2], result[result.count - 1])
    k = left[left.count - (transposeA ? 2 : 1)]
    (aRow, aColumn) = transposeA ? (1, m) : (k, 1)
    (bRow, bColumn) = transposeB ? (1, k) : (n, 1)
    let batch = Array(result.dropLast(2))
    let operands = [left, Array(right.suffix(max(2, min(right.count, result.count)))), result]
    let strides = operands.map { ElementwiseKernel.Axes.strides(of: Array($0.dropLast(2)), in: batch) }
    let sizes = operands.map { $0.suffix(2).reduce(1, *) }
    // Outermost axis first; adjacent axes are joined where all strides allow it.
    var axes: [(length: Int, strides: [Int])] = []
    for axis in batch.indices where batch[axis] != 1 {
      let own = (0..<3).map { strides[$0][axis] * sizes[$0] }
      if let last = axes.last, (0..<3).allSatisfy({ last.strides[$0] == own[$0] * batch[axis] }) {
        axes[axes.count - 1] = (last.length * batch[axis], own)
      } else {
        axes.append((batch[axis], own))
      }
    }
    while axes.count < 2 { axes.insert((1, [0, 0, 0]), at: 0) }
    guard axes.count == 2 else { return nil }
    (outer, inner) = (axes[0].length, axes[1].length)
    a = (axes[0].strides[0], axes[1].strides[0])
    b = (axes[0].strides[1], axes[1].strides[1])
    c = (axes[0].strides[2], axes[1].strides[2])
  }
}
