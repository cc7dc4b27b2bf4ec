import GraphModule

/// Convolution in which each output channel sees one input channel. A work-item makes some adjacent channels of a pixel.
struct DepthwiseKernel {
  /// Channels of a work-item; more than 1 only where output channel c sees input channel c.
  var width: Int
  var hasBias: Bool
  var hasResidual: Bool
  var activation: (String, String)

  /// Parameters: x, kernel [taps, out], bias, residual, result; pixels, output channels, output channels for each input channel; the window.
  /// Work-items: channels, pixels.
  var source: KernelSource {
    let load = width == 1 ? "LD" : "LD\(width)"
    return KernelSource(
      """
      kernel void depthwise(
          global const real *x, global const real *w, global const real *bias, global const real *residual, global real *y, int pixels, int out,
          int multiplier, \(WindowNumbers.parameters)) {
        int c = get_global_id(0) * WIDTH, p = get_global_id(1);
        if (c >= out || p >= pixels) return;
        int total = out / multiplier, source = c / multiplier;
        \(WindowNumbers.forEachTap(
          start: "vec s = 0;", row: "global const real *taps = w + (size_t)(kz * kh + ky) * kw * out + c;",
          "s += \(load)(x, (line + u) * total + source) * \(load)(taps, kx * out);"))
        size_t o = (size_t)p * out + c;
        \(hasBias ? "s += \(load)(bias, c);" : "")
        \(hasResidual ? "s += \(load)(residual, o);" : "")
        union { vec v; float e[WIDTH]; } r;
        r.v = s;
        for (int j = 0; j < WIDTH; j++) r.e[j] = ACTIVATE(r.e[j]);
        \(width == 1 ? "ST" : "ST\(width)")(y, o, r.v);
      }
      """, [activation, ("WIDTH", "\(width)"), ("vec", width == 1 ? "float" : "float\(width)")])
  }
}
