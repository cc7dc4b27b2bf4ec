import GraphModule
import TensorModule

/// A product that is a part of another op: c [matrices][m, n] = a · b + bias, b an operand of the node.
struct ProductKernel {
  var m: Int
  var n: Int
  var k: Int
  /// Elements between neighbours: a's and b's rows and columns.
  var aRow: Int
  var aColumn = 1
  var bRow: Int
  var bColumn: Int
  /// Independent products, and the elements between their operands and results.
  var matrices = 1
  var aMatrix = 0
  var bMatrix = 0
  var cMatrix = 0

  /// Adds the kernel call; `b` is the operand's index.
  func append(to node: GPULowering, _ a: GPUArgument, _ b: Int, bias: GPUArgument?, _ c: GPUArgument) -> Bool {
    if m == 0 || n == 0 { return true }
    let epilogue = Epilogue(bias: bias != nil)
    let numbers: [GPUArgument] = [m, n, k, aRow, aColumn, matrices, 0, aMatrix].map { .int($0) }
    if node.prefersVectors {
      guard let tile = TileKernel(rows: m, device: node.device, epilogue: epilogue) else { return false }
      let packed = node.packed(
        b, PackKernel.Layout(depth: k, n: n, matrices: matrices, row: bRow, column: bColumn, matrix: bMatrix), columns: tile.columns)
      node.kernel(
        tile.matmul, "matmul", [a, packed, bias ?? .absent, .absent, c] + numbers + [0, 1, 0, cMatrix].map { .int($0) },
        global: [(m + tile.rows - 1) / tile.rows, (n + tile.columns - 1) / tile.columns, matrices], local: [TileKernel.group(m, tile.rows), 1, 1])
      return true
    }
    guard let lane = LaneKernel(device: node.device, epilogue: epilogue) else { return false }
    node.kernel(
      lane.matmul, "matmul", [a, node.input(b), bias ?? .absent, .absent, c] + numbers + [0, bMatrix, 0, cMatrix, bRow, bColumn].map { .int($0) },
      global: LaneKernel.global(m: m, n: n, batches: matrices), local: [LaneKernel.side, LaneKernel.side, 1])
    return true
  }
}
