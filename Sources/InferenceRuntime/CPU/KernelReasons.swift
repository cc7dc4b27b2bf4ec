import CKernels

extension kiln_conv_params {
  /// Why `algorithm` is what it is, for reports.
  func reason(isExact: Bool) -> String {
    let taps = Int(kernel_h) * Int(kernel_w)
    func per(_ products: Double) -> String {
      let rounded = (products * 100).rounded() / 100
      return "\(rounded == rounded.rounded() ? String(Int(rounded)) : String(rounded)) products an output for \(taps)"
    }
    switch kiln_conv_algorithm(UInt32(algorithm)) {
    case KILN_CONV_WINOGRAD4: return "stride 1: F(4x4,3x3), \(per(36.0 / 16))"
    case KILN_CONV_WINOGRAD2: return "stride 1: F(2x2,3x3), \(per(16.0 / 4)); a \(out_h)x\(out_w) map has few 4x4 tiles"
    case KILN_CONV_LINE:
      let each = Int(points) - Int(outputs) + 1
      let groups = (taps + each - 1) / max(1, each)
      return "stride 1 on one axis: F(\(outputs),\(each)), \(per(Double(Int(points) * groups) / Double(max(1, outputs))))"
    default: break
    }
    if isExact { return "windows in place: exact sums were asked for" }
    if stride_h != 1 || stride_w != 1 { return "windows in place: strides leave no tiles to transform" }
    if groups != 1 { return "windows in place: \(groups) groups" }
    let isLine = kernel_h == 1 || kernel_w == 1
    if !isLine && (kernel_h != 3 || kernel_w != 3 || dilation_h != 1 || dilation_w != 1) {
      return "windows in place: no transform for this kernel"
    }
    return "windows in place: with \(in_c) to \(out_c) channels on \(out_h)x\(out_w) transforms cost more than they save"
  }
}

extension kiln_gemm_params {
  /// What the product is and how threads divide it, for reports.
  func reason(_ what: String, parts: Int32) -> String {
    let split = parts < 2 ? "" : split == Int32(KILN_SPLIT_COLUMNS.rawValue) ? ", columns divided: few rows" : ", rows divided"
    return "\(what) [\(m), \(k)] x [\(k), \(n)]\(split)"
  }
}
