import GraphModule
import TensorModule

/// What TensorFlow's arithmetic does where the graph's own dtypes do not do it by themselves: half precision is rounded
/// after each op, unsigned 16 and 32-bit integers, which the graph holds in wider signed ones, wrap, and complex numbers are
/// pairs of tensors.
enum TFNumbers {
  /// The results of a node by its reader.
  static func apply(_ call: TFCall, _ reader: TFOpCatalog.Reader) throws -> [TFValue] {
    if call.inputs.contains(where: { $0.parts != nil }) { return try TFComplex.apply(call, reader) }
    if let narrow = halfPrecision(call) { return try rounded(call, reader, narrow) }
    let results = try reader(call)
    guard let bits = unsignedBits(call) else { return results }
    return try results.map { value in
      guard case .tensor = value.kind, value.type.dtype.isInteger else { return value }
      let mask = try call.scalar(Double((1 << bits) - 1), value.type.dtype)
      let wrapped = try call.binary(.bitAnd, try call.builder.id(value), mask)
      return call.values([wrapped])[0]
    }
  }

  // MARK: Half precision

  /// Ops that round in half precision. Those that only move, compare or pick numbers are exact in it.
  private static let rounding: Set<String> = [
    "Acos", "Acosh", "Add", "AddN", "AddV2", "Asin", "Asinh", "Atan", "Atan2", "Atanh", "AvgPool", "AvgPool3D", "BatchMatMul",
    "BatchMatMulV2", "BatchMatMulV3", "BatchNormWithGlobalNormalization", "BiasAdd", "BiasAddV1", "Conv2D", "Conv2DBackpropInput",
    "Conv3D", "Conv3DBackpropInputV2", "Cos", "Cosh", "Cross", "Cumprod", "Cumsum", "CumulativeLogsumexp", "DepthwiseConv2dNative",
    "DepthwiseConv2dNativeBackpropInput", "Digamma", "Dilation2D", "Div", "DivNoNan", "Einsum", "Elu", "Erf", "Erfc", "Erfinv",
    "EuclideanNorm", "Exp", "Expm1", "FloorDiv", "FloorMod", "FusedBatchNormV2", "FusedBatchNormV3", "Inv", "L2Loss", "LRN",
    "LeakyRelu", "Lgamma", "Log", "Log1p", "LogSoftmax", "MatMul", "Mean", "Mod", "Mul", "MulNoNan", "Ndtri", "Pow", "Prod",
    "RealDiv", "Reciprocal", "Rsqrt", "SegmentMean", "SegmentProd", "SegmentSum", "Selu", "Sigmoid", "Sin", "Sinh", "Softmax",
    "Softplus", "Softsign", "Sqrt", "Square", "SquaredDifference", "Sub", "Sum", "Tan", "Tanh", "TruncateDiv", "TruncateMod",
    "UnsortedSegmentProd", "UnsortedSegmentSum", "Xdivy", "Xlog1py", "Xlogy", "AdjustContrastv2", "AdjustHue", "AdjustSaturation",
    "HSVToRGB", "RGBToHSV", "SigmoidGrad", "TanhGrad",
  ]

  private static func halfPrecision(_ call: TFCall) -> DType? {
    guard rounding.contains(call.op) else { return nil }
    return call.inputs.map(\.type.dtype).first { $0 == .float16 || $0 == .bfloat16 }
  }

  /// The node in single precision, and its results rounded.
  private static func rounded(_ call: TFCall, _ reader: TFOpCatalog.Reader, _ narrow: DType) throws -> [TFValue] {
    func isNarrow(_ value: TFValue) -> Bool {
      guard case .tensor = value.kind else { return false }
      return value.type.dtype == .float16 || value.type.dtype == .bfloat16
    }
    let inputs = try call.inputs.map { value -> TFValue in
      guard isNarrow(value) else { return value }
      if let constant = value.constant {
        return .constant(try constant.converted(to: .float32), call.builder, name: "\(value.name)/float32")
      }
      return .value(try call.cast(try call.builder.id(value), .float32), call.builder, name: value.name)
    }
    if call.op == "Elu" {
      // eˣ is rounded by itself before 1 is taken from it.
      let x = try call.builder.id(inputs[0])
      let power = try call.cast(try call.cast(try call.unary(.exp, x), narrow), .float32)
      let curve = try call.cast(try call.unary(.affine, power, [1, -1]), narrow)
      let negative = try call.binary(.less, x, try call.scalar(0, .float32))
      return call.values([try call.select(negative, curve, try call.cast(x, narrow))])
    }
    let wide = TFAttribute.type(TFDataType(1))
    var attributes = call.node.attributes
    for key in attributes.keys {
      if let type = try? call.dataType(key), type.dtype == .float16 || type.dtype == .bfloat16 { attributes[key] = wide }
    }
    if call.op == "LeakyRelu" {
      let slope = try Tensor(converting: [try call.float("alpha", 0.2)], to: narrow, shape: [])
      attributes["alpha"] = .float(slope.doubles[0])
    }
    let results = try reader(call.with(inputs: inputs, attributes: attributes))
    // Statistics of a batch normalization stay in single precision.
    let count = call.op.hasPrefix("FusedBatchNorm") ? 1 : results.count
    return try results.enumerated().map { index, value in
      guard index < count, case .tensor = value.kind, value.type.dtype == .float32 else { return value }
      return call.values([try call.cast(try call.builder.id(value), narrow)])[0]
    }
  }

  // MARK: Unsigned integers

  /// Ops whose results may pass the end of an integer type.
  private static let wrapping: Set<String> = [
    "Add", "AddN", "AddV2", "AccumulateNV2", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Cumprod", "Cumsum", "Einsum", "Invert",
    "LeftShift", "MatMul", "Mul", "MulNoNan", "Neg", "Pow", "Prod", "ScatterNd", "SegmentProd", "SegmentSum", "Square",
    "SquaredDifference", "Sub", "Sum", "TensorScatterAdd", "TensorScatterSub", "UnsortedSegmentProd", "UnsortedSegmentSum",
  ]

  /// The width of the unsigned type that a node's results wrap to, when the graph holds it in a wider signed one.
  static func unsignedBits(_ call: TFCall) -> Int? {
    let key = call.op == "Cast" ? "DstT" : call.op == "Bitcast" ? "type" : "T"
    guard call.op == "Cast" || call.op == "Bitcast" || wrapping.contains(call.op), let type = try? call.dataType(key) else { return nil }
    return type.unsignedBits
  }
}

extension TFDataType {
  /// The width of an unsigned type that the graph holds in a wider signed one.
  var unsignedBits: Int? {
    switch number {
    case 17: 16
    case 22: 32
    default: nil
    }
  }
}
