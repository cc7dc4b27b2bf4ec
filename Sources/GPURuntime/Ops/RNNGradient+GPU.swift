import GraphModule
import TensorModule

extension RNNGradient: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    guard node.inputs[0].dtype == .float32 else { return .refused("it works on \(node.inputs[0].dtype.name)") }
    let operands = rnn.operands
    let (x, units) = (node.inputShapes[0], node.inputShapes[2][0])
    let (batch, time, features, width) = (x[0], x[1], x[2], units * rnn.cell.gates)
    let (rows, fields) = (batch * time, rnn.cell.traceFields)
    guard rows < (1 << 31) / max(1, fields * units) else { return .refused("its gates are too many") }
    guard let forward = RecurrentKernel(rnn, units: units, batch: batch, node) else { return .refused("its activation has no kernel") }
    if rows == 0 || units == 0 { return .refused("it has no steps") }

    var trace: GPUArgument
    if let kept = traceOperand { trace = node.input(kept) } else {
      trace = node.temporary(reals: rows * fields * units)
      let output = node.temporary(reals: (rnn.returnSequences ? rows : batch) * units)
      guard try rnn.addSteps(to: node, output: output, h: .absent, c: .absent, trace: trace) else { return .refused("the device has no kernel for products") }
    }
    let kernel = RecurrentGradientKernel(rnn, like: forward)
    let slopes = node.temporary(reals: rows * width)
    let sums = kernel.hasOwnSums ? node.temporary(reals: rows * width) : slopes
    let before = node.temporary(reals: rows * units)
    let isReset = rnn.cell == .gru
    let (gated, candidate): (GPUArgument, GPUArgument) = isReset ? (node.temporary(reals: rows * units), node.temporary(reals: rows * units)) : (.absent, .absent)
    let weights = kernel.packed(node, columns: 0..<kernel.through)
    let candidateWeights = isReset ? kernel.packed(node, columns: kernel.through..<width) : .absent
    func result(_ operand: Int?) -> GPUArgument { operand.flatMap { differentiated.firstIndex(of: $0) }.map { node.optionalOutput($0) } ?? .absent }
    let first = firstCotangent
    let arguments: [GPUArgument] = [
      trace, weights, candidateWeights, node.optionalInput(operands.mask), node.input(first), node.input(first + 1),
      rnn.cell == .lstm ? node.input(first + 2) : .absent, slopes, sums, before, gated, candidate, result(operands.h0), result(operands.c0),
      node.temporary(byteCount: 4 * max(1, kernel.scratch(batch))), .int(batch), .int(time), .int(units),
    ]
    if let lanes = kernel.lanes {
      node.kernel(kernel.source, "rnn_gradient", arguments, global: [lanes, batch], local: [lanes, 1])
    } else {
      node.kernel(kernel.source, "rnn_gradient", arguments, global: [(batch + kernel.samples - 1) / kernel.samples], local: [1])
    }
    return products(node, slopes, sums, before, gated, candidate, rows: rows, features: features, units: units, width: width)
      ? .runs : .refused("the device has no kernel for products")
  }

  /// Adds the cotangents that are products of slopes.
  private func products(
    _ node: GPULowering, _ slopes: GPUArgument, _ sums: GPUArgument, _ before: GPUArgument, _ gated: GPUArgument, _ candidate: GPUArgument, rows: Int,
    features: Int, units: Int, width: Int
  ) -> Bool {
    func isWanted(_ index: Int) -> Bool { if case .value = node.optionalOutput(index) { true } else { false } }
    // The transpose of a, [k, m], times b, [k, n], both made by kernels of this node or of another.
    func product(_ m: Int, _ n: Int, _ k: Int, of a: GPUArgument, _ b: GPUArgument, _ c: GPUArgument) -> Bool {
      let numbers = MatrixNumbers(m: m, n: n, k: k, aRow: 1, aColumn: m, bRow: n, bColumn: 1)
      return m == 0 || n == 0
        || ProductKernel(numbers: numbers, matrices: 1, matrix: 0, left: a, right: 1, computed: b, result: c).appendDefault(to: node)
    }
    if isWanted(0) {
      let product = ProductKernel(
        numbers: MatrixNumbers(m: rows, n: features, k: width, aRow: width, bRow: 1, bColumn: width), matrices: 1, matrix: 0, left: slopes, right: 1,
        result: node.output(0))
      guard product.append(to: node) else { return false }
    }
    if isWanted(1) {
      guard product(features, width, rows, of: node.input(0), slopes, node.output(1)) else { return false }
    }
    if isWanted(2) {
      guard product(units, width, rows, of: before, sums, node.output(2)) else { return false }
      if rnn.cell == .gru {
        let own = node.temporary(reals: units * units)
        guard product(units, units, rows, of: gated, candidate, own) else { return false }
        CopyKernel([units, units], source: [units, 1], target: [width, 1]).append(
          to: node, bytes: node.storedBytes(.float32), own, node.output(2), start: 2 * units)
      }
    }
    if let bias = rnn.operands.bias, let index = differentiated.firstIndex(of: bias), isWanted(index) {
      node.kernel(Self.sums, "sum_rows", [slopes, node.output(index), .int(rows), .int(width), .int(0)], count: width)
      if rnn.cell == .gruResetAfter { node.kernel(Self.sums, "sum_rows", [sums, node.output(index), .int(rows), .int(width), .int(width)], count: width) }
    }
    return true
  }

  /// Sums of columns, in parts so that long ones stay exact.
  private static let sums = KernelSource(
    """
    kernel void sum_rows(global const real *x, global real *y, int rows, int width, int start) {
      int c = get_global_id(0);
      if (c >= width) return;
      float sum = 0;
      for (int first = 0; first < rows; first += 64) {
        float part = 0;
        for (int row = first; row < min(first + 64, rows); row++) part += LD(x, (size_t)row * width + c);
        sum += part;
      }
      ST(y, start + c, sum);
    }
    """)
}

extension GPULowering {
  /// A product's right operand that this node's kernels made, packed.
  func packed(computed x: GPUArgument, _ layout: PackKernel.Layout, columns: Int) -> GPUArgument {
    let blocks = (layout.n + columns - 1) / columns
    let result = temporary(reals: max(1, layout.matrices * blocks * layout.depth * columns))
    kernel(
      PackKernel.source(columns: columns), "pack",
      [x, result, .int(layout.depth), .int(layout.n), .int(layout.row), .int(layout.column), .int(layout.matrix)],
      global: [blocks * columns, layout.depth, layout.matrices], local: [min(columns, device.maximumGroup), 1, 1])
    return result
  }
}

extension After: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport { node.sameElements() }
}
