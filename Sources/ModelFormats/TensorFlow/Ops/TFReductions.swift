import GraphModule
import TensorModule

extension TFOpCatalog {
  static let reductions = Family(
    "Reductions",
    [
      "Sum": { [try reduction($0, .sum)] }, "Prod": { [try reduction($0, .prod)] }, "Max": { [try reduction($0, .max)] },
      "Min": { [try reduction($0, .min)] }, "Any": { [try reduction($0, .any)] }, "All": { [try reduction($0, .all)] },
      "Mean": { call in
        let dtype = try call.input(0).type.dtype
        if dtype.isFloat { return [try reduction(call, .mean)] }
        // Integers: the sum over the count, truncated.
        let x = try call.x(0)
        let axes = try reducedAxes(call)
        let sum = try call.reduce(.sum, x, axes, keepDims: try call.bool("keep_dims"))
        guard let count = axes.reduce(Dim(1), { $0 * call.type(x).dims[$1] }).fixed, count > 0 else { throw call.unsupported("the mean of \(call.type(x).message)") }
        return [try truncatedQuotient(call, sum, try call.scalar(Double(count), dtype))]
      },
      "EuclideanNorm": { call in
        let x = try call.x(0)
        let sum = try call.reduce(.sum, try call.unary(.square, x), try reducedAxes(call), keepDims: try call.bool("keep_dims"))
        return [try call.unary(.sqrt, sum)]
      },
      "ArgMax": { [try argReduce($0, .max)] }, "ArgMin": { [try argReduce($0, .min)] },
      "Cumsum": { [try cumulative($0, .sum)] }, "Cumprod": { [try cumulative($0, .prod)] },
      "TopK": { try topK($0, try $0.int("k")) },
      "TopKV2": { try topK($0, try $0.integer(1, "a count")) },
      "InTopK": { [try inTopK($0, try $0.int("k"))] },
      "InTopKV2": { [try inTopK($0, try $0.integer(2, "a count"))] },
      "Bincount": { [try binCount($0, size: try $0.integer(1, "a size"), weights: 2)] },
      "DenseBincount": { [try binCount($0, size: try $0.integer(1, "a size"), weights: 2)] },
      "HistogramFixedWidth": { call in
        let x = try call.x(0), type = call.type(x)
        let range = try call.constant(1, "a range").doubles
        let bins = try call.integer(2, "a count")
        guard range.count == 2, bins >= 1, bins <= 1 << 16 else { throw call.wrong("its range or count is out of range") }
        let width = (range[1] - range[0]) / Double(bins)
        let place = try call.binary(.div, try call.binary(.sub, x, try call.scalar(range[0], type.dtype)), try call.scalar(width, type.dtype))
        let clipped = try call.unary(.clip, try call.unary(.floor, place), [0, Double(bins - 1)])
        let hot = try call.add(OneHot(depth: bins, dtype: .int32), [try call.cast(clipped, .int32)], "one_hot")
        return [try call.cast(try call.reduce(.sum, hot, Array(0..<type.rank)), try call.dtype("dtype", .int32))]
      },
      "UnsortedSegmentSum": { [try segments($0, .sum)] }, "UnsortedSegmentProd": { [try segments($0, .prod)] },
      "UnsortedSegmentMax": { [try segments($0, .max)] }, "UnsortedSegmentMin": { [try segments($0, .min)] },
      "SegmentSum": { [try sortedSegments($0, .sum)] }, "SegmentProd": { [try sortedSegments($0, .prod)] },
      "SegmentMax": { [try sortedSegments($0, .max)] }, "SegmentMin": { [try sortedSegments($0, .min)] },
      "SegmentMean": { [try sortedSegments($0, .mean)] },
      "SparseSegmentSum": { [try sparseSegments($0, .sum, root: false)] },
      "SparseSegmentMean": { [try sparseSegments($0, .mean, root: false)] },
      "SparseSegmentSqrtN": { [try sparseSegments($0, .mean, root: true)] },
      "LowerBound": { [try bound($0, .less)] }, "UpperBound": { [try bound($0, .lessEqual)] },
      "NthElement": { call in
        let x = try call.x(0)
        let n = try call.integer(1, "a place"), length = try call.length(x, -1)
        guard (0..<length).contains(n) else { throw call.wrong("\(n) is out of range for \(call.type(x).message)") }
        let sorted = try call.addAll(TopK(k: length), [x], "top_k")[0]
        let place = try call.bool("reverse") ? n : length - 1 - n
        let axis = call.type(x).rank - 1
        return [try call.drop(try call.slice(sorted, axis: axis, place, place + 1), axis)]
      },
    ])

  /// Positive axes, each once; an operand without elements reduces nothing.
  static func reducedAxes(_ call: TFCall) throws -> [Int] {
    let rank = try call.input(0).type.rank
    return Set(try call.integers(1, "axes").map { try call.axis($0, rank) }).sorted()
  }

  private static func reduction(_ call: TFCall, _ kind: Reduce.Kind) throws -> ValueID {
    let x = try call.x(0)
    let axes = try reducedAxes(call)
    return axes.isEmpty ? x : try call.reduce(kind, x, axes, keepDims: try call.bool("keep_dims"))
  }

  private static func argReduce(_ call: TFCall, _ kind: ArgReduce.Kind) throws -> ValueID {
    let x = try call.x(0)
    let axis = try call.axis(try call.integer(1, "an axis"), call.type(x).rank)
    return try call.add(ArgReduce(kind, axis: axis, dtype: try call.dtype("output_type", .int64)), [x], "arg_reduce")
  }

  private static func cumulative(_ call: TFCall, _ kind: Cumulative.Kind) throws -> ValueID {
    let x = try call.x(0)
    let axis = try call.axis(try call.integer(1, "an axis"), call.type(x).rank)
    return try call.add(
      Cumulative(kind, axis: axis, exclusive: try call.bool("exclusive"), reverse: try call.bool("reverse")), [x], "cumulative")
  }

  private static func topK(_ call: TFCall, _ k: Int) throws -> [ValueID] {
    let results = try call.addAll(TopK(k: k), [try call.x(0)], "top_k")
    guard results.count == 2 else { throw KilnError(.internal, "top_k has \(results.count) results") }
    return [results[0], try call.cast(results[1], try call.dtype("index_type", .int32))]
  }

  /// Whether fewer than k predictions are larger than that of the target.
  private static func inTopK(_ call: TFCall, _ k: Int) throws -> ValueID {
    let (predictions, targets) = (try call.x(0), try call.x(1))
    let picked = try call.add(Gather(axis: 1, batchDims: 1), [predictions, try call.expand(targets, 1)], "gather")
    let larger = try call.cast(try call.binary(.greater, predictions, picked), .int32)
    let rank = try call.reduce(.sum, larger, [1])
    let near = try call.binary(.less, rank, try call.scalar(Double(k), .int32))
    return try call.binary(.and, near, try call.drop(try call.unary(.isfinite, picked), 1))
  }

  private static func binCount(_ call: TFCall, size: Int, weights: Int) throws -> ValueID {
    let x = try call.x(0), type = call.type(x)
    guard (0...1 << 20).contains(size) else { throw call.wrong("its size \(size) is out of range") }
    let given = try call.input(weights)
    let dtype = given.type.dtype
    var hot = try call.add(OneHot(depth: size, dtype: dtype), [x], "one_hot")
    let binary = try call.bool("binary_output")
    if given.type.elementCount.fixed != 0, !binary { hot = try call.binary(.mul, hot, try call.expand(try call.x(weights), type.rank)) }
    let axes = call.op == "DenseBincount" && type.rank == 2 ? [1] : Array(0..<type.rank)
    let counts = try call.reduce(binary ? .max : .sum, hot, axes)
    return counts
  }

  /// How many of the sorted numbers in each row are below (or not above) each value.
  private static func bound(_ call: TFCall, _ function: ScalarFunction) throws -> ValueID {
    let (rows, values) = (try call.x(0), try call.x(1))
    let below = try call.binary(function, try call.expand(rows, 1), try call.expand(values, 2))
    let dtype = try call.dtype("out_type", .int32)
    return try call.reduce(.sum, try call.cast(below, dtype), [2])
  }

  /// Segments by sorted ids, which must be known to tell their number; segments without elements are 0 (1 for products).
  private static func sortedSegments(_ call: TFCall, _ kind: Reduce.Kind) throws -> ValueID {
    let ids = try call.integers(1, "segment ids")
    guard zip(ids, ids.dropFirst()).allSatisfy({ $0 <= $1 }), (ids.first ?? 0) >= 0 else { throw call.wrong("segment ids are not sorted") }
    return try knownSegments(call, try call.x(0), ids, kind, root: false)
  }

  private static func sparseSegments(_ call: TFCall, _ kind: Reduce.Kind, root: Bool) throws -> ValueID {
    let picked = try call.add(Gather(axis: 0), [try call.x(0), try call.x(1)], "gather")
    return try knownSegments(call, picked, try call.integers(2, "segment ids"), kind, root: root)
  }

  private static func knownSegments(_ call: TFCall, _ data: ValueID, _ ids: [Int], _ kind: Reduce.Kind, root: Bool) throws -> ValueID {
    let count = (ids.last ?? -1) + 1
    guard count <= 1 << 16, ids.allSatisfy({ $0 >= 0 && $0 < count }) else { throw call.wrong("segment ids are out of range") }
    let dtype = call.type(data).dtype
    let places = try call.numbers(ids.map(Double.init), [ids.count], .int32, "ids")
    var result = try segments(call, data, places, count, kind == .mean ? .sum : kind)
    let rank = call.type(result).rank
    let sizes = (0..<count).map { segment in ids.count { $0 == segment } }
    let shape = [count] + [Int](repeating: 1, count: rank - 1)
    if kind == .mean {
      let divisors = sizes.map { $0 == 0 ? 1 : root ? Double($0).squareRoot() : Double($0) }
      result = try call.binary(.div, result, try call.numbers(divisors, shape, dtype, "sizes"))
    } else if kind == .max || kind == .min, sizes.contains(0) {
      let filled = call.constant(try Tensor(sizes.map { $0 > 0 }, shape: shape), "filled")
      result = try call.select(filled, result, try call.scalar(0, dtype))
    }
    return result
  }

  /// Segments whose number is known.
  private static func segments(_ call: TFCall, _ kind: Reduce.Kind) throws -> ValueID {
    try segments(call, try call.x(0), try call.x(1), try call.integer(2, "a number of segments"), kind)
  }

  /// By a mask of segment against element.
  private static func segments(_ call: TFCall, _ values: ValueID, _ ids: ValueID, _ count: Int, _ kind: Reduce.Kind) throws -> ValueID {
    var data = values
    guard (0...1 << 16).contains(count) else { throw call.wrong("\(count) segments are out of range") }
    let (type, idType) = (call.type(data), call.type(ids))
    guard idType.rank <= type.rank, idType.rank >= 1 else { throw call.wrong("ids \(idType.message) do not fit \(type.message)") }
    let rest = Array(type.dims[idType.rank...])
    let (elements, width) = (idType.elementCount, rest.reduce(1, *))
    data = try call.reshape(data, [1, elements, width])
    let numbers = try call.reshape(try counted(call, Dim(count), idType.dtype), [Dim(count), 1])
    let belongs = try call.binary(.equal, try call.reshape(ids, [1, elements]), numbers)
    let neutral: Double =
      switch kind {
      case .sum: 0
      case .prod: 1
      case .max: type.dtype.isFloat ? lowest(type.dtype) : Double(type.dtype.integerRange?.lowerBound ?? 0)
      default: type.dtype.isFloat ? -lowest(type.dtype) : Double(type.dtype.integerRange?.upperBound ?? 0)
      }
    let spread = try call.select(try call.expand(belongs, 2), data, try call.scalar(neutral, type.dtype))
    return try call.reshape(try call.reduce(kind, spread, [1]), [Dim(count)] + rest)
  }

  /// The lowest finite number, which stands for an empty maximum.
  private static func lowest(_ dtype: DType) -> Double {
    switch dtype {
    case .float64: -Double.greatestFiniteMagnitude
    case .float16: -65504
    case .bfloat16: -3.3895313892515355e38
    default: -Double(Float.greatestFiniteMagnitude)
    }
  }
}
