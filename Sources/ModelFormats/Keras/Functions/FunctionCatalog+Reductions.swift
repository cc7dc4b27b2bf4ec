import GraphModule
import TensorModule

extension FunctionCatalog {
  /// Functions that join the elements along axes.
  static let reductions: [String: Meaning] = {
    var table: [String: Meaning] = [
      "count_nonzero": { call in
        let (x, axes, keeps) = try operands(call)
        let ones = try call.layer.cast(try call.layer.truth(x), to: try call.dtype("dtype") ?? .int32)
        return [try call.reduce(.sum, ones, axes, keeps)]
      },
      "var": { call in
        let (x, axes, keeps) = try operands(call)
        return [try moments(call, x, axes, keeps).variance]
      },
      "std": { call in
        let (x, axes, keeps) = try operands(call)
        return [try call.layer.unary(.sqrt, try moments(call, x, axes, keeps).variance)]
      },
      "moments": { call in
        let (x, axes, keeps) = try operands(call)
        call.ignore("synchronized", "shift")
        let (mean, variance) = try moments(call, x, axes, keeps)
        return [mean, variance]
      },
      "norm": { call in
        let (x, axes, keeps) = try operands(call)
        if axes.count == 2, let kind = try call.json("ord"), let result = try matrixNorm(call, try call.float(x), axes, keeps, kind) {
          return [result]
        }
        return [try norm(call, try call.float(x), axes, keeps, try order(call, axes.count))]
      },
      "reduce_euclidean_norm": { call in
        let (x, axes, keeps) = try operands(call)
        return [try norm(call, try call.float(x), axes, keeps, 2)]
      },
      "l2_normalize": { call in
        let x = try call.float(try call.tensor(0, "x"))
        let axes = try call.axes(try call.ints("axis", "dim"), of: x)
        return [try normalized(call, x, axes, try call.double("epsilon") ?? 1e-12)]
      },
      "argmax": { try arg($0, .max) },
      "argmin": { try arg($0, .min) },
      "cumsum": { try cumulative($0, .sum) },
      "cumprod": { try cumulative($0, .prod) },
      "softmax": { try softmax($0, log: false) },
      "log_softmax": { try softmax($0, log: true) },
      "sparsemax": { call in
        let x = try call.float(try call.tensor(0, "x", "logits"))
        let axis = try call.axis(try call.int("axis") ?? -1, of: x)
        return [try call.lastTo(try ActivationFunction.sparsemax.apply(call.layer, try call.axisLast(x, axis)), axis)]
      },
      "glu": { call in
        let x = try call.float(try call.tensor(0, "x"))
        let axis = try call.axis(try call.int("axis") ?? -1, of: x)
        return [try call.lastTo(try ActivationFunction.glu.apply(call.layer, try call.axisLast(x, axis)), axis)]
      },
      "layer_normalization": { call in
        let x = try call.float(try call.tensor(0, "x"))
        if try call.bool("rms_scaling") == true { throw call.unsupported("rms_scaling") }
        let axes = try call.axes(try call.ints("axis") ?? [-1], of: x)
        let gamma = try call.optional(1, "gamma", "scale")
        let beta = try call.optional(2, "beta", "offset")
        let (mean, variance) = try moments(call, x, axes, true)
        return [
          try scaled(call, x, axes, mean, variance, try call.double("epsilon") ?? 1e-7, gamma, beta)
        ]
      },
      "rms_normalization": { call in
        let x = try call.float(try call.tensor(0, "x"))
        let axes = try call.axes(try call.ints("axis") ?? [-1], of: x)
        let mean = try call.reduce(.mean, try call.layer.unary(.square, x), axes, true)
        let scale = try call.optional(1, "scale")
        return [try scaled(call, x, axes, nil, mean, try call.double("epsilon") ?? 1e-7, scale, nil)]
      },
      "batch_normalization": { call in
        let x = try call.float(try call.tensor(0, "x"))
        let axes = call.isKeras ? try call.axes(try call.ints("axis") ?? [-1], of: x) : [call.type(x).rank - 1]
        let mean = try spread(call, try call.required(1, "mean"), axes, like: x)
        let variance = try spread(call, try call.required(2, "variance"), axes, like: x)
        let epsilon = try call.double("epsilon", "variance_epsilon") ?? 1e-3
        let offset = try call.optional(3, "offset")
        let scale = try call.optional(4, "scale")
        return [try scaled(call, x, axes, mean, variance, epsilon, scale, offset)]
      },
    ]
    for (name, kind) in [
      ("sum", Reduce.Kind.sum), ("mean", .mean), ("max", .max), ("min", .min), ("prod", .prod), ("any", .any),
      ("all", .all), ("logsumexp", .logsumexp),
    ] {
      table[name] = { try reduce($0, kind) }
    }
    return table
  }()

  /// The tensor, its positive axes, and keepdims.
  private static func operands(_ call: FunctionCall) throws -> (ValueID, [Int], Bool) {
    let x = try call.tensor(0, "x", "input_tensor", "input", "tensor", "a")
    let axes = try call.axes(try call.ints("axis", "axes", "reduction_indices"), of: x)
    return (x, axes, try call.bool("keepdims", "keep_dims") ?? false)
  }

  private static func reduce(_ call: FunctionCall, _ kind: Reduce.Kind) throws -> [ValueID] {
    var (x, axes, keeps) = try operands(call)
    if try call.json("initial") != nil { throw call.unsupported("argument 'initial'") }
    if let dtype = try call.json("dtype"), let name = dtype.stringValue, name != call.type(x).dtype.name {
      guard let wanted = try call.dtype("dtype") else { throw call.wrong("dtype") }
      x = try call.layer.cast(x, to: wanted)
    }
    switch kind {
    case .any, .all: x = try call.layer.truth(x)
    case .mean, .logsumexp:
      if !call.isKeras, !call.type(x).dtype.isFloat { throw call.unsupported("the mean of integers in TensorFlow") }
      x = try call.float(x)
    case .sum, .prod:
      let dtype = call.type(x).dtype
      if dtype == .bool || (call.isKeras && [.int8, .int16].contains(dtype)) { x = try call.layer.cast(x, to: .int32) }
      if call.isKeras, dtype == .uint8 { x = try call.layer.cast(x, to: .int64) }
    case .max, .min:
      if call.type(x).dtype == .bool {
        let small = try call.layer.cast(x, to: .uint8)
        return [try call.layer.truth(try call.reduce(kind, small, axes, keeps))]
      }
    }
    return [try call.reduce(kind, x, axes, keeps)]
  }

  private static func moments(
    _ call: FunctionCall, _ value: ValueID, _ axes: [Int], _ keeps: Bool
  ) throws -> (mean: ValueID, variance: ValueID) {
    let x = try call.float(value)
    let mean = try call.reduce(.mean, x, axes, true)
    let squares = try call.layer.binary(.squaredDifference, x, mean)
    return (
      keeps ? mean : try call.reduce(.mean, x, axes, false), try call.reduce(.mean, squares, axes, keeps)
    )
  }

  /// x / √max(Σ x², bound).
  private static func normalized(_ call: FunctionCall, _ x: ValueID, _ axes: [Int], _ bound: Double) throws -> ValueID {
    let sum = try call.reduce(.sum, try call.layer.unary(.square, x), axes, true)
    let bounded = try call.layer.binary(.max, sum, try call.layer.scalar(bound, call.type(x).dtype))
    return try call.layer.binary(.mul, x, try call.layer.unary(.rsqrt, bounded))
  }

  private static func order(_ call: FunctionCall, _ axisCount: Int) throws -> Double {
    guard let value = try call.json("ord") else { return 2 }
    switch value.stringValue {
    case "euclidean", "fro": return 2
    case nil: break
    case let name?:
      if name == "-inf" || name == "-Infinity" { return -.infinity }
      guard ["inf", "Infinity", "np.inf"].contains(name) else { throw call.unsupported("ord \(KilnError.quoted(name))") }
    }
    let number = value.stringValue == nil ? try call.double("ord") ?? 2 : .infinity
    // Over two axes a number means a matrix norm, but in TensorFlow for 2.
    guard axisCount == 1 || (!call.isKeras && number == 2) else { throw call.unsupported("ord \(number) over several axes") }
    return number
  }

  /// The norms of matrices that are not the Euclidean one; nil for that.
  private static func matrixNorm(
    _ call: FunctionCall, _ x: ValueID, _ axes: [Int], _ keeps: Bool, _ kind: JSON
  ) throws -> ValueID? {
    // The order of the axes tells rows from columns.
    guard let given = try call.ints("axis", "axes", "reduction_indices"), given.count == 2 else { return nil }
    let (rows, columns) = (try call.axis(given[0], of: x), try call.axis(given[1], of: x))
    let name = kind.stringValue ?? ""
    if name == "fro" || name == "euclidean" { return nil }
    let number = kind.doubleValue ?? (["inf", "Infinity"].contains(name) ? .infinity : name == "-inf" ? -Double.infinity : 0)
    if number == 2, !call.isKeras { return nil }
    var result: ValueID
    if name == "nuc" || number.magnitude == 2 {
      let others = call.dims(of: x).indices.filter { !axes.contains($0) }
      let matrices = try call.layer.transpose(x, others + [rows, columns])
      let values = try call.layer.addAll(SingularValues(), [matrices], "svd")[1]
      let reduction: Reduce.Kind = name == "nuc" ? .sum : number > 0 ? .max : .min
      result = try call.reduce(reduction, values, [call.rank(values) - 1], false)
    } else if number.magnitude == 1 || number.isInfinite {
      let (inner, outer) = number.isInfinite ? (columns, rows) : (rows, columns)
      let sums = try call.reduce(.sum, try call.apply(.abs, x), [inner], true)
      result = try call.reduce(number > 0 ? .max : .min, sums, [outer], true)
    } else {
      throw call.unsupported("ord \(LayerConfig.describe(kind)) over two axes")
    }
    let dims = call.dims(of: x).indices.filter { keeps || !axes.contains($0) }.map { axes.contains($0) ? 1 : call.dims(of: x)[$0] }
    result = try call.layer.reshape(result, dims)
    return result
  }

  private static func norm(
    _ call: FunctionCall, _ x: ValueID, _ axes: [Int], _ keeps: Bool, _ order: Double
  ) throws -> ValueID {
    let size = try call.layer.unary(.abs, x)
    if order == .infinity { return try call.reduce(.max, size, axes, keeps) }
    if order == -.infinity { return try call.reduce(.min, size, axes, keeps) }
    if order == 1 { return try call.reduce(.sum, size, axes, keeps) }
    if order == 2 {
      return try call.layer.unary(.sqrt, try call.reduce(.sum, try call.layer.unary(.square, x), axes, keeps))
    }
    let dtype = call.type(x).dtype
    if order == 0 { return try call.reduce(.sum, try call.cast(try call.apply(.notEqual, x, 0), dtype), axes, keeps) }
    let powers = try call.layer.binary(.pow, size, try call.layer.scalar(order, dtype))
    return try call.layer.binary(.pow, try call.reduce(.sum, powers, axes, keeps), try call.layer.scalar(1 / order, dtype))
  }

  private static func arg(_ call: FunctionCall, _ kind: ArgReduce.Kind) throws -> [ValueID] {
    var x = try call.tensor(0, "x", "input")
    let keeps = try call.bool("keepdims") ?? false
    let dtype = try call.dtype("output_type") ?? (call.isKeras ? .int32 : .int64)
    if call.type(x).dtype == .bool { x = try call.layer.cast(x, to: .int32) }
    var given = try call.int("axis", "dimension")
    if given == nil, call.isKeras {
      guard !keeps else { throw call.unsupported("keepdims without axis") }
      x = try call.layer.reshape(x, [call.type(x).elementCount])
    }
    given = given ?? 0
    let axis = try call.axis(given ?? 0, of: x)
    return [try call.layer.add(ArgReduce(kind, axis: axis, keepDims: keeps, dtype: dtype), [x], "arg_\(kind.rawValue)")]
  }

  private static func cumulative(_ call: FunctionCall, _ kind: Cumulative.Kind) throws -> [ValueID] {
    var x = try call.tensor(0, "x")
    if let dtype = try call.dtype("dtype"), dtype != call.type(x).dtype { x = try call.layer.cast(x, to: dtype) }
    if call.type(x).dtype == .bool { x = try call.layer.cast(x, to: .int32) }
    var given = try call.int("axis")
    if given == nil {
      if call.isKeras { x = try call.layer.reshape(x, [call.type(x).elementCount]) }
      given = 0
    }
    let axis = try call.axis(given ?? 0, of: x)
    let (exclusive, reverse) = (try call.bool("exclusive") ?? false, try call.bool("reverse") ?? false)
    return [try call.layer.add(Cumulative(kind, axis: axis, exclusive: exclusive, reverse: reverse), [x], "cumulative")]
  }

  /// Softmax over one axis, several, or (null in Keras 3) all.
  private static func softmax(_ call: FunctionCall, log: Bool) throws -> [ValueID] {
    let x = try call.float(try call.tensor(0, "x", "logits"))
    let type = call.type(x)
    let axes = try call.axes(try call.ints("axis", "dim") ?? [-1], of: x)
    if axes.count == 1 { return [try call.layer.add(Softmax(axis: axes[0], log: log), [x], "softmax")] }
    let others = type.dims.indices.filter { !axes.contains($0) }
    let order = others + axes
    let moved = try call.layer.transpose(x, order)
    let flat = try call.layer.reshape(
      moved, others.map { type.dims[$0] } + [axes.reduce(Dim(1)) { $0 * type.dims[$1] }])
    let result = try call.layer.add(Softmax(axis: others.count, log: log), [flat], "softmax")
    let back = type.dims.indices.map { axis in order.firstIndex(of: axis) ?? 0 }
    return [try call.layer.transpose(try call.layer.reshape(result, order.map { type.dims[$0] }), back)]
  }

  /// Statistics or scales of the given axes, with length 1 elsewhere.
  private static func spread(
    _ call: FunctionCall, _ operand: FunctionOperand, _ axes: [Int], like x: ValueID
  ) throws -> ValueID {
    let type = call.type(x)
    let value = try call.materialised(operand, type.dtype)
    guard call.type(value).rank == axes.count else { return value }
    return try call.layer.reshape(value, type.dims.indices.map { axes.contains($0) ? type.dims[$0] : 1 })
  }

  /// scale · (x − mean) / √(variance + epsilon) + offset.
  private static func scaled(
    _ call: FunctionCall, _ x: ValueID, _ axes: [Int], _ mean: ValueID?, _ variance: ValueID, _ epsilon: Double,
    _ scale: FunctionOperand?, _ offset: FunctionOperand?
  ) throws -> ValueID {
    let centred = try mean.map { try call.layer.binary(.sub, x, $0) } ?? x
    let factor = try call.layer.unary(.rsqrt, try call.layer.unary(.affine, [1, epsilon], variance))
    var result = try call.layer.binary(.mul, centred, factor)
    if let scale { result = try call.layer.binary(.mul, result, try spread(call, scale, axes, like: x)) }
    if let offset { result = try call.layer.binary(.add, result, try spread(call, offset, axes, like: x)) }
    return result
  }
}
