import CKernels
import GraphModule
import TensorModule

extension Noise: CPUBinding {
  package func lower(_ node: NodeLowering) throws -> Bool {
    node.alias(of: 0)
    return true
  }
}

extension After: CPUBinding {
  package func lower(_ node: NodeLowering) throws -> Bool {
    node.alias(of: 0)
    return true
  }
}

extension RandomNumbers: CPUBinding {
  private struct Numbers {
    var isNormal: Bool
    var seedKey: UInt64
    var count: Int
  }

  /// Operands: counter, result.
  private static let kernel: kiln_kernel = { params, operands, part, parts in
    guard let params, let operands, let counter = operands[0], let out = operands[1] else { return }
    let numbers = params.load(as: Numbers.self)
    let key = RandomNumbers.mix(numbers.seedKey ^ UInt64(bitPattern: counter.load(as: Int64.self)))
    let result = out.assumingMemoryBound(to: Float.self)
    for index in numbers.count * Int(part) / Int(parts)..<numbers.count * (Int(part) + 1) / Int(parts) {
      result[index] = Float(RandomNumbers.number(numbers.isNormal ? .normal : .uniform, key, index))
    }
  }

  package func lower(_ node: NodeLowering) throws -> Bool {
    guard dtype == .float32 else { return false }
    let count = node.outputShapes[0].elementCount
    let numbers = Numbers(isNormal: kind == .normal, seedKey: streamKey, count: count)
    try node.step(
      Self.kernel, "random", copying: numbers, [node.input(0), node.output()], parts: max(1, min(node.threads, Int32(clamping: count / 4096))))
    return true
  }
}

extension ConvKernelGradient: CPUBinding {
  package func lower(_ node: NodeLowering) throws -> Bool {
    guard node.isAll(.float32), node.outputShapes[0].elementCount > 0,
      let window = SpatialWindow(
        input: node.inputShapes[0], output: node.inputShapes[1], kernel: window, strides: strides, dilations: dilations, low: low)
    else { return false }
    var params = kiln_conv_gradient_params()
    params.batch = window.batch
    (params.in_h, params.in_w) = window.input
    params.in_c = window.channels
    (params.out_h, params.out_w) = window.output
    params.out_c = window.outputChannels
    (params.kernel_h, params.kernel_w) = window.kernel
    (params.stride_h, params.stride_w) = window.strides
    (params.dilation_h, params.dilation_w) = window.dilations
    (params.pad_top, params.pad_left) = window.low
    params.groups = Int32(clamping: groups)
    let parts = kiln_conv_gradient_parts(&params, node.threads)
    let sums = node.temporary(byteCount: kiln_conv_gradient_partial_bytes(&params))
    try node.step(
      kiln_conv_gradient_f32, "conv_gradient", copying: params,
      [node.input(0), node.input(1), sums, node.temporary(byteCount: kiln_conv_gradient_scratch_bytes(&params))], parts: parts)
    try node.step(
      kiln_conv_gradient_sum, "sum", copying: params, [sums, node.output()],
      parts: node.outputShapes[0].elementCount > 65536 ? node.threads : 1)
    return true
  }
}

extension PoolGradient: CPUBinding {
  package func lower(_ node: NodeLowering) throws -> Bool {
    guard node.isAll(.float32) else { return false }
    let (input, output) = (node.inputShapes[0], node.inputShapes[1])
    let rank = pool.window.count
    let low = (0..<rank).map {
      pool.padding.amount(input[$0 + 1], size: pool.window[$0], stride: pool.strides[$0], dilation: pool.dilations[$0], axis: $0).low
    }
    var params = kiln_pool_gradient_params()
    params.batch = Int64(input[0])
    params.channels = Int64(input[rank + 1])
    func store(_ values: [Int], _ one: Int, _ field: WritableKeyPath<kiln_pool_gradient_params, (Int64, Int64, Int64)>) {
      let padded = [Int](repeating: one, count: 3 - values.count) + values
      params[keyPath: field] = (Int64(padded[0]), Int64(padded[1]), Int64(padded[2]))
    }
    store(Array(input[1...rank]), 1, \.input)
    store(Array(output[1...rank]), 1, \.output)
    store(pool.window, 1, \.window)
    store(pool.strides, 1, \.stride)
    store(pool.dilations, 1, \.dilation)
    store(low, 0, \.before)
    params.average = pool.kind == .average ? 1 : 0
    params.counts_padding = pool.countsPadding ? 1 : 0
    try node.step(
      kiln_pool_gradient_f32, "pool_gradient", copying: params, [node.input(0), node.input(1), node.output()],
      parts: kiln_pool_gradient_parts(&params, node.threads))
    return true
  }
}

extension Scatter: CPUBinding {
  /// Rows added up by index, from zeros: the derivative of picking rows.
  package func lower(_ node: NodeLowering) throws -> Bool {
    let (x, indices, updates) = (node.inputShapes[0], node.inputShapes[1], node.inputShapes[2])
    guard kind == .add, outside == .error, node.inputs[0].dtype == .float32, indices.last == 1, x.count >= 1, node.isZeros(0),
      node.inputs[1].dtype == .int32 || node.inputs[1].dtype == .int64
    else { return false }
    var params = kiln_scatter_add_params()
    params.count = Int64(indices.elementCount)
    params.rows = Int64(x[0])
    params.width = Int64(x.dropFirst().reduce(1, *))
    params.is_wide = node.inputs[1].dtype == .int64 ? 1 : 0
    let work = updates.elementCount + x.elementCount
    try node.step(
      kiln_scatter_add_f32, "scatter_add", copying: params,
      [node.input(1), node.input(2), node.output(), node.errorFlag("an index is out of range for \(x[0]) rows")],
      parts: work > 65536 && params.width >= 32 ? node.threads : 1)
    return true
  }
}
