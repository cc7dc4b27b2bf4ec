import CKernels
import GraphModule
import TensorModule

extension MatMul {
  /// Products of float64 matrices by plain loops over rows.
  struct Float64Parameters {
    var batches: Int
    var m: Int
    var n: Int
    var k: Int
    /// Strides of a's rows and columns, and of b's.
    var aRow: Int
    var aColumn: Int
    var bRow: Int
    var bColumn: Int
  }

  /// Operands: a, b, c, the first matrices' offsets (int64 triples: a, b, c). Parts share the rows of all batches.
  static let float64Kernel: kiln_kernel = { params, operands, part, parts in
    guard let params, let operands, let a = operands[0]?.assumingMemoryBound(to: Double.self),
      let b = operands[1]?.assumingMemoryBound(to: Double.self), let c = operands[2]?.assumingMemoryBound(to: Double.self),
      let offsets = operands[3]?.assumingMemoryBound(to: Int.self)
    else { return }
    let p = params.load(as: Float64Parameters.self)
    let rows = p.batches * p.m
    for index in rows * Int(part) / Int(parts)..<rows * (Int(part) + 1) / Int(parts) {
      let (batch, row) = (index / p.m, index % p.m)
      let left = a + offsets[batch * 3] + row * p.aRow
      let right = b + offsets[batch * 3 + 1]
      let target = c + offsets[batch * 3 + 2] + row * p.n
      for column in 0..<p.n { target[column] = 0 }
      for depth in 0..<p.k {
        let factor = left[depth * p.aColumn]
        let line = right + depth * p.bRow
        for column in 0..<p.n { target[column] += factor * line[column * p.bColumn] }
      }
    }
  }

  func lowerFloat64(_ node: NodeLowering) throws -> Bool {
    let (a, b, c) = (node.inputShapes[0], node.inputShapes[1], node.outputShapes[0])
    let batch = Array(c.dropLast(2))
    let (m, n) = (c[c.count - 2], c[c.count - 1])
    let k = a[a.count - (transposeA ? 2 : 1)]
    var offsets: [Int] = []
    for index in 0..<batch.elementCount {
      for shape in [a, b, c] {
        offsets.append(
          ReferenceTensor.broadcastIndex(index, from: Array(shape.dropLast(2)), to: batch) * shape.suffix(2).elementCount)
      }
    }
    let params = Float64Parameters(
      batches: batch.elementCount, m: m, n: n, k: k, aRow: transposeA ? 1 : k, aColumn: transposeA ? m : 1,
      bRow: transposeB ? 1 : n, bColumn: transposeB ? k : 1)
    let table = UnsafeRawPointer(try node.keep(array: offsets))
    let work = batch.elementCount * m * n * k
    try node.step(
      Self.float64Kernel, "matmul/float64", copying: params,
      [node.input(0), node.input(1), node.output(), .memory(table)], parts: work > 100_000 ? node.threads : 1)
    return try lowerEpilogue(node)
  }
}

extension ArraySlice where Element == Int {
  var elementCount: Int { reduce(1, *) }
}
