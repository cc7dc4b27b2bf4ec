import CKernels
import GraphModule
import TensorModule

/// Weights that are not packed in float32 for good: read as the file has them, or kept in fewer bits.
extension NodeLowering {
  /// Rows up to which a product takes as long as reading its weights.
  private static let fewRows = 16

  /// Adds a product with constant weights, adjacent along `n`, in one of those ways where the options and sizes say so.
  ///
  /// - Returns: false when the weights should be packed.
  func productWithoutPacking(
    _ params: kiln_gemm_params, _ weights: Tensor, rowStride: Int, columnStride: Int, _ left: [StepOperand], _ rest: [StepOperand]
  ) throws -> Bool {
    if try narrowProduct(params, weights, rowStride: rowStride, columnStride: columnStride, left, rest) { return true }
    guard columnStride == 1, rowStride == Int(params.n), [params.m, params.n, params.k].allSatisfy({ (1..<Int64(Int32.max)).contains($0) })
    else { return false }
    var line = kiln_conv_params()
    line.batch = 1
    (line.in_h, line.out_h, line.kernel_h, line.kernel_w) = (1, 1, 1, 1)
    (line.in_w, line.out_w) = (Int32(params.m), Int32(params.m))
    (line.in_c, line.out_c) = (Int32(params.k), Int32(params.n))
    (line.stride_h, line.stride_w, line.dilation_h, line.dilation_w, line.groups) = (1, 1, 1, 1, 1)
    line.activation = params.activation
    return try streamed(line, weights, left, rest)
  }

  /// Adds a convolution of one group whose constant weights are read from the file.
  ///
  /// - Returns: false when the weights should be packed.
  func streamed(_ params: kiln_conv_params, _ weights: Tensor, _ left: [StepOperand], _ rest: [StepOperand]) throws -> Bool {
    guard params.groups == 1, options.streams(weights.byteCount), !OpenBLAS.isPreferred else { return false }
    var params = params
    let parts = kiln_streamed_parts(&params, threads)
    let scratch = temporary(byteCount: kiln_streamed_scratch_bytes(&params, parts))
    because(
      (kiln_streamed_in_place(&params) ? "few rows: " : "a panel at a time: ") + "weights read from the file, "
        + (options.lowMemory ? "as memory is short" : "as packing pays after more predictions"))
    try step(
      kiln_streamed_f32, kiln_streamed_in_place(&params) ? "streamed/rows" : "streamed", copying: params,
      left + [.memory(weights.address)] + rest + [scratch], parts: parts)
    return true
  }

  /// Whether a product of so many rows has these constant weights packed, in float32.
  func packs(_ weights: Tensor, rows: Int) -> Bool {
    (options.weights == .float32 || rows > Self.fewRows) && !options.streams(weights.byteCount) && !OpenBLAS.isPreferred
  }

  private func narrowProduct(
    _ params: kiln_gemm_params, _ weights: Tensor, rowStride: Int, columnStride: Int, _ left: [StepOperand], _ rest: [StepOperand]
  ) throws -> Bool {
    let form: kiln_narrow_form
    switch options.weights {
    case .float32: return false
    case .bfloat16: form = KILN_NARROW_BF16
    case .int8: form = KILN_NARROW_I8
    }
    guard params.m <= Self.fewRows, params.n * params.k >= 1 << 14, weights.floats.allSatisfy(\.isFinite) else { return false }
    var narrow = kiln_narrow_params()
    (narrow.m, narrow.n, narrow.k) = (params.m, params.n, params.k)
    narrow.activation = params.activation
    narrow.form = Int32(form.rawValue)
    let (n, k, code) = (params.n, params.k, narrow.form)
    let packed = try packed(
      weights, layout: "narrow", key: [Int(code), Int(n), Int(k), rowStride, columnStride], byteCount: kiln_narrow_packed_bytes(code, n, k)
    ) {
      kiln_narrow_pack(code, weights.address.assumingMemoryBound(to: Float.self), Int64(rowStride), Int64(columnStride), n, k, $0)
    }
    because("\(params.m == 1 ? "one row" : "\(params.m) rows") of \(k) takes as long as reading \(n * k) weights: \(options.weights.rawValue) as asked for")
    try step(
      kiln_narrow_f32, "narrow/\(options.weights.rawValue)", copying: narrow, left + [packed] + rest, parts: kiln_narrow_parts(&narrow, threads))
    return true
  }
}
