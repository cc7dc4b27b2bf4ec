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
    // The projection of the inputs: with the steps, where they have as many threads as it would, or of all steps before them.
    var product = kiln_gemm_params()
    (product.m, product.n, product.k) = (Int64(x[0] * x[1]), Int64(width), Int64(x[2]))
    product.activation = Activation.identity.kernel
    (product.lda, product.ldc, product.ldr) = (product.k, product.n, product.n)
    // Beside another sequence each has a thread of its own, and all rows, of which several share the weights.
    let parts = node.hasCompanion && (x[0] < node.threads || node.threads == 2) ? 1 : kiln_rnn_parts(&params, node.threads)
    let productParts = kiln_gemm_parts(&product, node.threads)
    var (inputs, kernel, inputBias, projections) = (StepOperand.absent, StepOperand.absent, StepOperand.absent, StepOperand.absent)
    if params.shared == 0, parts >= productParts || node.hasCompanion && node.threads == 2, product.m > 0, let weights = node.constant(1),
      node.packs(weights, rows: x[0] * x[1])
    {
      params.features = product.k
      inputs = node.input(0)
      kernel = try node.packedProduct(weights, rowStride: width, columnStride: 1, n: product.n, k: product.k)
      inputBias = node.optionalInput(operands.bias)
      projections = node.temporary(byteCount: Int(kiln_rnn_projection_bytes(&params, parts)))
    } else {
      inputs = node.temporary(byteCount: max(1, x[0] * x[1] * width * 4))
      try addProjection(to: node, product, inputs)
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
    node.because(
      (params.features > 0 ? "the inputs of some steps at a time in one product, \(x[1]) in all" : "the inputs of all \(x[1]) steps in one product")
        + ", then \(units) units a step"
        + (params.shared == 1 ? ", shared by \(parts) threads" : node.hasCompanion ? ", beside another sequence" : ""))
    var team = StepOperand.absent
    if params.shared == 1 {
      team = node.temporary(byteCount: Int(kiln_rnn_team_bytes()))
      try node.step(kiln_rnn_team_reset, "team", nil, [team])
    }
    try node.step(
      kiln_rnn, "rnn/\(cell.rawValue)" + (params.form == 0 ? "" : "/\(node.options.weights.rawValue)"), copying: params,
      [
        inputs, packed, recurrentBias, node.optionalInput(operands.h0), node.optionalInput(operands.c0),
        node.optionalInput(operands.mask), output, h, c, node.temporary(byteCount: Int(kiln_rnn_scratch_bytes(&params))), team, trace,
        kernel, inputBias, projections,
      ], parts: parts, isSequence: parts == 1)
  }

  /// Adds the product of all inputs with their kernel; `product` has its sizes.
  private func addProjection(to node: NodeLowering, _ product: kiln_gemm_params, _ projected: StepOperand) throws {
    guard product.m > 0 else { return }
    var product = product
    let rest = [node.optionalInput(operands.bias), .absent, projected]
    if let kernel = node.constant(1) {
      try node.gemm(&product, kernel, rowStride: Int(product.n), columnStride: 1, [node.input(0)], rest)
      return
    }
    // Weights that change from run to run are packed in each.
    let packed = node.temporary(byteCount: kiln_gemm_packed_bytes(product.n, product.k))
    try node.step(Self.pack, "pack", copying: PackParameters(rows: product.k, columns: product.n), [node.input(1), packed])
    let parts = kiln_gemm_parts(&product, node.threads)
    try node.step(kiln_gemm_f32, "gemm", copying: product, [node.input(0), packed] + rest, parts: parts)
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
