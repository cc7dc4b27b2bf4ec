import CKernels
import GraphModule
import TensorModule

extension MatMul: CPUBinding {
  package func lower(_ node: NodeLowering) throws -> Bool {
    if let first = node.first { return try node.lower(first, epilogue) }
    if node.isAll(.float64) { return try lowerFloat64(node) }
    guard node.isAll(.float32) else { return false }
    if let weights = node.constant(1), weights.shape.dropLast(2).allSatisfy({ $0 == 1 }), !transposeA {
      return try lowerDense(node, weights)
    }
    return try lowerBatched(node)
  }

  package func takesPrologue(_ prologue: Prologue, _ node: Node, in graph: Graph, _ options: PlanOptions) -> Bool {
    guard let weights = graph.type(of: node.inputs[1]).shape, graph.constants[node.inputs[1]] != nil, !transposeA,
      weights.dropLast(2).allSatisfy({ $0 == 1 }), let output = graph.type(of: node.outputs[0]).shape
    else { return false }
    return graph.isProductWorthPrologue(node, rows: output.dropLast().elementCount, options)
  }

  /// All rows in one product with these weights; without distances between rows.
  func denseParams(_ weights: Shape, _ output: Shape) -> kiln_gemm_params {
    var params = kiln_gemm_params()
    params.m = Int64(output.dropLast().elementCount)
    params.n = Int64(output[output.count - 1])
    params.k = Int64(weights[weights.count - (transposeB ? 1 : 2)])
    params.activation = epilogue.activation.kernel
    return params
  }

  /// How far apart the weights' rows and columns are in memory.
  func denseStrides(_ params: kiln_gemm_params) -> (row: Int, column: Int) {
    transposeB ? (1, Int(params.k)) : (Int(params.n), 1)
  }

  /// Weights on the right: all rows of the left operand in one product with packed weights.
  private func lowerDense(_ node: NodeLowering, _ weights: Tensor) throws -> Bool {
    var params = denseParams(weights.shape, node.outputShapes[0])
    let (rowStride, columnStride) = denseStrides(params)
    try node.gemm(
      &params, weights, rowStride: rowStride, columnStride: columnStride, [node.input(0)], node.epilogueOperands(epilogue))
    node.allowResidualInPlace(epilogue)
    return true
  }

  /// Two computed operands: batches in two axes with strides, or in one and a table of the others, then the epilogue over the result.
  private func lowerBatched(_ node: NodeLowering) throws -> Bool {
    var (a, b, c) = (node.inputShapes[0], node.inputShapes[1], node.outputShapes[0])
    // One matrix on the right: all rows of the left operand are one matrix.
    if !transposeA, b.dropLast(2).allSatisfy({ $0 == 1 }), a.count > 2, b.count <= a.count {
      (a, b, c) = ([a.dropLast().elementCount, a[a.count - 1]], Array(b.suffix(2)), [c.dropLast().elementCount, c[c.count - 1]])
    }
    let batch = Array(c.dropLast(2))
    let strides = [a, b, c].map { ChainProgram.strides(of: Array($0.dropLast(2)), in: batch) }
    let matrices = [a, b, c].map { $0.suffix(2).elementCount }
    // Outermost axis first: (length, stride of a, of b, of c), adjacent axes joined where all strides allow it.
    var axes: [(length: Int, strides: [Int])] = []
    for axis in batch.indices where batch[axis] != 1 {
      let own = (0..<3).map { strides[$0][axis] * matrices[$0] }
      if let last = axes.last, (0..<3).allSatisfy({ last.strides[$0] == own[$0] * batch[axis] }) {
        axes[axes.count - 1] = (last.length * batch[axis], own)
      } else {
        axes.append((batch[axis], own))
      }
    }
    while axes.count < 2 { axes.insert((1, [0, 0, 0]), at: 0) }

    // No table that is large beside the result.
    let outer = axes.dropLast().reduce(1) { $0 * $1.length }
    guard axes.count <= 2 || outer <= 1 << 16 || 3 * outer <= c.elementCount / 4 else { return false }
    var params = kiln_matmul_params()
    params.batch_outer = Int64(outer)
    params.batch_inner = Int64(axes[axes.count - 1].length)
    if axes.count > 2 {
      // In the order of a, b, c for each.
      var table: [Int64] = [0, 0, 0]
      for axis in axes.dropLast() {
        var longer: [Int64] = []
        longer.reserveCapacity(table.count * axis.length)
        for start in stride(from: 0, to: table.count, by: 3) {
          for index in 0..<axis.length {
            for operand in 0..<3 { longer.append(table[start + operand] + Int64(index * axis.strides[operand])) }
          }
        }
        table = longer
      }
      params.outer = UnsafePointer(try node.keep(array: table))
    }
    let (first, last) = (axes[0].strides.map(Int64.init), axes[axes.count - 1].strides.map(Int64.init))
    (params.a_outer, params.a_inner) = (first[0], last[0])
    (params.b_outer, params.b_inner) = (first[1], last[1])
    (params.c_outer, params.c_inner) = (first[2], last[2])
    let (m, n) = (c[c.count - 2], c[c.count - 1])
    let k = a[a.count - (transposeA ? 2 : 1)]
    (params.m, params.n, params.k) = (Int64(m), Int64(n), Int64(k))
    (params.a_row, params.a_column) = transposeA ? (1, Int64(m)) : (Int64(k), 1)
    (params.b_row, params.b_column) = transposeB ? (1, Int64(k)) : (Int64(n), 1)
    params.c_row = Int64(n)
    params.alpha = 1
    let parts = kiln_matmul_parts(&params, node.threads)
    node.because("\(batch.elementCount) products of computed matrices [\(m), \(k)] x [\(k), \(n)]")
    let scratch = node.temporary(byteCount: kiln_matmul_scratch_bytes(&params, parts))
    try node.step(
      kiln_matmul_f32, "matmul", copying: params, [node.input(0), node.input(1), node.output(), scratch], parts: parts)
    return try lowerEpilogue(node)
  }

  func lowerEpilogue(_ node: NodeLowering) throws -> Bool {
    if epilogue == .none { return true }
    var program = ChainProgram(
      shape: node.outputShapes[0],
      inputs: [.init(operand: node.output(), dtype: node.outputs[0].dtype, shape: node.outputShapes[0])], steps: [],
      resultType: node.outputs[0].dtype)
    for index in [epilogue.biasIndex(), epilogue.residualIndex()].compactMap({ $0 }) {
      program.inputs.append(
        .init(operand: node.input(index), dtype: node.inputs[index].dtype, shape: node.inputShapes[index]))
      let left: ChainProgram.Source = program.steps.isEmpty ? .input(0) : .step(program.steps.count - 1)
      program.steps.append(.init(function: .add, parameters: [], sources: [left, .input(program.inputs.count - 1)]))
    }
    if epilogue.activation != .identity {
      let left: ChainProgram.Source = program.steps.isEmpty ? .input(0) : .step(program.steps.count - 1)
      program.steps.append(
        .init(function: epilogue.activation.function, parameters: epilogue.activation.parameters, sources: [left]))
    }
    return try program.append(to: node, output: node.output(), label: "chain")
  }
}

extension Graph {
  /// Whether a product in float32 by our kernels with packed weights has rows enough that a pass over them is worth saving.
  func isProductWorthPrologue(_ node: Node, rows: Int, _ options: PlanOptions) -> Bool {
    guard let weights = constants[node.inputs[1]] else { return false }
    return rows >= 32 && !OpenBLAS.isPreferred && !options.streams(weights.byteCount)
      && (node.inputs + node.outputs).allSatisfy { type(of: $0).dtype == .float32 }
  }
}

extension NodeLowering {
  /// Adds a product with constant weights on the right. `m`, `n`, `k` and the activation of `params` are set; rows are dense.
  ///
  /// - Parameters:
  ///   - rowStride, columnStride: where element (row, column) of the [k, n] weights is.
  func gemm(
    _ params: inout kiln_gemm_params, _ weights: Tensor, rowStride: Int, columnStride: Int, _ left: [StepOperand],
    _ rest: [StepOperand]
  ) throws {
    (params.lda, params.ldc, params.ldr) = (params.k, params.n, params.n)
    let (n, k) = (params.n, params.k)
    if prologue == nil, try productWithoutPacking(params, weights, rowStride: rowStride, columnStride: columnStride, left, rest) { return }
    if OpenBLAS.isPreferred, let blas = OpenBLAS.library, [params.m, n, k].allSatisfy({ $0 < Int32.max }) {
      let own = OpenBLAS.Parameters(
        sgemm: blas.sgemm, m: Int(params.m), n: Int(n), k: Int(k), transposeB: columnStride != 1 || rowStride != Int(n),
        activation: params.activation)
      because("OpenBLAS is preferred to the \(Machine.instructionSet) kernels")
      try step(
        OpenBLAS.gemmKernel, "openblas", copying: own, left + [.memory(weights.address)] + rest,
        parts: max(1, min(threads, Int32(clamping: params.m / 8))))
      return
    }
    let packed = try packedProduct(weights, rowStride: rowStride, columnStride: columnStride, n: n, k: k)
    let parts = kiln_gemm_parts(&params, threads)
    because(params.reason("constant weights, packed:", parts: parts))
    guard let prologue else {
      try step(kiln_gemm_f32, "gemm", copying: params, left + [packed] + rest, parts: parts)
      return
    }
    params.prologue.sources = Int32(prologue.sources.count)
    params.prologue.widths = UnsafePointer(try keep(array: prologue.sources.map { Int64(width(of: $0)) }))
    params.prologue.scale_rows = prologue.perSample ? params.m / Int64(max(1, inputShapes[0][0])) : 0
    params.prologue.activation = prologue.activation.kernel
    let scratch = temporary(byteCount: kiln_gemm_scratch_bytes(&params, parts))
    try step(
      kiln_gemm_f32, "gemm", copying: params,
      [operand(prologue.sources[0]), packed] + rest
        + [prologue.scale.map(operand) ?? .absent, prologue.shift.map(operand) ?? .absent, scratch]
        + prologue.sources.dropFirst().map(operand), parts: parts)
  }

  /// [k, n] weights in the layout of products, element (row, column) of which is at the strides.
  func packedProduct(_ weights: Tensor, rowStride: Int, columnStride: Int, n: Int64, k: Int64) throws -> StepOperand {
    try packed(weights, layout: "gemm", key: [Int(n), Int(k), rowStride, columnStride], byteCount: kiln_gemm_packed_bytes(n, k)) {
      kiln_gemm_pack(
        weights.address.assumingMemoryBound(to: Float.self), Int64(rowStride), Int64(columnStride), n, k,
        $0.assumingMemoryBound(to: Float.self))
    }
  }
}
