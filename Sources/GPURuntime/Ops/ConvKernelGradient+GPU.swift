import GraphModule
import TensorModule

extension ConvKernelGradient: GPUBinding {
  package func lower(_ node: GPULowering) throws -> GPUSupport {
    guard node.isAll(.float32) else { return .refused("it works on \(node.inputs[0].dtype.name)") }
    let (input, cotangent) = (node.inputShapes[0], node.inputShapes[1])
    let numbers = WindowNumbers(input: input, output: cotangent, window: window, strides: strides, dilations: dilations, low: low)
    guard numbers.fits else { return .refused("its numbers do not fit 32 bits") }
    let (channels, out) = (input[input.count - 1], cotangent[cotangent.count - 1])
    let (inner, groupOut) = (channels / groups, out / groups)
    let width = node.prefersVectors ? [16, 8, 4].first { $0 <= node.device.vectorWidth && groupOut % $0 == 0 } ?? 1 : 1
    let (load, store) = width == 1 ? ("LD", "ST") : ("LD\(width)", "ST\(width)")
    let rows = numbers.window.reduce(inner, *)
    let source = KernelSource(
      """
      kernel void conv_kernel_gradient(
          global const real *x, global const real *dy, global real *dw_, int rows, int batch, int channels, int out, int inner, int group_out,
          \(WindowNumbers.parameters)) {
        int c = get_global_id(0) * \(width), row = get_global_id(1);
        if (c >= out || row >= rows) return;
        int source = c / group_out * inner + row % inner, tap = row / inner;
        int x0 = tap % kw * dw - pw, y0 = tap / kw % kh * dh - ph, z0 = tap / kw / kh * dd - pd;
        vec s = 0;
        for (int t = 0; t < batch; t++) {
          vec image = 0;
          for (int oz = 0; oz < od; oz++) {
            int z = z0 + oz * sd;
            if (z < 0 || z >= id) continue;
            for (int oy = 0; oy < oh; oy++) {
              int v = y0 + oy * sh;
              if (v < 0 || v >= ih) continue;
              size_t line = (((size_t)t * id + z) * ih + v) * iw, pixel = (((size_t)t * od + oz) * oh + oy) * ow;
              vec part = 0;
              for (int ox = 0; ox < ow; ox++) {
                int u = x0 + ox * sw;
                if (u >= 0 && u < iw) part += LD(x, (line + u) * channels + source) * \(load)(dy, (pixel + ox) * out + c);
              }
              image += part;
            }
          }
          s += image;
        }
        \(store)(dw_, (size_t)row * out + c, s);
      }
      """, [("vec", width == 1 ? "float" : "float\(width)")])
    let lanes = out / width
    let group = node.prefersVectors ? 1 : min(64, max(1, lanes))
    node.kernel(
      source, "conv_kernel_gradient",
      [node.input(0), node.input(1), node.output()] + [rows, numbers.batch, channels, out, inner, groupOut].map { .int($0) } + numbers.arguments,
      global: [lanes, rows], local: [min(group, node.device.maximumGroup), 1])
    return .runs
  }
}
