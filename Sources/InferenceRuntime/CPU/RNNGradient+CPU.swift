import CKernels
import GraphModule
import TensorModule

extension RNNGradient: CPUBinding {
  package func lower(_ node: NodeLowering) throws -> Bool {
    let operands = rnn.operands
    let functions = [rnn.activation] + (rnn.cell == .simple ? [] : [rnn.recurrentActivation])
    guard functions.allSatisfy({ kiln_rnn_gradient_knows($0.kernel.function) }),
      node.inputs.indices.allSatisfy({ $0 == operands.mask || node.inputs[$0].dtype == .float32 })
    else { return false }
    let x = node.inputShapes[0]
    let (batch, time, features, units) = (x[0], x[1], x[2], node.inputShapes[2][0])
    let (rows, width) = (batch * time, rnn.cell.gates * units)
    guard rows > 0 else { return false }
    let fields = rnn.cell.traceFields * units
    let trace = try traceOperand.map { node.input($0) } ?? ownTrace(node, rows: rows, fields: fields, batch: batch, units: units)

    var params = kiln_rnn_gradient_params()
    params.cell = rnn.cell.kernel
    (params.batch, params.time, params.units) = (Int64(batch), Int64(time), Int64(units))
    params.go_backwards = rnn.goBackwards ? 1 : 0
    params.return_sequences = rnn.returnSequences ? 1 : 0
    params.zero_masked_output = rnn.zeroOutputForMask ? 1 : 0
    params.activation = rnn.activation.kernel
    params.recurrent_activation = rnn.recurrentActivation.kernel
    let packed = node.temporary(byteCount: kiln_rnn_gradient_packed_bytes(&params))
    try node.step(kiln_rnn_gradient_pack, "pack", copying: params, [node.input(2), packed])
    let slopes = node.temporary(byteCount: rows * width * 4)
    // The candidate's sum with the state is its own where the reset gate multiplies it.
    let stateSlopes = rnn.cell == .gruResetAfter ? node.temporary(byteCount: rows * width * 4) : slopes
    let gated = rnn.cell == .gru ? node.temporary(byteCount: rows * units * 4) : .absent
    let first = firstCotangent
    func result(_ operand: Int?) -> StepOperand {
      operand.flatMap { differentiated.firstIndex(of: $0) }.map { node.optionalOutput($0) } ?? .absent
    }
    try node.step(
      kiln_rnn_gradient_f32, "rnn_gradient/\(rnn.cell.rawValue)", copying: params,
      [
        trace, packed, node.optionalInput(operands.mask), node.input(first), node.input(first + 1),
        rnn.cell == .lstm ? node.input(first + 2) : .absent, slopes, stateSlopes, gated, result(operands.h0), result(operands.c0),
        node.temporary(byteCount: kiln_rnn_gradient_scratch_bytes(&params)),
      ], parts: kiln_rnn_gradient_parts(&params, node.threads))

    if case .value = node.optionalOutput(0) {
      try node.matmul(slopes, node.input(1), node.output(0), m: rows, n: features, k: width, transposeB: true)
    }
    if case .value = node.optionalOutput(1) {
      try node.matmul(node.input(0), slopes, node.output(1), m: features, n: width, k: rows, transposeA: true)
    }
    if case .value = node.optionalOutput(2) {
      let states = trace.advanced(by: (fields - units) * 4)
      let through = rnn.cell == .gru ? 2 * units : width
      try node.matmul(
        states, stateSlopes, node.output(2), m: units, n: through, k: rows, transposeA: true, rows: (fields, width, width))
      if rnn.cell == .gru {
        try node.matmul(
          gated, slopes.advanced(by: through * 4), node.output(2, byteOffset: through * 4), m: units, n: units, k: rows, transposeA: true,
          rows: (nil, width, width))
      }
    }
    if let bias = operands.bias, let index = differentiated.firstIndex(of: bias), case .value = node.optionalOutput(index) {
      try addSum(node, slopes, node.output(index), rows: rows, width: width)
      if rnn.cell == .gruResetAfter { try addSum(node, stateSlopes, node.output(index, byteOffset: width * 4), rows: rows, width: width) }
    }
    return true
  }

  /// Runs the forward pass again for its trace.
  private func ownTrace(_ node: NodeLowering, rows: Int, fields: Int, batch: Int, units: Int) throws -> StepOperand {
    let trace = node.temporary(byteCount: rows * fields * 4)
    let output = node.temporary(byteCount: (rnn.returnSequences ? rows : batch) * units * 4)
    try rnn.addSteps(to: node, output: output, h: .absent, c: .absent, trace: trace)
    return trace
  }

  private func addSum(_ node: NodeLowering, _ from: StepOperand, _ to: StepOperand, rows: Int, width: Int) throws {
    var sum = kiln_reduce_params()
    (sum.outer, sum.axis, sum.inner) = (1, Int64(rows), Int64(width))
    sum.op = Reduce.Kind.sum.kernel
    sum.dtype = Int32(DType.float32.rawValue)
    sum.result_dtype = sum.dtype
    try node.step(kiln_reduce, "sum", copying: sum, [from, to], parts: kiln_reduce_parts(&sum, node.threads))
  }
}

extension NodeLowering {
  /// Adds a product of two computed matrices.
  ///
  /// - Parameters:
  ///   - rows: how many floats lie between two rows of `a`, `b` and `c` as they are in memory; nil: they are dense.
  func matmul(
    _ a: StepOperand, _ b: StepOperand, _ c: StepOperand, m: Int, n: Int, k: Int, transposeA: Bool = false, transposeB: Bool = false,
    rows: (a: Int?, b: Int?, c: Int?) = (nil, nil, nil)
  ) throws {
    var params = kiln_matmul_params()
    (params.batch_outer, params.batch_inner) = (1, 1)
    (params.m, params.n, params.k) = (Int64(m), Int64(n), Int64(k))
    let (strideA, strideB) = (Int64(rows.a ?? (transposeA ? m : k)), Int64(rows.b ?? (transposeB ? k : n)))
    (params.a_row, params.a_column) = transposeA ? (1, strideA) : (strideA, 1)
    (params.b_row, params.b_column) = transposeB ? (1, strideB) : (strideB, 1)
    params.c_row = Int64(rows.c ?? n)
    params.alpha = 1
    let parts = kiln_matmul_parts(&params, threads)
    try step(
      kiln_matmul_f32, "matmul", copying: params, [a, b, c, temporary(byteCount: kiln_matmul_scratch_bytes(&params, parts))], parts: parts)
  }
}
