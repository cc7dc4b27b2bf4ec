import TensorModule

extension FunctionCatalog {
  /// Why functions of `keras.ops` are not read.
  static let refusals: [String: String] = {
    var table: [String: String] = [
      "argpartition": "the framework does not fix the order of its result", "ctc_loss": "a loss of training",
      "nextafter": "a step of one unit in the last place has no meaning in a graph that rounds as it likes",
      "eig": "its results are complex", "polar": "its result is complex", "view_as_complex": "its result is complex",
      "view": "it reads the bits of its operand", "elastic_transform": "its result is random",
    ]
    for name in ["unique", "nonzero"] { table[name] = "the shape of its result depends on the data" }
    for name in [
      "associative_scan", "cond", "custom_gradient", "fori_loop", "jvp", "map", "scan", "switch", "vectorize", "vectorized_map",
      "while_loop",
    ] { table[name] = "it calls Python code, which no file holds" }
    return table
  }()

  /// Functions that make constants, or answer in Python, when a model is built: no file holds a node of them.
  private static let early: Set<String> = [
    "array", "bartlett", "blackman", "convert_to_numpy", "dtype", "empty", "geomspace", "hamming", "hanning", "is_tensor",
    "kaiser", "logspace", "identity", "arange", "eye", "full", "linspace", "ones", "tri", "zeros",
  ]

  /// Names of modules among those of functions.
  private static let modules: Set<String> = ["image", "linalg", "nn", "numpy"]

  /// The functions of `keras.ops` in Keras 3.15, and those of `keras.ops.image`.
  static let kerasFunctions: [String] = """
    abs absolute adaptive_average_pool adaptive_max_pool add affine_transform all allclose amax amin angle any
    append arange arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin argpartition argsort array
    array_split associative_scan average average_pool bartlett batch_normalization binary_crossentropy bincount
    bitwise_and bitwise_invert bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor blackman
    broadcast_to cast categorical_crossentropy cbrt cdist ceil celu cholesky cholesky_inverse clip concatenate cond
    conj conjugate conv conv_transpose convert_to_numpy convert_to_tensor copy corrcoef correlate cos cosh
    count_nonzero crop_images cross ctc_decode ctc_loss cumprod cumsum custom_gradient deg2rad depth_to_space
    depthwise_conv det diag diagflat diagonal diff digitize divide divide_no_nan dot dot_product_attention dsplit
    dstack dtype eig eigh einsum elastic_transform elu empty empty_like equal erf erfc erfinv exp exp2 expand_dims
    expm1 extract_patches extract_patches_3d extract_sequences eye fabs fft fft2 flip fliplr flipud floor
    floor_divide fmax fmin fmod fold fori_loop full full_like gaussian_blur gcd gelu geomspace get_item glu greater
    greater_equal hamming hanning hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh heaviside histogram hsplit
    hstack hsv_to_rgb hypot i0 identity ifft2 imag image in_top_k inner inv irfft is_tensor isclose isfinite isin
    isinf isnan isneginf isposinf isreal istft jvp kaiser kron layer_normalization lcm ldexp leaky_relu left_shift
    less less_equal linalg linspace log log10 log1p log2 log_sigmoid log_softmax logaddexp logaddexp2 logdet
    logical_and logical_not logical_or logical_xor logspace logsumexp lstsq lu_factor map map_coordinates matmul
    matrix_rank max max_pool maximum mean median meshgrid min minimum mod moments moveaxis multi_hot multiply
    nan_to_num nanargmax nanargmin nancumprod nancumsum nanmax nanmean nanmedian nanmin nanpercentile nanprod
    nanquantile nanstd nansum nanvar ndim negative nextafter nn nonzero norm normalize not_equal numpy one_hot ones
    ones_like outer pad pad_images percentile perspective_transform pinv polar power prod psnr ptp qr quantile
    rad2deg ravel real rearrange reciprocal relu relu6 repeat reshape resize rfft rgb_to_grayscale rgb_to_hsv
    right_shift rms_normalization roll rot90 round rsqrt saturate_cast scale_and_translate scan scatter
    scatter_update searchsorted segment_max segment_min segment_prod segment_sum select selu separable_conv shape
    sigmoid sign signbit silu sin sinc sinh size slice slice_update slogdet sobel_edges soft_shrink softmax softplus
    softsign solve solve_triangular sort space_to_depth sparse_categorical_crossentropy sparse_plus sparse_sigmoid
    sparsemax split sqrt square squareplus squeeze ssim stack std stft stop_gradient subtract sum svd swapaxes swish
    switch take take_along_axis tan tanh tanh_shrink tensordot threshold tile top_k trace transpose trapezoid tri
    tril triu true_divide trunc unfold unique unravel_index unstack vander var vdot vectorize vectorized_map view
    view_as_complex view_as_real vsplit vstack where while_loop zeros zeros_like
    """.split(whereSeparator: \.isWhitespace).map(String.init)

  /// What becomes of one of `kerasFunctions`.
  static func fate(of name: String) -> String {
    if modules.contains(name) { return "a module" }
    if let reason = refusals[name] { return "refused: \(reason)" }
    if early.contains(name) { return "a constant when a model is built" }
    return kerasFunction(name) == nil ? "not read" : "read"
  }

  /// `Docs/keras-functions.md`.
  static func documentation() -> String {
    let fates = kerasFunctions.map { ($0, fate(of: $0)) }
    let tensorFlow = Set(Array(meanings.keys) + Array(tensorFlowAliases.keys)).sorted()
    let read = fates.count { $0.1 == "read" }
    var page = """
      # Functions between layers

      What becomes of the functions of `keras.ops` (Keras 3) that stand between layers, and which of TensorFlow's are known in
      `TFOpLambda` layers and in `--replace-layer`. This page is generated: a test compares it with the catalogue
      (`KILN_WRITE_DOCS=1 swift test -c release --filter FunctionDocumentationTests` writes it).

      \(read) of \(fates.count) are read.

      | keras.ops | |
      |---|---|

      """
    for (name, fate) in fates { page += "| `\(name)` | \(fate) |\n" }
    page += """

      ## TensorFlow

      By their last name, in `tf`, `tf.math`, `tf.nn`, `tf.linalg`, `tf.image`, `tf.signal`, `tf.bitwise`, and these below `tf.compat.v1`. Sizes that
      `tf.shape` gives are known as expressions over the inputs' axes; they can be added, multiplied, divided, sliced, joined
      and used as shapes. Complex numbers live between `tf.signal` and `tf.abs`, `tf.math.real`, `tf.math.imag`, `tf.math.angle`.


      """
    var line = ""
    for name in tensorFlow {
      let word = "`\(name)` "
      if line.count + word.count > 120 {
        page += line.dropLast() + "\n"
        line = ""
      }
      line += word
    }
    return page + line.dropLast() + "\n"
  }
}

/// `Docs/keras-functions.md`, for the test that keeps it true.
package enum FunctionPage {
  package static var text: String { FunctionCatalog.documentation() }
  /// Functions of `keras.ops` that are neither read nor refused with a reason.
  package static var undecided: [String] { FunctionCatalog.kerasFunctions.filter { FunctionCatalog.fate(of: $0) == "not read" } }
  /// Names that two tables give a meaning.
  package static var repeated: [String] { FunctionCatalog.repeated }
}
