import CKernels
import GraphModule
import TensorModule

extension RNN: CPUBinding {
  package var isSequential: Bool { true }

  package func lower(_ node: NodeLowering) throws -> Bool {
    guard node.inputs.indices.allSatisfy({ $0 == operands.mask || node.inputs[$0].dtype == .float32 }) else { return false }
    let states = cell == .lstm ? 2 : 1
    try addSteps(
      to: node, output: node.output(0), h: node.optionalOutput(1), c: cell == .lstm ? node.optionalOutput(2) : .absent,
      trace: trace ? node.optionalOutput(states + 1) : .absent)
    return true
  }

  /// Adds the forward pass of a node whose first operands are those of the op.
  func addSteps(to node: NodeLowering, output: StepOperand, h: StepOperand, c: StepOperand, trace: StepOperand) throws {
    let operands = operands
    let x = node.inputShapes[0]
    let units = node.inputShapes[2][0]
    let width = units * cell.gates

    // The projection of all time steps in one product.
    let projected = node.temporary(byteCount: max(1, x[0] * x[1] * width * 4))
    if x[0] * x[1] > 0, let kernel = node.constant(1) {
      var product = kiln_gemm_params()
      (product.m, product.n, product.k) = (Int64(x[0] * x[1]), Int64(width), Int64(x[2]))
      product.activation = Activation.identity.kernel
      try node.gemm(
        &product, kernel, rowStride: width, columnStride: 1, [node.input(0)],
        [node.optionalInput(operands.bias), .absent, projected])
    } else if x[0] * x[1] > 0 {
      // Weights that change from run to run are packed in each.
      let packed = node.temporary(byteCount: kiln_gemm_packed_bytes(Int64(width), Int64(x[2])))
      try node.step(Self.pack, "pack", copying: PackParameters(rows: Int64(x[2]), columns: Int64(width)), [node.input(1), packed])
      var product = kiln_gemm_params()
      (product.m, product.n, product.k) = (Int64(x[0] * x[1]), Int64(width), Int64(x[2]))
      (product.lda, product.ldc, product.ldr) = (product.k, product.n, product.n)
      product.activation = Activation.identity.kernel
      let parts = kiln_gemm_parts(&product, node.threads)
      try node.step(
        kiln_gemm_f32, "gemm", copying: product, [node.input(0), packed, node.optionalInput(operands.bias), .absent, projected], parts: parts)
    }

    var params = kiln_rnn_params()
    params.cell = cell.kernel
    params.go_backwards = goBackwards ? 1 : 0
    params.return_sequences = returnSequences ? 1 : 0
    params.zero_masked_output = zeroOutputForMask ? 1 : 0
    (params.batch, params.time, params.units) = (Int64(x[0]), Int64(x[1]), Int64(units))
    params.activation = activation.kernel
    params.recurrent_activation = recurrentActivation.kernel
    if node.options.weights != .float32, units * width >= 1 << 17, node.constant(2)?.floats.allSatisfy(\.isFinite) ?? false {
      params.form = Int32((node.options.weights == .int8 ? KILN_RNN_I8 : KILN_RNN_BF16).rawValue)
    }
    let chosen = params
    let packed = try node.packedOrComputed(
      2, layout: "rnn", key: [Int(params.cell), units, Int(params.form)], byteCount: Int(kiln_rnn_packed_bytes(&params)), params: params
    ) { weights, out in
      withUnsafePointer(to: chosen) { kiln_rnn_pack($0, weights, out) }
    } kernel: { params, operands, _, _ in
      guard let operands, let weights = operands[0], let out = operands[1] else { return }
      kiln_rnn_pack(
        params?.assumingMemoryBound(to: kiln_rnn_params.self), weights.assumingMemoryBound(to: Float.self),
        out.assumingMemoryBound(to: Float.self))
    }
    let recurrentBias: StepOperand =
      cell == .gruResetAfter ? operands.bias.map { node.input($0, byteOffset: width * 4) } ?? .absent : .absent
    // Beside another sequence each has a thread of its own, and all rows, of which several share the weights.
    let parts = node.hasCompanion && (x[0] < node.threads || node.threads == 2) ? 1 : kiln_rnn_parts(&params, node.threads)
    node.because(
      "the inputs of all \(x[1]) steps in one product, then \(units) units a step"
        + (params.shared == 1 ? ", shared by \(parts) threads" : node.hasCompanion ? ", beside another sequence" : ""))
    var team = StepOperand.absent
    if params.shared == 1 {
      team = node.temporary(byteCount: Int(kiln_rnn_team_bytes()))
      try node.step(kiln_rnn_team_reset, "team", nil, [team])
    }
    try node.step(
      kiln_rnn, "rnn/\(cell.rawValue)" + (params.form == 0 ? "" : "/\(node.options.weights.rawValue)"), copying: params,
      [
        projected, packed, recurrentBias, node.optionalInput(operands.h0), node.optionalInput(operands.c0),
        node.optionalInput(operands.mask), output, h, c, node.temporary(byteCount: Int(kiln_rnn_scratch_bytes(&params))), team, trace,
      ], parts: parts, isSequence: parts == 1)
  }
}

extension RNN {
  fileprivate struct PackParameters {
    var rows: Int64
    var columns: Int64
  }

  /// A matrix as the right operand of a product.
  fileprivate static let pack: kiln_kernel = { params, operands, _, _ in
    guard let params, let operands, let weights = operands[0], let out = operands[1] else { return }
    let p = params.load(as: PackParameters.self)
    kiln_gemm_pack(
      weights.assumingMemoryBound(to: Float.self), p.columns, 1, p.columns, p.rows, out.assumingMemoryBound(to: Float.self))
  }
}

extension RNN.Cell {
  /// The kernel's number of the cell.
  var kernel: Int32 {
    switch self {
    case .simple: Int32(KILN_RNN_SIMPLE.rawValue)
    case .lstm: Int32(KILN_RNN_LSTM.rawValue)
    case .gruResetAfter: Int32(KILN_RNN_GRU_RESET_AFTER.rawValue)
    case .gru: Int32(KILN_RNN_GRU_RESET_BEFORE.rawValue)
    }
  }
}
