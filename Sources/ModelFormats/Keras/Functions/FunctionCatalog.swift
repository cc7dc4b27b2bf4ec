import GraphModule
import TensorModule

/// The functions that stand between layers, by the name of `keras.ops`. TensorFlow's names for the same meaning are aliases.
enum FunctionCatalog {
  typealias Meaning = @Sendable (FunctionCall) throws -> [ValueID]

  /// Every function in one table of these only.
  private static let tables: [[String: Meaning]] = [
    elementwise, reductions, shapes, indexing, products, images, arithmetic, order, missingNumbers, scattering, matrices,
    frequencies, sizes, windows, losses, pictures, transformations, strings,
  ]

  static let meanings: [String: Meaning] = tables.reduce(into: [:]) { $0.merge($1) { first, _ in first } }

  /// Names with more than one meaning: none.
  static let repeated: [String] = Dictionary(grouping: tables.flatMap(\.keys), by: { $0 }).filter { $1.count > 1 }.keys.sorted()

  /// Names of `keras.ops` classes (in lower case with underscores) that differ from the function's.
  private static let kerasAliases: [String: String] = [
    "absolute": "abs", "fabs": "abs", "amax": "max", "amin": "min", "true_divide": "divide", "fmax": "maximum",
    "fmin": "minimum", "copy": "identity", "stop_gradient": "identity", "convert_to_tensor": "identity",
    "concat": "concatenate", "bitwise_invert": "bitwise_not", "batch_norm": "batch_normalization",
    "layer_norm": "layer_normalization", "rmsnorm": "rms_normalization", "rms_norm": "rms_normalization",
    "swish": "silu", "hard_swish": "hard_silu", "rgbto_grayscale": "rgb_to_grayscale",
    "rgbto_hsv": "rgb_to_hsv", "hsvto_rgb": "hsv_to_rgb", "conj": "conjugate", "is_in": "isin",
    "all_close": "allclose", "extract_patches_3d": "extract_patches", "search_sorted": "searchsorted", "ctcdecode": "ctc_decode",
    "ctcloss": "ctc_loss", "nan_median": "nanmedian", 
    "affine": "affine_transform", 
  ]

  /// TensorFlow's names without their module.
  static let tensorFlowAliases: [String: String] = [
    "reduce_mean": "mean", "reduce_sum": "sum", "reduce_max": "max", "reduce_min": "min", "reduce_prod": "prod",
    "reduce_any": "any", "reduce_all": "all", "reduce_std": "std", "reduce_variance": "var",
    "reduce_logsumexp": "logsumexp", "concat": "concatenate", "clip_by_value": "clip", "pow": "power",
    "floormod": "mod", "floordiv": "floor_divide", "floor_div": "floor_divide", "truediv": "divide", "div": "divide", "div_no_nan": "divide_no_nan", "acos": "arccos",
    "asin": "arcsin", "atan": "arctan", "atan2": "arctan2", "acosh": "arccosh", "asinh": "arcsinh", "atanh": "arctanh",
    "is_nan": "isnan", "is_inf": "isinf", "is_finite": "isfinite", "neg": "negative",
    "sub": "subtract", "mul": "multiply", "stop_gradient": "identity", "getitem": "get_item", "swish": "silu",
    "where_v2": "where", "max_pool2d": "max_pool", "avg_pool2d": "average_pool", "avg_pool": "average_pool",
    "max_pool1d": "max_pool", "avg_pool1d": "average_pool", "max_pool3d": "max_pool", "avg_pool3d": "average_pool",
    "invert": "bitwise_not", "cond_v2": "cond", 
    "matrix_inverse": "inv", "matrix_determinant": "det", "matrix_solve": "solve", "matrix_diag": "diag",
    "matrix_diag_part": "diag_part", "matrix_band_part": "band_part", "matrix_set_diag": "set_diag",
    "matrix_triangular_solve": "triangular_solve", "log_matrix_determinant": "slogdet", "self_adjoint_eig": "eigh",
    "self_adjoint_eigvals": "eigvalsh", "squared_difference_v2": "squared_difference",
    "scatter_nd_v2": "scatter_nd", "resize_image_with_crop_or_pad": "resize_with_crop_or_pad",
    "softmax_cross_entropy_with_logits_v2": "softmax_cross_entropy_with_logits", "truncatemod": "fmod",
    "sparse_softmax_cross_entropy_with_logits": "sparse_categorical_crossentropy", "convolution": "conv",
    "reduce_any_v2": "any", "linspace_nd": "linspace", 
    
    "convert_to_tensor": "identity", "unpack": "unstack", "pack": "stack", "accumulate_n": "add_n", "rint": "round",
    "squeeze_v2": "squeeze", "transpose_v2": "transpose", "inv": "reciprocal",
    "softmax_v2": "softmax", "pad_v2": "pad", "gather_v2": "gather", "argmax_v2": "argmax", "argmin_v2": "argmin",
  ]

  /// Modules whose functions are meant; `strings.split` is not `split`.
  private static let tensorFlowModules: Set<String> = [
    "", "math", "nn", "linalg", "image", "compat.v1", "compat.v1.math", "compat.v1.nn", "compat.v1.image",
    "compat.v1.linalg", "compat.v1.signal", "signal", "bitwise", "dtypes", "__operators__", "keras.activations", "keras.backend",
  ]

  /// Names that mean something in one library only.
  private static let onlyTensorFlow: Set<String> = [
    "add_n", "gather", "l2_normalize", "reduce_euclidean_norm", "reverse", "strided_slice", "matvec",
    "flip_left_right", "flip_up_down", "bias_add", "multiply_no_nan",
  ]

  /// `math.reduce_mean` → `mean`; nil when it is not known.
  static func tensorFlowName(_ function: String) -> String? {
    let parts = function.split(separator: ".", omittingEmptySubsequences: false)
    if function == "as_string" { return "strings_as_string" }
    if parts.count == 2, parts[0] == "strings" { return strings["strings_\(parts[1])"] == nil ? nil : "strings_\(parts[1])" }
    guard let last = parts.last, tensorFlowModules.contains(parts.dropLast().joined(separator: ".")) else { return nil }
    let name = tensorFlowAliases[String(last)] ?? String(last)
    if function == "linalg.inv" { return "inv" }
    if name == "resize", !function.contains("image") { return nil }
    // tf.transpose of the module image exchanges rows and columns.
    if name == "transpose", function == "image.transpose" { return "image_transpose" }
    if name == "normalize", function != "linalg.normalize" { return nil }
    return meanings[name] == nil || strings[name] != nil ? nil : name
  }

  /// `ExpandDims` → `expand_dims`; nil when it is not known.
  static func kerasName(_ className: String) -> String? {
    let name = kerasAliases[snakeCase(className)] ?? snakeCase(className)
    return meanings[name] == nil || onlyTensorFlow.contains(name) || strings[name] != nil || refusals[name] != nil ? nil : name
  }

  private static func snakeCase(_ className: String) -> String {
    var name = ""
    var previous: Character = "A"
    for character in className {
      if character.isUppercase, !name.isEmpty, !previous.isUppercase { name.append("_") }
      name += character.lowercased()
      previous = character
    }
    return name
  }

  /// The catalogue's name of a function of `keras.ops`; nil when there is none.
  static func kerasFunction(_ function: String) -> String? {
    let name = kerasAliases[function] ?? function
    return meanings[name] == nil || onlyTensorFlow.contains(name) || strings[name] != nil || refusals[name] != nil ? nil : name
  }

  /// The reader of a `keras.ops` node.
  static func operation(_ className: String, _ config: LayerConfig) -> any KerasLayerReader {
    guard let name = kerasName(className), let meaning = meanings[name] else {
      let reason = refusals[snakeCase(className)].map { " (\($0))" } ?? ""
      return unknown(className, "operation \(KilnError.quoted(className)) of keras.ops\(reason)", config)
    }
    return FunctionNode(library: .keras, function: name, name: name, meaning: meaning, arguments: config.everything())
  }

  /// The reader of a `TFOpLambda` or `SlicingOpLambda` layer.
  static func lambda(_ config: LayerConfig) -> any KerasLayerReader {
    let function = config.string("function", "")
    guard let name = tensorFlowName(function), let meaning = meanings[name] else {
      return unknown(config.className, "TensorFlow function \(KilnError.quoted(function))", config)
    }
    return FunctionNode(library: .tensorFlow, function: function, name: name, meaning: meaning, arguments: [])
  }

  static func isKnownOperation(_ className: String) -> Bool {
    kerasName(className) != nil || refusals[snakeCase(className)] != nil
  }

  private static func unknown(_ className: String, _ what: String, _ config: LayerConfig) -> UnknownLayer {
    _ = config.everything()
    config.diagnostics.add(
      ImportProblem(
        kind: .unsupported, layer: config.path, className: className, message: "\(what) is not supported", nearest: nil))
    return UnknownLayer()
  }
}

/// A function node: no weights, no mask.
struct FunctionNode: KerasLayerReader {
  let library: FunctionLibrary
  /// As the file writes it.
  let function: String
  /// As the catalogue has it.
  let name: String
  let meaning: FunctionCatalog.Meaning
  /// Arguments that the config holds (`keras.ops` keeps the constant ones there).
  let arguments: [(key: String, value: JSON)]

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let named = call.keywords + arguments.map { (key: $0.key, value: KerasTree<KerasTensor>.constant($0.value)) }
    let function = FunctionCall(call, library, function, positional: call.arguments, named: named)
    let results = try meaning(function)
    try function.finish()
    LengthArithmetic.note(name, call, arguments, results)
    return results.map { KerasTensor($0) }
  }
}
