import GraphModule

/// Convolution in which each output channel sees one input channel. A work-item makes some adjacent channels of some adjacent pixels of a row,
/// so that it reads a tap's weights once for all of them.
struct DepthwiseKernel {
  /// Channels of a work-item; more than 1 only where output channel c sees input channel c.
  var width: Int
  /// Pixels of a work-item.
  var pixels: Int
  var hasBias: Bool
  var hasResidual: Bool
  var activation: (String, String)

  private func each(_ line: (Int) -> String) -> String { (0..<pixels).map(line).joined(separator: "\n") }

  /// A row of taps; with `checked` each tap looks whether it lies in the image.
  private func taps(_ load: String, checked: Bool) -> String {
    """
            for (int kx = 0; kx < kw; kx++) {
              vec f = \(load)(taps, kx * out);
    \(each { p in
      checked
        ? "          { int u = x0 + \(p) * sw + kx * dw; if (u >= 0 && u < iw) s\(p) += \(load)(line, u * total) * f; }"
        : "          s\(p) += \(load)(line, (x0 + \(p) * sw + kx * dw) * total) * f;"
    })
            }
    """
  }

  /// Parameters: x, kernel [taps, out], bias, residual, result; images, output channels, output channels for each input channel; the window.
  /// Work-items: channels, blocks of pixels.
  var source: KernelSource {
    let load = width == 1 ? "LD" : "LD\(width)"
    return KernelSource(
      """
      kernel void depthwise(
          global const real *x, global const real *w, global const real *bias, global const real *residual, global real *y, int images, int out,
          int multiplier, \(WindowNumbers.parameters)) {
        int c = get_global_id(0) * WIDTH, t = get_global_id(1), blocks = (ow + PIXELS - 1) / PIXELS;
        if (c >= out || t >= images * od * oh * blocks) return;
        int total = out / multiplier, column = t % blocks * PIXELS, row = t / blocks;
        int x0 = column * sw - pw, y0 = row % oh * sh - ph, z0 = row / oh % od * sd - pd, image = row / oh / od;
        int whole = x0 >= 0 && x0 + (PIXELS - 1) * sw + (kw - 1) * dw < iw;
        x += c / multiplier;
      \(each { "  vec s\($0) = 0;" })
        for (int kz = 0; kz < kd; kz++) {
          int z = z0 + kz * dd;
          if (z < 0 || z >= id) continue;
          for (int ky = 0; ky < kh; ky++) {
            int v = y0 + ky * dh;
            if (v < 0 || v >= ih) continue;
            global const real *line = x + ((image * id + z) * ih + v) * iw * total, *taps = w + (kz * kh + ky) * kw * out + c;
            if (whole) {
      \(taps(load, checked: false))
            } else {
      \(taps(load, checked: true))
            }
          }
        }
        \(hasBias ? "vec b = \(load)(bias, c);" : "")
      \(each { p in
        """
          if (column + \(p) < ow) {
            size_t o = ((size_t)row * ow + column + \(p)) * out + c;
            union { vec v; float e[WIDTH]; } r;
            r.v = s\(p)\(hasBias ? " + b" : "")\(hasResidual ? " + \(load)(residual, o)" : "");
            for (int j = 0; j < WIDTH; j++) r.e[j] = ACTIVATE(r.e[j]);
            \(width == 1 ? "ST" : "ST\(width)")(y, o, r.v);
          }
        """
      })
      }
      """, [activation, ("WIDTH", "\(width)"), ("PIXELS", "\(pixels)"), ("vec", width == 1 ? "float" : "float\(width)")])
  }
}
