import GraphModule
import TensorModule

extension FunctionCatalog {
  /// Functions that put elements at places, and segments.
  static let scattering: [String: Meaning] = {
    var table: [String: Meaning] = [
      "scatter": { call in
        let values = try call.materialised(try call.required(1, "values", "updates"))
        return [try onto(call, try zeros(call, values, "shape"), .add, try indices(call, 0, "indices"), values)]
      },
      "scatter_nd": { call in
        let values = try call.materialised(try call.required(1, "updates"))
        return [try onto(call, try zeros(call, values, "shape"), .add, try indices(call, 0, "indices"), values)]
      },
      "scatter_update": { call in
        let x = try call.tensor(0, "inputs", "tensor")
        let name = try call.string("reduction") ?? "update"
        guard let kind = Scatter.Kind(rawValue: name) else { throw call.unsupported("reduction \(KilnError.quoted(name))") }
        let updates = try call.materialised(try call.required(2, "updates"), call.dtype(of: x))
        return [try onto(call, x, kind, try indices(call, 1, "indices"), updates)]
      },
      "slice_update": { call in
        let x = try call.tensor(0, "inputs")
        let updates = try call.materialised(try call.required(2, "updates"), call.dtype(of: x))
        guard let json = try call.json(at: 1, "start_indices") else { throw call.wrong("start_indices are missing") }
        let starts = try call.integers(json, "start_indices")
        let dims = call.dims(of: x)
        guard starts.count == dims.count, call.rank(updates) == dims.count else { throw call.wrong("start_indices do not fit") }
        // What is around the updates, axis by axis from the last to the first.
        var result = updates
        for axis in dims.indices.reversed() {
          var around = x
          for outer in 0..<axis { around = try part(call, around, outer, starts[outer], call.dims(of: updates)[outer]) }
          let length = call.dims(of: updates)[axis]
          guard starts[axis] != 0 || length != dims[axis] else { continue }
          guard let count = length.fixed, starts[axis] >= 0 else { throw call.unsupported("updates of unknown length") }
          let head = try call.range(around, axis: axis, nil, starts[axis])
          let tail = try call.range(around, axis: axis, starts[axis] + count, nil)
          result = try call.concat([head, result, tail], axis: axis)
        }
        return [result]
      },
      "gather_nd": { call in
        var x = try call.tensor(0, "params")
        call.ignore("bad_indices_policy")
        var picks = try indices(call, 1, "indices")
        let batch = try call.int("batch_dims") ?? 0
        guard let depth = call.dims(of: picks).last?.fixed, batch >= 0, batch + depth <= call.rank(x) else {
          throw call.wrong("indices do not fit")
        }
        // One index over the joined axes.
        let dims = call.dims(of: x)
        // The length of the first of these axes may be open.
        let lengths = try (0..<depth).map { $0 == 0 ? 1 : try call.length(x, batch + $0) }
        var strides = [Int64](repeating: 1, count: depth)
        for axis in stride(from: depth - 2, through: 0, by: -1) { strides[axis] = strides[axis + 1] * Int64(lengths[axis + 1]) }
        let weights = call.layer.constant(try Tensor(integers: strides, dtype: .int64, shape: [depth]), "strides")
        picks = try call.reduce(
          .sum, try call.apply(.mul, try call.cast(picks, .int64), weights), [call.rank(picks) - 1], false)
        let count = dims[batch..<batch + depth].reduce(Dim(1), *)
        x = try call.layer.reshape(x, Array(dims[..<batch]) + [count] + dims[(batch + depth)...])
        return [try call.layer.add(Gather(axis: batch, batchDims: batch), [x, picks], "gather")]
      },
      "segment_mean": { call in
        [try mean(call, try segments(call, sorted: true))]
      },
      "unsorted_segment_mean": { call in [try mean(call, try segments(call, sorted: false))] },
    ]
    for (name, kind) in [("sum", Scatter.Kind.add), ("max", .max), ("min", .min), ("prod", .mul)] {
      table["segment_\(name)"] = { call in
        let sorted = call.isKeras ? try call.bool("sorted") ?? false : true
        return [try segment(call, kind, try segments(call, sorted: sorted), emptyIsZero: sorted)]
      }
      table["unsorted_segment_\(name)"] = { call in
        [try segment(call, kind, try segments(call, sorted: false), emptyIsZero: false)]
      }
    }
    for (name, kind) in [("update", Scatter.Kind.update), ("add", .add), ("max", .max), ("min", .min), ("sub", .add)] {
      let meaning: Meaning = { call in
        let x = try call.tensor(0, "tensor")
        var updates = try call.materialised(try call.required(2, "updates"), call.dtype(of: x))
        if name == "sub" { updates = try call.apply(.neg, updates) }
        return [try onto(call, x, kind, try indices(call, 1, "indices"), updates)]
      }
      table["tensor_scatter_nd_\(name)"] = meaning
      table["tensor_scatter_\(name)"] = meaning
    }
    return table
  }()

  private static func part(_ call: FunctionCall, _ x: ValueID, _ axis: Int, _ start: Int, _ length: Dim) throws -> ValueID {
    if start == 0, length == call.dims(of: x)[axis] { return x }
    guard let count = length.fixed else { throw call.unsupported("updates of unknown length") }
    return try call.range(x, axis: axis, start, start + count)
  }

  private static func indices(_ call: FunctionCall, _ position: Int, _ name: String) throws -> ValueID {
    let operand = try call.required(position, name)
    if case .numbers(var array) = operand {
      array.dtype = nil
      return try call.materialised(.numbers(array), .int64)
    }
    let value = try call.materialised(operand)
    return call.dtype(of: value).isInteger ? value : try call.cast(value, .int32)
  }

  private static func zeros(_ call: FunctionCall, _ like: ValueID, _ name: String) throws -> ValueID {
    guard let dims = try call.dims(2, name) else { throw call.wrong("shape is missing") }
    return try call.broadcast(try call.layer.scalar(0, call.dtype(of: like)), dims)
  }

  private static func onto(
    _ call: FunctionCall, _ x: ValueID, _ kind: Scatter.Kind, _ indices: ValueID, _ updates: ValueID
  ) throws -> ValueID {
    guard let depth = call.dims(of: indices).last?.fixed, depth <= call.rank(x) else { throw call.wrong("indices do not fit") }
    let wanted = Array(call.dims(of: indices).dropLast()) + call.dims(of: x)[depth...]
    return try call.layer.add(Scatter(kind), [x, indices, try call.broadcast(updates, wanted)], "scatter")
  }

  private struct Segments {
    var data: ValueID
    var ids: ValueID
    var count: Int
  }

  /// The data, their segments, and how many segments there are.
  private static func segments(_ call: FunctionCall, sorted: Bool) throws -> Segments {
    let data = try call.tensor(0, "data")
    let operand = try call.required(1, "segment_ids")
    var count: Int?
    if let given = try call.json(at: 2, "num_segments") { count = given.intValue }
    if count == nil, case .numbers(let array) = operand { count = Int(exactly: (array.values.max() ?? -1) + 1) }
    guard let count, (0...1 << 24).contains(count) else {
      throw call.unsupported("a number of segments that depends on the data")
    }
    return Segments(data: data, ids: try indices(call, 1, "segment_ids"), count: count)
  }

  private static func segment(
    _ call: FunctionCall, _ kind: Scatter.Kind, _ segments: Segments, emptyIsZero: Bool
  ) throws -> ValueID {
    let data = segments.data
    let dtype = call.dtype(of: data)
    let inner = Array(call.dims(of: data).dropFirst(call.rank(segments.ids)))
    let limits: (Double, Double) =
      switch dtype {
      case .float64: (-Double.greatestFiniteMagnitude, .greatestFiniteMagnitude)
      case .float32: (-Double(Float.greatestFiniteMagnitude), Double(Float.greatestFiniteMagnitude))
      default:
        // Exact in Double for the integers that TensorFlow has segments of, but for the two ends of int64.
        (Double(dtype.integerRange?.lowerBound ?? 0), Double(dtype.integerRange?.upperBound ?? 0))
      }
    let first: Double =
      switch kind {
      case .max: limits.0
      case .min: limits.1
      case .mul: 1
      default: 0
      }
    let empty = try call.broadcast(try call.layer.scalar(first, dtype), [Dim(segments.count)] + inner)
    let places = try call.layer.expand(segments.ids, axis: -1)
    let result = try call.layer.add(Scatter(kind, outside: .skip), [empty, places, data], "segments")
    guard emptyIsZero, kind == .max || kind == .min else { return result }
    let used = try counts(call, segments, inner.count)
    return try call.select(try call.apply(.equal, used, 0), 0, result)
  }

  /// The lengths of the segments, with `rank` axes of length 1 after.
  private static func counts(_ call: FunctionCall, _ segments: Segments, _ rank: Int) throws -> ValueID {
    let dtype = call.dtype(of: segments.data)
    let ones = try call.broadcast(try call.layer.scalar(1, dtype), call.dims(of: segments.ids))
    let empty = try call.broadcast(try call.layer.scalar(0, dtype), [Dim(segments.count)])
    let places = try call.layer.expand(segments.ids, axis: -1)
    let counts = try call.layer.add(Scatter(.add, outside: .skip), [empty, places, ones], "counts")
    return try call.layer.reshape(counts, [Dim(segments.count)] + [Dim](repeating: 1, count: rank))
  }

  private static func mean(_ call: FunctionCall, _ segments: Segments) throws -> ValueID {
    let sum = try segment(call, .add, segments, emptyIsZero: true)
    return try call.apply(.div, sum, try call.apply(.max, try counts(call, segments, call.rank(sum) - 1), 1))
  }
}
