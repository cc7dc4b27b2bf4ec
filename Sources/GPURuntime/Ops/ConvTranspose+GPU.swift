import GraphModule
import TensorModule

extension ConvTranspose: GPUBinding {
  /// One product gives what each input pixel adds at each tap of its window; then each result gathers its sum.
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    let (from, to, kernel) = (node.inputShapes[0], node.outputShapes[0], node.inputShapes[1])
    let rank = from.count - 2
    let (channels, out) = (from[rank + 1], to[rank + 1])
    let window = Array(kernel.prefix(rank))
    let low = (0..<rank).map { cut(from[$0 + 1], output: to[$0 + 1], size: window[$0], axis: $0) }
    // The forward convolution takes the result to x.
    let numbers = WindowNumbers(input: to, output: from, window: window, strides: strides, dilations: dilations, low: low)
    guard numbers.fits, numbers.input.allSatisfy({ $0 < 1 << 29 }) else { return .refused("its numbers do not fit 32 bits") }
    if !node.isAll(.float32) { return plain(node, numbers, channels, out) }
    guard let activation = ScalarPrinter.activation(epilogue.activation) else { return .refused("its activation has no kernel") }
    let taps = window.reduce(1, *)
    let (pixels, groupOut, groupIn) = (numbers.pixels, out / groups, channels / groups)
    let (size, overflow) = pixels.multipliedReportingOverflow(by: taps * out)
    guard !overflow, size < 1 << 31 else { return .refused("its windows have too many elements") }
    let parts = node.temporary(reals: size)
    let product = ProductKernel(
      numbers: MatrixNumbers(
        m: pixels, n: taps * groupOut, k: groupIn, aRow: channels, bRow: 1, bColumn: channels, matrices: groups, aMatrix: groupIn, bMatrix: groupIn,
        cMatrix: pixels * taps * groupOut),
      matrices: groups, matrix: groupIn, left: node.input(0), right: 1, result: parts)
    guard product.append(to: node) else { return .refused("the device has no kernel for products") }
    let source = KernelSource(
      """
      kernel void gather_windows(
          global const real *parts, global const real *bias, global const real *residual, global real *y, int pixels, int out, int group_out, int sources,
          \(WindowNumbers.parameters)) {
        int c = get_global_id(0), p = get_global_id(1);
        if (c >= out || p >= pixels) return;
        size_t first = (size_t)(c / group_out) * sources, line = (size_t)kd * kh * kw * group_out;
        \(WindowNumbers.forEachWindow(
          start: "float s = 0;", "s += LD(parts, (first + pixel) * line + ((kz * kh + ky) * kw + kx) * group_out + c % group_out);"))
        size_t o = (size_t)p * out + c;
        \(epilogue.bias ? "s += LD(bias, c);" : "")
        \(epilogue.residual ? "s += LD(residual, o);" : "")
        ST(y, o, ACTIVATE(s));
      }
      """, [activation])
    if let residual = epilogue.residualIndex() { node.allowInPlace(over: residual) }
    let results = numbers.input.reduce(numbers.batch, *)
    node.kernel(
      source, "gather_windows",
      [
        parts, node.optionalInput(epilogue.biasIndex()), node.optionalInput(epilogue.residualIndex()), node.output(), .int(results), .int(out),
        .int(groupOut), .int(pixels),
      ] + numbers.arguments, global: [out, results], local: [node.group(of: out), 1])
    return .runs
  }
}
