import GraphModule
import TensorModule

/// A product of matrices with its epilogue: c[batch][m, n] = activation(a · b + bias + residual), and the ways to compute it.
struct ProductKernel {
  var numbers: MatrixNumbers
  /// Matrices of the right operand, and the elements between them.
  var matrices: Int
  var matrix: Int
  var left: GPUArgument
  /// The operand of the node on the right, and what becomes of it when it is a constant.
  var right: Int
  var transform: RightTransform?
  /// A right operand that this node's kernels make, in place of the node's.
  var computed: GPUArgument?
  var epilogue = Epilogue()
  var bias = GPUArgument.absent
  var residual = GPUArgument.absent
  var result: GPUArgument

  private var m: Int { numbers.m }
  private var n: Int { numbers.n }
  private var k: Int { numbers.k }
  private var batches: Int { numbers.outer * numbers.inner }
  private var epilogueOperands: [GPUArgument] { [bias, residual] }
  private var leftNumbers: [GPUArgument] {
    [m, n, k, numbers.aRow, numbers.aColumn, numbers.inner, numbers.a.outer, numbers.a.inner].map { .int($0) }
  }
  private var resultNumbers: [GPUArgument] { [.int(numbers.c.outer), .int(numbers.c.inner)] }

  /// Operations.
  var flops: Int { 2 * m * n * k * batches }

  /// Adds the kernels of the fastest way to the node.
  ///
  /// - Returns: false when there is none.
  func append(to node: GPULowering) -> Bool {
    if m == 0 || n == 0 || batches == 0 { return true }
    return node.fastest("matmul", timingClass, flops: flops, of: variants(node))
  }

  /// Rows are counted in powers of two.
  var timingClass: [Int] {
    [TuningClass.of(m), n, k, TuningClass.of(batches), numbers.aColumn == 1 ? 0 : 1, numbers.bColumn == 1 ? 0 : 1, epilogue.residual ? 1 : 0]
  }

  func variants(_ node: GPULowering) -> [GPUVariant] { (node.prefersVectors ? tiles(node) : lanes(node)) + blas(node) }

  /// The variant that is taken without timing; false when there is none.
  func appendDefault(to node: GPULowering) -> Bool {
    guard let first = (node.prefersVectors ? tiles(node) : lanes(node)).first else { return false }
    first.emit()
    return true
  }

  // MARK: Processors

  private func tiles(_ node: GPULowering) -> [GPUVariant] {
    TileKernel.candidates(m: m, n: n, node.device, epilogue).map { tile in
      GPUVariant(name: "tile \(tile.name)") {
        let layout = PackKernel.Layout(depth: k, n: n, matrices: matrices, row: numbers.bRow, column: numbers.bColumn, matrix: matrix)
        let packed = computed.map { node.packed(computed: $0, layout, columns: tile.columns) }
          ?? node.packed(right, layout, columns: tile.columns, transform: transform)
        let b: [GPUArgument] = [.int(matrix == 0 ? 0 : numbers.b.outer / matrix), .int(matrix == 0 ? 0 : numbers.b.inner / matrix)]
        node.kernel(
          tile.matmul, "matmul", [left, packed] + epilogueOperands + [result] + leftNumbers + b + resultNumbers,
          global: [(m + tile.rows - 1) / tile.rows, (n + tile.columns - 1) / tile.columns, batches], local: [TileKernel.group(m, tile.rows), 1, 1])
      }
    }
  }

  // MARK: GPUs

  private func rightArgument(_ node: GPULowering) -> GPUArgument {
    if let computed { return computed }
    guard let transform, let tensor = node.constant(right) else { return node.input(right) }
    return node.weights(tensor, layout: transform.name, count: transform.count, fill: transform.fill)
  }

  private func isFour(_ values: Int...) -> Bool { values.allSatisfy { $0 % 4 == 0 } }

  private var leftSide: LaneKernel.Side {
    let strides = isFour(numbers.a.outer, numbers.a.inner)
    if numbers.aColumn == 1 || numbers.aRow != 1 {
      return LaneKernel.Side(alongTerms: true, vector: strides && numbers.aColumn == 1 && isFour(k, numbers.aRow) ? 4 : 1)
    }
    return LaneKernel.Side(alongTerms: false, vector: strides && isFour(m, numbers.aColumn) ? 4 : 1)
  }

  private var rightSide: LaneKernel.Side {
    let strides = isFour(numbers.b.outer, numbers.b.inner)
    if numbers.bColumn == 1 || numbers.bRow != 1 {
      return LaneKernel.Side(alongTerms: false, vector: strides && numbers.bColumn == 1 && isFour(n, numbers.bRow) ? 4 : 1)
    }
    return LaneKernel.Side(alongTerms: true, vector: strides && isFour(k, numbers.bColumn) ? 4 : 1)
  }

  private var total: Int { m * n * batches }

  /// The sums of parts, and the kernel that adds them; the result itself when there is one part.
  func summed(_ node: GPULowering, splits: Int, total: Int, columns: Int, _ emit: (GPUArgument) -> Void) {
    guard splits > 1, let source = SplitSum(epilogue: epilogue).source else { return emit(result) }
    let sums = node.temporary(byteCount: 4 * splits * total)
    emit(sums)
    node.kernel(source, "sum_parts", [sums] + epilogueOperands + [result, .int(total), .int(columns), .int(splits)], count: total)
  }

  private func lanes(_ node: GPULowering) -> [GPUVariant] {
    var ways: [GPUVariant] = []
    if batches == 1, numbers.bColumn == 1,
      let rows = LaneRowsKernel(m: m, n: n, k: k, vector: isFour(n, numbers.bRow) ? 4 : 1, epilogue: epilogue, node.device)
    {
      ways.append(
        GPUVariant(name: rows.name) {
          summed(node, splits: rows.splits, total: total, columns: n) { target in
            let numbers: [GPUArgument] = [n, k, self.numbers.aRow, self.numbers.aColumn, self.numbers.bRow, total].map { .int($0) }
            node.kernel(
              rows.source, "matmul_rows", [left, rightArgument(node)] + epilogueOperands + [target] + numbers,
              global: [(n + LaneRowsKernel.lanes * rows.vector - 1) / (LaneRowsKernel.lanes * rows.vector) * LaneRowsKernel.lanes, LaneRowsKernel.depth * rows.splits],
              local: [LaneRowsKernel.lanes, LaneRowsKernel.depth])
          }
        })
    }
    for tile in LaneTile.candidates(m: m, n: n, k: k, batches: batches, node.device) where batches * tile.splits < 1 << 16 {
      guard let kernel = LaneKernel(tile, left: leftSide, right: rightSide, epilogue: epilogue) else { continue }
      guard tile.splits == 1 || total < 1 << 28 else { continue }
      ways.append(
        GPUVariant(name: tile.name) {
          summed(node, splits: tile.splits, total: total, columns: n) { target in
            let b: [GPUArgument] = [.int(numbers.b.outer), .int(numbers.b.inner)]
            let (global, local) = kernel.sizes(m: m, n: n, batches: batches)
            node.kernel(
              kernel.matmul, "matmul",
              [left, rightArgument(node)] + epilogueOperands + [target] + leftNumbers + b + resultNumbers + [numbers.bRow, numbers.bColumn, total].map { .int($0) },
              global: global, local: local)
          }
        })
    }
    return ways
  }

  // MARK: CLBlast

  /// CLBlast's product, and a kernel for the epilogue.
  private func blas(_ node: GPULowering) -> [GPUVariant] {
    // Its kernels are made for GPUs, and take long to compile.
    guard CLBlast.isThere, node.device.kind != .cpu || node.takesEveryVariant, node.precision == .float32 || node.device.hasHalf, flops >= 50_000_000, numbers.outer == 1,
      numbers.aColumn == 1 || numbers.aRow == 1, numbers.bColumn == 1 || numbers.bRow == 1, numbers.inner == 1 || numbers.c.inner == m * n,
      let source = SplitSum(epilogue: epilogue).finishSource
    else { return [] }
    let (transposeA, transposeB) = (numbers.aColumn != 1, numbers.bColumn != 1)
    let product = BlasProduct(
      m: m, n: n, k: k, transposeA: transposeA, transposeB: transposeB, aRow: transposeA ? numbers.aColumn : numbers.aRow,
      bRow: transposeB ? numbers.bColumn : numbers.bRow, batches: batches, aMatrix: numbers.a.inner, bMatrix: numbers.b.inner)
    return [
      GPUVariant(name: "clblast") {
        if epilogue == Epilogue() { return node.kernel(product, left, rightArgument(node), result) }
        let sums = node.temporary(reals: total)
        node.kernel(product, left, rightArgument(node), sums)
        node.kernel(source, "finish", [sums] + epilogueOperands + [result, .int(total), .int(n)], count: total)
      }
    ]
  }
}

extension MatrixNumbers {
  /// `matrices` products of one size, `aMatrix`, `bMatrix` and `cMatrix` elements between them.
  init(m: Int, n: Int, k: Int, aRow: Int, aColumn: Int = 1, bRow: Int, bColumn: Int, matrices: Int = 1, aMatrix: Int = 0, bMatrix: Int = 0, cMatrix: Int = 0) {
    (self.m, self.n, self.k) = (m, n, k)
    (self.aRow, self.aColumn, self.bRow, self.bColumn) = (aRow, aColumn, bRow, bColumn)
    inner = matrices
    a = (0, aMatrix)
    b = (0, bMatrix)
    c = (0, cMatrix)
  }
}

/// Sizes that count as the same when variants are timed.
enum TuningClass {
  /// The next power of two.
  static func of(_ count: Int) -> Int {
    var size = 1
    while size < count { size *= 2 }
    return size
  }
}
