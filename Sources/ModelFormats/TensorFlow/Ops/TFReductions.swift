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
        // Sums of narrow types do not wrap here, but they do in TensorFlow 1.
        var sum = try call.reduce(.sum, try call.cast(x, .int64), axes, keepDims: try call.bool("keep_dims"))
        if (1..<200).contains(call.converter.model.graph.producer) {
          if let bits = try call.dataType("T")?.unsignedBits {
            sum = try call.binary(.bitAnd, sum, try call.scalar(Double((1 << bits) - 1), .int64))
          } else {
            sum = try call.cast(try call.cast(sum, dtype), .int64)
          }
        }
        let divisor: ValueID
        if let count = axes.reduce(Dim(1), { $0 * call.type(x).dims[$1] }).fixed {
          divisor = try call.scalar(Double(count), .int64)
        } else {
          let ones = try call.broadcast(try call.scalar(1, .int64), call.type(x).dims)
          divisor = try call.reduce(.sum, ones, axes, keepDims: try call.bool("keep_dims"))
        }
        return [try call.cast(try truncatedQuotient(call, sum, divisor), dtype)]
      },
      "EuclideanNorm": { call in
        let x = try call.x(0)
        let axes = try reducedAxes(call)
        // Without axes TensorFlow 1 hands x on.
        if axes.isEmpty, (1..<200).contains(call.converter.model.graph.producer) { return [x] }
        let sum = try call.reduce(.sum, try call.unary(.square, x), axes, keepDims: try call.bool("keep_dims"))
        return [try call.unary(.sqrt, sum)]
      },
      "ArgMax": { [try argReduce($0, .max)] }, "ArgMin": { [try argReduce($0, .min)] },
      "Cumsum": { [try cumulative($0, .sum)] }, "Cumprod": { [try cumulative($0, .prod)] },
      "CumulativeLogsumexp": { [try cumulative($0, .logSumExp)] },
      "TopK": { try topK($0, try $0.int("k")) },
      "TopKV2": { try topK($0) },
      "InTopK": { [try inTopK($0, try $0.scalar(Double(try $0.int("k")), .int32))] },
      "InTopKV2": { [try inTopK($0, try $0.cast(try $0.x(2), .int32))] },
      "Bincount": { [try TFSegments.counts($0)] }, "DenseBincount": { [try TFSegments.counts($0)] },
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
      "UnsortedSegmentSum": { [try TFSegments.unsorted($0, .sum)] }, "UnsortedSegmentProd": { [try TFSegments.unsorted($0, .prod)] },
      "UnsortedSegmentMax": { [try TFSegments.unsorted($0, .max)] }, "UnsortedSegmentMin": { [try TFSegments.unsorted($0, .min)] },
      "SegmentSum": { [try TFSegments.sorted($0, .sum)] }, "SegmentProd": { [try TFSegments.sorted($0, .prod)] },
      "SegmentMax": { [try TFSegments.sorted($0, .max)] }, "SegmentMin": { [try TFSegments.sorted($0, .min)] },
      "SegmentMean": { [try TFSegments.sorted($0, .mean)] },
      "SparseSegmentSum": { [try TFSegments.sparse($0, .sum, root: false)] },
      "SparseSegmentMean": { [try TFSegments.sparse($0, .mean, root: false)] },
      "SparseSegmentSqrtN": { [try TFSegments.sparse($0, .mean, root: true)] },
      "SparseSegmentSumWithNumSegments": { [try TFSegments.sparse($0, .sum, root: false)] },
      "SparseSegmentMeanWithNumSegments": { [try TFSegments.sparse($0, .mean, root: false)] },
      "SparseSegmentSqrtNWithNumSegments": { [try TFSegments.sparse($0, .mean, root: true)] },
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
    let result = try call.add(
      Cumulative(kind, axis: axis, exclusive: try call.bool("exclusive"), reverse: try call.bool("reverse")), [x], "cumulative")
    // TensorFlow 1 starts at the lowest finite number, not at minus infinity.
    guard kind == .logSumExp, (1..<200).contains(call.converter.model.graph.producer) else { return result }
    return try call.binary(.max, result, try call.scalar(TFSegments.lowest(call.type(x).dtype), call.type(x).dtype))
  }

  private static func topK(_ call: TFCall, _ k: Int) throws -> [ValueID] {
    let results = try call.addAll(TopK(k: k), [try call.x(0)], "top_k")
    guard results.count == 2 else { throw KilnError(.internal, "top_k has \(results.count) results") }
    return [results[0], try call.cast(results[1], try call.dtype("index_type", .int32))]
  }

  /// As many as an operand says; when the data say it, a part of the whole in order.
  private static func topK(_ call: TFCall) throws -> [ValueID] {
    if let k = try call.input(1).known?.fixed {
      guard k.count == 1 else { throw call.wrong("a count must be one number, found \(k.count)") }
      return try topK(call, k[0])
    }
    let x = try call.x(0), rank = call.type(x).rank
    guard rank >= 1 else { throw call.wrong("needs a vector or more, found a scalar") }
    let k = try call.size(1, "a count")
    let order = try call.addAll(Sort(axis: rank - 1, descending: true), [x], "sort")
    let parts = try order.map { try TFDynamicSlice.part(call, $0, rank - 1, 0, k) }
    return [parts[0], try call.cast(parts[1], try call.dtype("index_type", .int32))]
  }

  /// Whether fewer than k predictions are larger than that of the target.
  private static func inTopK(_ call: TFCall, _ k: ValueID) throws -> ValueID {
    let (predictions, targets) = (try call.x(0), try call.x(1))
    let picked = try call.add(Gather(axis: 1, batchDims: 1), [predictions, try call.expand(targets, 1)], "gather")
    let larger = try call.cast(try call.binary(.greater, predictions, picked), .int32)
    let rank = try call.reduce(.sum, larger, [1])
    let near = try call.binary(.less, rank, k)
    return try call.binary(.and, near, try call.drop(try call.unary(.isfinite, picked), 1))
  }

  /// How many of the sorted numbers in each row are below (or not above) each value.
  private static func bound(_ call: TFCall, _ function: ScalarFunction) throws -> ValueID {
    let (rows, values) = (try call.x(0), try call.x(1))
    let below = try call.binary(function, try call.expand(rows, 1), try call.expand(values, 2))
    let dtype = try call.dtype("out_type", .int32)
    return try call.reduce(.sum, try call.cast(below, dtype), [2])
  }
}
