import CKernels
import GraphModule
import TensorModule

extension Pool: CPUBinding {
  package func lower(_ node: NodeLowering) throws -> Bool {
    guard node.isAll(.float32) else { return false }
    let (input, output) = (node.inputShapes[0], node.outputShapes[0])
    let rank = window.count
    let amounts = (0..<rank).map {
      padding.amount(input[$0 + 1], size: window[$0], stride: strides[$0], dilation: dilations[$0], axis: $0)
    }
    let isGlobal = Array(input[1...rank]) == window && amounts.allSatisfy { $0.low == 0 && $0.high == 0 }
      && dilations.allSatisfy { $0 == 1 }
    if isGlobal, node.prologue == nil, node.activation == .identity { return try lowerGlobal(node) }

    var params = kiln_window_pool_params()
    params.batch = Int64(input[0])
    params.channels = Int64(input[rank + 1])
    func store(_ values: [Int], _ one: Int, _ field: WritableKeyPath<kiln_window_pool_params, (Int64, Int64, Int64)>) {
      let padded = [Int](repeating: one, count: 3 - values.count) + values
      params[keyPath: field] = (Int64(padded[0]), Int64(padded[1]), Int64(padded[2]))
    }
    store(Array(input[1...rank]), 1, \.input)
    store(Array(output[1...rank]), 1, \.output)
    store(window, 1, \.kernel)
    store(strides, 1, \.stride)
    store(dilations, 1, \.dilation)
    store(amounts.map(\.low), 0, \.pad_before)
    store(amounts.map(\.high), 0, \.pad_after)
    params.average = kind == .average ? 1 : 0
    params.count_include_pad = countsPadding ? 1 : 0
    params.activation = node.activation.kernel
    var operands = [node.prologue.map { node.operand($0.sources[0]) } ?? node.input(0), node.output()]
    if let prologue = node.prologue {
      params.prologue.sources = Int32(prologue.sources.count)
      params.prologue.widths = UnsafePointer(try node.keep(array: prologue.sources.map { Int64(node.width(of: $0)) }))
      params.prologue.scale_by_sample = prologue.perSample
      params.prologue.relu = prologue.activation.function == .relu
      operands += [prologue.scale.map(node.operand) ?? .absent, prologue.shift.map(node.operand) ?? .absent]
      operands += prologue.sources.dropFirst().map(node.operand)
    }
    try node.step(
      kiln_window_pool, "pool/\(kind.rawValue)", copying: params, operands, parts: kiln_window_pool_parts(&params, node.threads))
    return true
  }

  /// Where windows overlap little, so that few elements go through it more than once.
  package func takesPrologue(_ prologue: Prologue, _ node: Node, in graph: Graph, _ options: PlanOptions) -> Bool {
    guard [.identity, .relu].contains(prologue.activation.function), let input = graph.type(of: node.inputs[0]).shape,
      let output = graph.type(of: node.outputs[0]).shape
    else { return false }
    func positions(_ shape: Shape) -> Double { shape.dropFirst().dropLast().reduce(1) { $0 * Double($1) } }
    let taps = window.reduce(1) { $0 * Double($1) }
    return positions(output) > 1 && positions(output) * taps <= 2.5 * positions(input)
  }

  /// One window that is the whole image: a reduction over the positions.
  private func lowerGlobal(_ node: NodeLowering) throws -> Bool {
    node.because("one window is the whole image: a reduction")
    let input = node.inputShapes[0]
    var params = kiln_reduce_params()
    params.outer = Int64(input[0])
    params.axis = Int64(window.elementCount)
    params.inner = Int64(input[input.count - 1])
    params.op = (kind == .average ? Reduce.Kind.mean : .max).kernel
    params.dtype = Int32(DType.float32.rawValue)
    params.result_dtype = params.dtype
    try node.step(
      kiln_reduce, "pool/global_\(kind.rawValue)", copying: params, [node.input(0), node.output()],
      parts: kiln_reduce_parts(&params, node.threads))
    return true
  }
}
