import GraphModule
import TensorModule

extension Conv: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    let kernel = node.inputShapes[1]
    let window = WindowNumbers(
      input: node.inputShapes[0], output: node.outputShapes[0], window: Array(kernel.dropLast(2)), strides: strides, dilations: dilations,
      padding: padding)
    guard window.fits else { return .refused("its numbers do not fit 32 bits") }
    let (channels, out) = (kernel[kernel.count - 2], kernel[kernel.count - 1])
    if let residual = epilogue.residualIndex() { node.allowInPlace(over: residual) }
    if !node.isAll(.float32) { return plain(node, window, channels, out) }
    if groups > 1, channels == 1 { return depthwise(node, window, out) }
    if node.prefersVectors { return tiles(node, window, channels, out) }
    return lanes(node, window, channels, out)
  }

  private func operands(_ node: GPULowering) -> [GPUArgument] {
    [node.optionalInput(epilogue.biasIndex()), node.optionalInput(epilogue.residualIndex()), node.output()]
  }

  private func tiles(_ node: GPULowering, _ window: WindowNumbers, _ channels: Int, _ out: Int) -> GPUSupport {
    guard let tile = TileKernel(rows: window.pixels, device: node.device, epilogue: epilogue) else {
      return .refused("its activation has no kernel")
    }
    let n = out / groups
    let depth = window.window.reduce(channels, *)
    let packed = node.packed(
      1, PackKernel.Layout(depth: depth, n: n, matrices: groups, row: out, column: 1, matrix: n), columns: tile.columns)
    let blocks = (n + tile.columns - 1) / tile.columns
    // A single tap without strides is a product over all pixels at once.
    if groups == 1, window.window == [1, 1, 1], window.strides == [1, 1, 1], window.input == window.output {
      let numbers: [GPUArgument] = [window.pixels, n, depth, depth, 1, 1, 0, 0, 0, 0, 0, 0].map { .int($0) }
      node.kernel(
        tile.matmul, "matmul", [node.input(0), packed] + operands(node) + numbers,
        global: [(window.pixels + tile.rows - 1) / tile.rows, blocks, 1], local: [TileKernel.group(window.pixels, tile.rows), 1, 1])
      return .runs
    }
    node.kernel(
      tile.conv, "conv",
      [node.input(0), packed] + operands(node) + [node.zeros(window.window[2] * channels), .int(window.pixels), .int(n), .int(channels), .int(groups)]
        + window.arguments,
      global: [(window.pixels + tile.rows - 1) / tile.rows, blocks * groups], local: [TileKernel.group(window.pixels, tile.rows), 1])
    return .runs
  }

  private func lanes(_ node: GPULowering, _ window: WindowNumbers, _ channels: Int, _ out: Int) -> GPUSupport {
    guard let lane = LaneKernel(device: node.device, epilogue: epilogue) else { return .refused("its activation has no kernel") }
    let n = out / groups
    node.kernel(
      lane.conv, "conv",
      [node.input(0), node.input(1)] + operands(node) + [.int(window.pixels), .int(n), .int(channels), .int(groups)] + window.arguments,
      global: LaneKernel.global(m: window.pixels, n: n, batches: groups), local: [LaneKernel.side, LaneKernel.side, 1])
    return .runs
  }

  /// Every output channel has a window of its own over one input channel.
  private func depthwise(_ node: GPULowering, _ window: WindowNumbers, _ out: Int) -> GPUSupport {
    guard let activation = ScalarPrinter.activation(epilogue.activation) else { return .refused("its activation has no kernel") }
    let multiplier = out / groups
    let width = node.prefersVectors && multiplier == 1 ? [16, 8, 4].first { $0 <= node.device.vectorWidth && out % $0 == 0 } ?? 1 : 1
    let source = DepthwiseKernel(width: width, hasBias: epilogue.bias, hasResidual: epilogue.residual, activation: activation).source
    let lanes = out / width
    let group = node.prefersVectors ? min(16, lanes) : min(64, lanes)
    node.kernel(
      source, "depthwise", [node.input(0), node.input(1)] + operands(node) + [.int(window.pixels), .int(out), .int(multiplier)] + window.arguments,
      global: [lanes, window.pixels], local: [max(1, min(group, node.device.maximumGroup)), 1])
    return .runs
  }
}

extension TileKernel {
  /// Work-items of a group: tiles below each other share a column block of the weights.
  static func group(_ rows: Int, _ tile: Int) -> Int { rows > 8 * tile ? 4 : 1 }
}

extension LaneKernel {
  static func global(m: Int, n: Int, batches: Int) -> [Int] {
    [(n + tile - 1) / tile * side, (m + tile - 1) / tile * side, batches]
  }
}
