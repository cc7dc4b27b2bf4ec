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
    let at = width == 1 ? "c" : "c"
    return KernelSource(
      """
      kernel void depthwise(
          global const real *x, global const real *w, global const real *bias, global const real *residual, global real *y, int pixels, int out,
          int multiplier, \(WindowNumbers.parameters)) {
        int c = get_global_id(0) * WIDTH, p = get_global_id(1);
        if (c >= out || p >= pixels) return;
        int x0 = p % ow * sw - pw, t = p / ow, y0 = t % oh * sh - ph;
        t /= oh;
        int z0 = t % od * sd - pd, total = out / multiplier, source = c / multiplier;
        t /= od;
        vec s = 0;
        for (int kz = 0; kz < kd; kz++) {
          int z = z0 + kz * dd;
          if (z < 0 || z >= id) continue;
          for (int ky = 0; ky < kh; ky++) {
            int v = y0 + ky * dh;
            if (v < 0 || v >= ih) continue;
            size_t line = (((size_t)t * id + z) * ih + v) * iw;
            global const real *taps = w + (size_t)(kz * kh + ky) * kw * out + c;
            for (int kx = 0; kx < kw; kx++) {
              int u = x0 + kx * dw;
              if (u < 0 || u >= iw) continue;
              s += \(load)(x, (line + u) * total + source) * \(load)(taps, kx * out);
            }
          }
        }
        size_t o = (size_t)p * out + c;
        \(hasBias ? "s += \(load)(bias, \(at));" : "")
        \(hasResidual ? "s += \(load)(residual, o);" : "")
        union { vec v; float e[WIDTH]; } r;
        r.v = s;
        for (int j = 0; j < WIDTH; j++) r.e[j] = ACTIVATE(r.e[j]);
        \(width == 1 ? "ST" : "ST\(width)")(y, o, r.v);
      }
      """, [activation, ("WIDTH", "\(width)"), ("vec", width == 1 ? "float" : "float\(width)")])
  }
}
