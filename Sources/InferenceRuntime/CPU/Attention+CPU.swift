import CKernels
import GraphModule
import TensorModule

extension NodeLowering {
  /// Adds the attention that ends in this node.
  func lowerAttention() throws {
    guard let attention, attention.batch.count <= Int(KILN_ATTENTION_AXES) else { throw KilnError(.internal, "no attention to lower") }
    var params = kiln_attention_params()
    params.axes = Int32(attention.batch.count)
    withUnsafeMutableBytes(of: &params.lengths) { $0.store(attention.batch.map(Int64.init)) }
    (params.m, params.n) = (Int64(attention.m), Int64(attention.n))
    (params.depth, params.width) = (Int64(attention.depth), Int64(attention.width))
    params.q = kiln_attention_matrix(attention.query.strides)
    params.k = kiln_attention_matrix(attention.key.strides)
    params.v = kiln_attention_matrix(attention.value.strides)
    params.y = kiln_attention_matrix(attention.result)
    params.scale = Float(attention.scale)
    var operands: [StepOperand] = []
    func kept(_ programs: [Attention.Program]) throws -> UnsafePointer<kiln_attention_program> {
      var lowered: [kiln_attention_program] = []
      for program in programs { lowered.append(try self.lowered(program, &operands)) }
      return UnsafePointer(try keep(array: lowered))
    }
    params.before_count = Int32(attention.before.count)
    params.before = try kept(attention.before)
    params.after_count = Int32(attention.after.count)
    params.after = try kept(attention.after)
    let parts = kiln_attention_parts(&params, threads)
    let scratch = temporary(byteCount: kiln_attention_scratch_bytes(&params, parts))
    let rows = kiln_attention_rows(&params, parts)
    because(
      "\(attention.batch.elementCount) of [\(attention.m), \(attention.depth)] x [\(attention.depth), \(attention.n)] x [\(attention.n), \(attention.width)], \(rows) rows of scores at a time")
    func start(_ view: StridedView) -> StepOperand { operand(view.base).advanced(by: view.offset * DType.float32.byteCount) }
    try step(
      kiln_attention_f32, "attention", copying: params,
      [start(attention.query), start(attention.key), start(attention.value), output(), scratch] + operands, parts: parts)
  }

  /// - Parameter operands: of the programs, behind the step's own five.
  private func lowered(_ program: Attention.Program, _ operands: inout [StepOperand]) throws -> kiln_attention_program {
    guard let kept = try program.chain.prepared(self) else { throw KilnError(.internal, "a program of an attention does not run") }
    // A block has fewer rows, so that rows and columns are not joined.
    kept.pointee.rank = 2
    withUnsafeMutableBytes(of: &kept.pointee.dims) { $0.store(program.chain.shape.map(Int64.init)) }
    var inputs: [kiln_attention_input] = []
    for (index, source) in program.sources.enumerated() {
      let strides = ChainProgram.strides(of: program.chain.inputs[index].shape, in: program.chain.shape)
      withUnsafeMutableBytes(of: &kept.pointee.inputs[index].strides) { $0.store(strides.map(Int64.init)) }
      var input = kiln_attention_input()
      switch source {
      case .scores: input.operand = Int32(KILN_ATTENTION_SCORES)
      case .maxima: input.operand = Int32(KILN_ATTENTION_MAXIMA)
      case .value(let value, let batch):
        input.operand = Int32(5 + operands.count)
        withUnsafeMutableBytes(of: &input.batch) { $0.store(batch.map(Int64.init)) }
        operands.append(operand(value))
      }
      inputs.append(input)
    }
    return kiln_attention_program(chain: kept.pointee, inputs: UnsafePointer(try keep(array: inputs)))
  }
}

extension kiln_attention_matrix {
  /// - Parameter strides: of the batches, the rows and the columns.
  fileprivate init(_ strides: [Int]) {
    self.init()
    withUnsafeMutableBytes(of: &batch) { $0.store(strides.dropLast(2).map(Int64.init)) }
    (row, column) = (Int64(strides[strides.count - 2]), Int64(strides[strides.count - 1]))
  }
}
