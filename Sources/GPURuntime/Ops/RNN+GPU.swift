import GraphModule
import TensorModule

extension RNN: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    let dtype = node.inputs[0].dtype
    guard dtype == .float32 else { return .refused("it works on \(dtype.name)") }
    let (x, units) = (node.inputShapes[0], node.inputShapes[2][0])
    guard RecurrentKernel(self, units: units, batch: x[0], node) != nil else { return .refused("its activation has no kernel") }
    guard x[0] * x[1] < (1 << 31) / max(1, units * max(cell.gates, cell.traceFields)) else { return .refused("its gates are too many") }
    let states = cell == .lstm ? 2 : 1
    let isAdded = try addSteps(
      to: node, output: node.output(0), h: node.optionalOutput(1), c: cell == .lstm ? node.optionalOutput(2) : .absent,
      trace: trace ? node.optionalOutput(states + 1) : .absent)
    return isAdded ? .runs : .refused("the device has no kernel for products")
  }

  /// Adds the forward pass of a node whose first operands are those of the op.
  ///
  /// - Returns: false when there are no kernels for it.
  func addSteps(to node: GPULowering, output: GPUArgument, h: GPUArgument, c: GPUArgument, trace: GPUArgument) throws -> Bool {
    let (x, units) = (node.inputShapes[0], node.inputShapes[2][0])
    let (batch, time, features, width) = (x[0], x[1], x[2], units * cell.gates)
    guard var kernel = RecurrentKernel(self, units: units, batch: batch, node) else { return false }
    if case .absent = trace {} else { kernel.traces = true }
    // The input's products of all steps at once; the kernel reads whole vectors past the last gate.
    let projected = node.temporary(reals: batch * time * width + 16)
    let product = ProductKernel(
      numbers: MatrixNumbers(m: batch * time, n: width, k: features, aRow: features, bRow: width, bColumn: 1), matrices: 1, matrix: 0,
      left: node.input(0), right: 1, epilogue: Epilogue(bias: operands.bias != nil), bias: node.optionalInput(operands.bias), result: projected)
    guard product.append(to: node) else { return false }
    var arguments: [GPUArgument] = [
      projected, kernel.packed(node, 2), node.optionalInput(operands.bias), node.optionalInput(operands.h0), node.optionalInput(operands.c0),
      node.optionalInput(operands.mask), output, h, c,
      node.temporary(byteCount: 4 * max(1, kernel.scratch(batch))), .int(batch), .int(time), .int(units),
    ]
    if kernel.traces { arguments.append(trace) }
    if let lanes = kernel.lanes {
      node.kernel(kernel.source, "rnn", arguments, global: [lanes, batch], local: [lanes, 1])
    } else {
      node.kernel(kernel.source, "rnn", arguments, global: [(batch + kernel.samples - 1) / kernel.samples], local: [1])
    }
    return true
  }
}
