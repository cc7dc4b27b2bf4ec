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
    let (ways, kind) = variants(node, window, channels, out)
    let work = 2 * window.pixels * out * window.window.reduce(channels, *)
    let numbers =
      [TuningClass.of(window.pixels), out, channels, groups] + window.window + window.strides + window.dilations + [epilogue.residual ? 1 : 0]
    guard node.fastest(kind, numbers, flops: work, of: ways) else {
      return .refused("its activation has no kernel, or the device has too small work-groups")
    }
    return .runs
  }

  private func operands(_ node: GPULowering) -> [GPUArgument] {
    [node.optionalInput(epilogue.biasIndex()), node.optionalInput(epilogue.residualIndex()), node.output()]
  }

  private func product(_ node: GPULowering, _ numbers: MatrixNumbers) -> ProductKernel {
    ProductKernel(
      numbers: numbers, matrices: 1, matrix: 0, left: node.input(0), right: 1, epilogue: epilogue, bias: node.optionalInput(epilogue.biasIndex()),
      residual: node.optionalInput(epilogue.residualIndex()), result: node.output())
  }

  /// The ways to compute it, and what class of shapes they are timed in.
  private func variants(_ node: GPULowering, _ window: WindowNumbers, _ channels: Int, _ out: Int) -> ([GPUVariant], String) {
    // A single tap without strides is a product over all pixels at once.
    if groups == 1, window.window == [1, 1, 1], window.strides == [1, 1, 1], window.input == window.output {
      let product = product(node, MatrixNumbers(m: window.pixels, n: out, k: channels, aRow: channels, bRow: out, bColumn: 1))
      return (product.variants(node), "product")
    }
    let direct = node.prefersVectors ? tiles(node, window, channels, out) : lanes(node, window, channels, out)
    return (direct + winograd(node, window, channels, out), "conv")
  }

  private func tiles(_ node: GPULowering, _ window: WindowNumbers, _ channels: Int, _ out: Int) -> [GPUVariant] {
    let n = out / groups
    return TileKernel.candidates(m: window.pixels, n: n, node.device, epilogue).map { tile in
      GPUVariant(name: "tile \(tile.name)") {
        let depth = window.window.reduce(channels, *)
        let packed = node.packed(
          1, PackKernel.Layout(depth: depth, n: n, matrices: groups, row: out, column: 1, matrix: n), columns: tile.columns)
        let numbers: [GPUArgument] = [.int(window.pixels), .int(n), .int(channels), .int(groups)] + window.arguments
        node.kernel(
          tile.conv, "conv", [node.input(0), packed] + operands(node) + [node.zeros(window.window[2] * channels)] + numbers,
          global: [(window.pixels + tile.rows - 1) / tile.rows, (n + tile.columns - 1) / tile.columns * groups],
          local: [TileKernel.group(window.pixels, tile.rows), 1])
      }
    }
  }

  private func lanes(_ node: GPULowering, _ window: WindowNumbers, _ channels: Int, _ out: Int) -> [GPUVariant] {
    let n = out / groups
    let depth = window.window.reduce(channels, *)
    let total = window.pixels * out
    let left = LaneKernel.Side(alongTerms: true, vector: channels % 4 == 0 ? 4 : 1)
    let right = LaneKernel.Side(alongTerms: false, vector: n % 4 == 0 ? 4 : 1)
    return LaneTile.candidates(m: window.pixels, n: n, k: depth, batches: groups, node.device).compactMap { tile in
      guard let kernel = LaneKernel(tile, left: left, right: right, epilogue: epilogue), tile.splits == 1 || total < 1 << 28 else { return nil }
      return GPUVariant(name: tile.name) {
        let (global, local) = kernel.sizes(m: window.pixels, n: n, batches: groups)
        let sum = product(node, MatrixNumbers(m: window.pixels, n: n, k: depth, aRow: 0, bRow: 0, bColumn: 1))
        sum.summed(node, splits: tile.splits, total: total, columns: out) { target in
          let operands = [node.input(0), node.input(1), sum.bias, sum.residual, target]
          node.kernel(
            kernel.conv, "conv",
            operands + [.int(window.pixels), .int(n), .int(channels), .int(groups)] + window.arguments + [.int(total)], global: global, local: local)
        }
      }
    }
  }

  /// Winograd's algorithm for 3x3 taps without strides, with 4x4 and 2x2 tiles.
  private func winograd(_ node: GPULowering, _ window: WindowNumbers, _ channels: Int, _ out: Int) -> [GPUVariant] {
    guard !node.exact, node.precision == .float32, groups == 1, window.window == [1, 3, 3], window.strides == [1, 1, 1], window.dilations == [1, 1, 1],
      window.input[0] == 1, window.output[0] == 1, window.low[0] == 0, channels >= 8, out >= 8, let kernel = node.constant(1)
    else { return [] }
    return [4, 2].compactMap { size in
      guard let winograd = WinogradKernel(outputs: size, window, channels: channels, out: out, epilogue, node) else { return nil }
      return GPUVariant(name: "winograd \(size)x\(size)") { winograd.append(to: node, kernel, operands(node)) }
    }
  }

  /// Every output channel has a window of its own over one input channel.
  private func depthwise(_ node: GPULowering, _ window: WindowNumbers, _ out: Int) -> GPUSupport {
    guard let activation = ScalarPrinter.activation(epilogue.activation) else { return .refused("its activation has no kernel") }
    let multiplier = out / groups
    let width = node.prefersVectors && multiplier == 1 ? [16, 8, 4].first { $0 <= node.device.vectorWidth && out % $0 == 0 } ?? 1 : 1
    let ways = (node.prefersVectors ? [4, 1, 8] : [1, 2, 4]).map { pixels in
      GPUVariant(name: "\(pixels) pixels") {
        let kernel = DepthwiseKernel(width: width, pixels: pixels, hasBias: epilogue.bias, hasResidual: epilogue.residual, activation: activation)
        let (lanes, blocks) = (out / width, (window.output[2] + pixels - 1) / pixels)
        let group = min(node.prefersVectors ? 4 : 64, node.group(of: lanes))
        node.kernel(
          kernel.source, "depthwise",
          [node.input(0), node.input(1)] + operands(node) + [.int(window.batch), .int(out), .int(multiplier)] + window.arguments,
          global: [lanes, window.batch * window.output[0] * window.output[1] * blocks], local: [group, 1])
      }
    }
    let numbers = [TuningClass.of(window.pixels), out, multiplier] + window.window + window.strides + window.dilations
    _ = node.fastest("depthwise", numbers, flops: 2 * window.pixels * out * window.window.reduce(1, *), of: ways)
    return .runs
  }
}

extension TileKernel {
  /// Work-items of a group: tiles below each other share a column block of the weights.
  static func group(_ rows: Int, _ tile: Int) -> Int { rows > 8 * tile ? 4 : 1 }
}
