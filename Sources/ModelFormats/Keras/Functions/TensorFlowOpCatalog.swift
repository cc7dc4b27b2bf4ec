/// TensorFlow operations by the function of `FunctionCatalog` that they are.
enum TensorFlowOpCatalog {
  struct Form: Sendable {
    var function: String
    /// The function's name for each input; nil for those that go by position.
    var inputs: [String?] = [nil]
    /// Whether the first inputs are a list, and `inputs` names those after it.
    var isList = false
    /// Attributes and the function's names for them.
    var attributes: [(String, String)] = []
  }

  /// The names of dtypes in a NodeDef.
  static let dtypes: [String: String] = [
    "DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_HALF": "float16", "DT_BFLOAT16": "bfloat16", "DT_INT8": "int8",
    "DT_INT16": "int16", "DT_INT32": "int32", "DT_INT64": "int64", "DT_UINT8": "uint8", "DT_BOOL": "bool",
  ]

  static let forms: [String: Form] = {
    var table: [String: Form] = [
      "LeakyRelu": Form(function: "leaky_relu", attributes: [("alpha", "alpha")]),
      "Cast": Form(function: "cast", attributes: [("DstT", "dtype")]),
      "Reshape": Form(function: "reshape", inputs: [nil, "shape"]),
      "ExpandDims": Form(function: "expand_dims", inputs: [nil, "axis"]),
      "Squeeze": Form(function: "squeeze", attributes: [("squeeze_dims", "axis")]),
      "Transpose": Form(function: "transpose", inputs: [nil, "perm"]),
      "Tile": Form(function: "tile", inputs: [nil, "multiples"]),
      "Pad": Form(function: "pad", inputs: [nil, "paddings"]),
      "PadV2": Form(function: "pad", inputs: [nil, "paddings", "constant_values"]),
      "MirrorPad": Form(function: "pad", inputs: [nil, "paddings"], attributes: [("mode", "mode")]),
      "ReverseV2": Form(function: "reverse", inputs: [nil, "axis"]),
      "BroadcastTo": Form(function: "broadcast_to", inputs: [nil, "shape"]),
      "Slice": Form(function: "slice", inputs: [nil, "begin", "size"]),
      "GatherV2": Form(function: "gather", inputs: [nil, nil, "axis"], attributes: [("batch_dims", "batch_dims")]),
      "Gather": Form(function: "gather", inputs: [nil, nil]),
      "OneHot": Form(function: "one_hot", inputs: [nil, "depth", "on_value", "off_value"], attributes: [("axis", "axis")]),
      "ConcatV2": Form(function: "concatenate", inputs: ["axis"], isList: true),
      "Pack": Form(function: "stack", inputs: [], isList: true, attributes: [("axis", "axis")]),
      "Unpack": Form(function: "unstack", attributes: [("axis", "axis"), ("num", "num")]),
      "Split": Form(function: "split", inputs: ["axis", nil], attributes: [("num_split", "num_or_size_splits")]),
      "SplitV": Form(function: "split", inputs: [nil, "num_or_size_splits", "axis"]),
      "AddN": Form(function: "add_n", inputs: [], isList: true),
      "MatMul": Form(
        function: "matmul", inputs: [nil, nil], attributes: [("transpose_a", "transpose_a"), ("transpose_b", "transpose_b")]),
      "BiasAdd": Form(function: "bias_add", inputs: [nil, nil], attributes: [("data_format", "data_format")]),
      "ClipByValue": Form(function: "clip", inputs: [nil, nil, nil]),
      "TopKV2": Form(function: "top_k", inputs: [nil, "k"], attributes: [("sorted", "sorted")]),
      "Select": Form(function: "where", inputs: [nil, nil, nil]),
      "SelectV2": Form(function: "where", inputs: [nil, nil, nil]),
      "ZerosLike": Form(function: "zeros_like"), "OnesLike": Form(function: "ones_like"),
      "DepthToSpace": Form(function: "depth_to_space", attributes: [("block_size", "block_size"), ("data_format", "data_format")]),
      "SpaceToDepth": Form(function: "space_to_depth", attributes: [("block_size", "block_size"), ("data_format", "data_format")]),
    ]
    for name in ["BatchMatMul", "BatchMatMulV2"] {
      table[name] = Form(function: "matmul", inputs: [nil, nil], attributes: [("adj_x", "adjoint_a"), ("adj_y", "adjoint_b")])
    }
    for (name, function) in [("ArgMax", "argmax"), ("ArgMin", "argmin")] {
      table[name] = Form(function: function, inputs: [nil, "axis"], attributes: [("output_type", "output_type")])
    }
    for (name, function) in [("Cumsum", "cumsum"), ("Cumprod", "cumprod")] {
      table[name] = Form(function: function, inputs: [nil, "axis"], attributes: [("exclusive", "exclusive"), ("reverse", "reverse")])
    }
    for (name, function) in [
      ("Mean", "mean"), ("Sum", "sum"), ("Max", "max"), ("Min", "min"), ("Prod", "prod"), ("Any", "any"), ("All", "all"),
      ("EuclideanNorm", "reduce_euclidean_norm"),
    ] {
      table[name] = Form(function: function, inputs: [nil, "axis"], attributes: [("keep_dims", "keepdims")])
    }
    for (name, function) in [("MaxPool", "max_pool"), ("AvgPool", "average_pool")] {
      table[name] = Form(
        function: function,
        attributes: [("ksize", "ksize"), ("strides", "strides"), ("padding", "padding"), ("data_format", "data_format")])
    }
    for (name, function) in [
      ("Add", "add"), ("AddV2", "add"), ("Sub", "subtract"), ("Mul", "multiply"), ("RealDiv", "divide"), ("DivNoNan", "divide_no_nan"),
      ("Pow", "power"), ("Maximum", "maximum"), ("Minimum", "minimum"), ("FloorDiv", "floor_divide"), ("FloorMod", "mod"),
      ("SquaredDifference", "squared_difference"), ("Greater", "greater"), ("GreaterEqual", "greater_equal"), ("Less", "less"),
      ("LessEqual", "less_equal"), ("Equal", "equal"), ("NotEqual", "not_equal"), ("LogicalAnd", "logical_and"),
      ("LogicalOr", "logical_or"), ("MulNoNan", "multiply_no_nan"),
    ] {
      table[name] = Form(function: function, inputs: [nil, nil])
    }
    table["Atan2"] = Form(function: "arctan2", inputs: ["y", "x"])
    for (name, function) in [
      ("Abs", "abs"), ("Neg", "negative"), ("Square", "square"), ("Sqrt", "sqrt"), ("Rsqrt", "rsqrt"), ("Exp", "exp"),
      ("Expm1", "expm1"), ("Log", "log"), ("Log1p", "log1p"), ("Sign", "sign"), ("Floor", "floor"), ("Ceil", "ceil"),
      ("Round", "round"), ("Rint", "round"), ("Reciprocal", "reciprocal"), ("Inv", "reciprocal"), ("Sigmoid", "sigmoid"),
      ("Tanh", "tanh"), ("Relu", "relu"), ("Relu6", "relu6"), ("Elu", "elu"), ("Selu", "selu"), ("Softplus", "softplus"),
      ("Softsign", "softsign"), ("Softmax", "softmax"), ("LogSoftmax", "log_softmax"), ("Sin", "sin"), ("Cos", "cos"),
      ("Tan", "tan"), ("Asin", "arcsin"), ("Acos", "arccos"), ("Atan", "arctan"), ("Sinh", "sinh"), ("Cosh", "cosh"),
      ("Asinh", "arcsinh"), ("Acosh", "arccosh"), ("Atanh", "arctanh"), ("Erf", "erf"), ("Erfc", "erfc"),
      ("IsNan", "isnan"), ("IsInf", "isinf"), ("IsFinite", "isfinite"), ("LogicalNot", "logical_not"),
      ("Identity", "identity"), ("StopGradient", "identity"),
    ] {
      table[name] = Form(function: function)
    }
    return table.merging(less) { first, _ in first }
  }()

  /// Operations that stand seldom between layers: on bits, matrices, segments, shapes, and layers' own.
  private static let less: [String: Form] = {
    var table: [String: Form] = [
      "Roll": Form(function: "roll", inputs: [nil, "shift", "axis"]),
      "EnsureShape": Form(function: "ensure_shape", attributes: [("shape", "shape")]),
      "Shape": Form(function: "shape", attributes: [("out_type", "out_type")]),
      "Size": Form(function: "size", attributes: [("out_type", "out_type")]),
      "Rank": Form(function: "rank"),
      "GatherNd": Form(function: "gather_nd", inputs: [nil, nil]),
      "ScatterNd": Form(function: "scatter_nd", inputs: [nil, nil, "shape"]),
      "SpaceToBatchND": Form(function: "space_to_batch_nd", inputs: [nil, "block_shape", "paddings"]),
      "BatchToSpaceND": Form(function: "batch_to_space_nd", inputs: [nil, "block_shape", "crops"]),
      "Cholesky": Form(function: "cholesky"),
      "MatrixDeterminant": Form(function: "det"),
      "MatrixDiag": Form(function: "diag"),
      "MatrixDiagPart": Form(function: "diag_part"),
      "L2Loss": Form(function: "l2_loss"),
      "Lgamma": Form(function: "lgamma"),
      "Digamma": Form(function: "digamma"),
      "Invert": Form(function: "bitwise_not"),
      "LRN": Form(
        function: "local_response_normalization",
        attributes: [("depth_radius", "depth_radius"), ("bias", "bias"), ("alpha", "alpha"), ("beta", "beta")]),
      "Conv2DBackpropInput": Form(
        function: "conv2d_transpose", inputs: ["output_shape", "filters", "input"],
        attributes: [("strides", "strides"), ("padding", "padding"), ("data_format", "data_format"), ("dilations", "dilations")]),
    ]
    for (name, function) in [
      ("BitwiseAnd", "bitwise_and"), ("BitwiseOr", "bitwise_or"), ("BitwiseXor", "bitwise_xor"), ("LeftShift", "left_shift"),
      ("RightShift", "right_shift"), ("Xlogy", "xlogy"), ("Xdivy", "xdivy"), ("Cross", "cross"),
    ] {
      table[name] = Form(function: function, inputs: [nil, nil])
    }
    for name in ["sum", "max", "min", "prod"] {
      let capital = name.prefix(1).uppercased() + name.dropFirst()
      table["Segment\(capital)"] = Form(function: "segment_\(name)", inputs: [nil, nil])
      table["UnsortedSegment\(capital)"] = Form(function: "unsorted_segment_\(name)", inputs: [nil, nil, "num_segments"])
    }
    for (name, function) in [("Update", "update"), ("Add", "add"), ("Sub", "sub"), ("Max", "max"), ("Min", "min")] {
      table["TensorScatter\(name)"] = Form(function: "tensor_scatter_nd_\(function)", inputs: [nil, nil, nil])
    }
    for (name, function) in [("Conv2D", "conv2d"), ("Conv3D", "conv3d"), ("DepthwiseConv2dNative", "depthwise_conv2d")] {
      table[name] = Form(
        function: function, inputs: [nil, nil],
        attributes: [("strides", "strides"), ("padding", "padding"), ("data_format", "data_format"), ("dilations", "dilations")])
    }
    return table
  }()
}
