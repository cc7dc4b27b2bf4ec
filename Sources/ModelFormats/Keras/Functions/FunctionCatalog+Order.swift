import GraphModule
import TensorModule

extension FunctionCatalog {
  /// Functions that put elements in order, or find their place in one.
  static let order: [String: Meaning] = [
    "sort": { call in [try sorted(call, "x", "values")[0]] },
    "argsort": { call in [try sorted(call, "x", "values")[1]] },
    "argpartition": { call in
      // Any order that puts the smaller ones first is one; the file's framework sorts them.
      throw call.unsupported("an order that the framework does not fix")
    },
    "top_k": { call in
      let x = try call.tensor(0, "x", "input")
      guard let k = try call.int("k") ?? (call.isKeras ? nil : 1), k >= 0 else { throw call.wrong("k is missing") }
      call.ignore("sorted", "index_type")
      return try call.layer.addAll(TopK(k: k), [x], "top_k")
    },
    "in_top_k": { call in
      // TensorFlow's first argument is the predictions, in its older name.
      let old = !call.isKeras && call.function.hasPrefix("compat")
      let targets = try call.tensor(old ? 1 : 0, "targets")
      let predictions = try call.floatTensor(old ? 0 : 1, "predictions")
      guard let k = try call.int("k") else { throw call.wrong("k is missing") }
      let indices = try call.layer.reshape(try call.cast(targets, .int32), call.dims(of: targets) + [1])
      let own = try call.layer.add(Gather(axis: 1, batchDims: 1), [predictions, indices], "own")
      let greater = try call.cast(try call.apply(.greater, predictions, own), .int32)
      let rank = try call.reduce(.sum, greater, [1], false)
      let finite = try call.reduce(.all, try call.apply(.isfinite, own), [1], false)
      return [try call.apply(.and, try call.apply(.less, rank, Double(k)), finite)]
    },
    "median": { call in
      let x = try call.floatTensor(0, "x")
      return [try quantile(call, x, [0.5], scalar: true, ignoresNaN: false)]
    },
    "nanmedian": { call in
      let x = try call.floatTensor(0, "x")
      return [try quantile(call, x, [0.5], scalar: true, ignoresNaN: true)]
    },
    "quantile": { try quantiles($0, 1, ignoresNaN: false) },
    "percentile": { try quantiles($0, 100, ignoresNaN: false) },
    "nanquantile": { try quantiles($0, 1, ignoresNaN: true) },
    "nanpercentile": { try quantiles($0, 100, ignoresNaN: true) },
    "ptp": { call in
      let x = try call.tensor(0, "x")
      let axes = try call.axes(try call.ints("axis"), of: x)
      let keeps = try call.bool("keepdims") ?? false
      return [try call.apply(.sub, try call.reduce(.max, x, axes, keeps), try call.reduce(.min, x, axes, keeps))]
    },
    "searchsorted": { call in
      let operands = [try call.required(0, "sorted_sequence"), try call.required(1, "values")]
      let values = call.isKeras ? try call.unified(operands) : try operands.map { try call.materialised($0) }
      let right = try call.string("side") == "right"
      let sequence = try call.layer.expand(values[0], axis: -2)
      let each = try call.layer.expand(values[1], axis: -1)
      if call.rank(values[0]) > 1, call.rank(values[0]) != call.rank(values[1]) { throw call.wrong("the ranks differ") }
      let before = try call.apply(right ? .lessEqual : .less, sequence, each)
      let dtype = try call.dtype("out_type") ?? .int32
      return [try call.reduce(.sum, try call.cast(before, dtype), [call.rank(before) - 1], false)]
    },
    "digitize": { call in
      let x = try call.tensor(0, "x", "input")
      guard let bins = try call.numbers(1, "bins", "boundaries") else { throw call.wrong("bins are missing") }
      let value = call.dtype(of: x) == .float64 ? x : try call.cast(x, .float32)
      let limits = try call.constant(bins.values, [bins.values.count], call.dtype(of: value))
      let above = try call.apply(.greaterEqual, try call.layer.expand(value, axis: -1), limits)
      return [try call.reduce(.sum, try call.cast(above, .int32), [call.rank(above) - 1], false)]
    },
    "bincount": { call in
      let x = try call.tensor(0, "x", "arr")
      call.ignore("sparse", "name", "binary_output")
      guard let length = try call.int("minlength"), length > 0 else {
        throw call.unsupported("a result whose length depends on the data")
      }
      if call.isKeras || call.argument(nil, "maxlength") == nil {
        call.layer.builder.diagnostics.warn(
          call.layer.layer.path, "\(call.function): values from \(length) on are left out; the framework would make the result longer")
      } else if try call.int("maxlength") != length {
        throw call.unsupported("a maxlength other than minlength")
      }
      let axis = try call.int("axis")
      call.ignore("dtype")
      let whole = try call.cast(x, .int32)
      let flat = call.isKeras || axis == -1 ? whole : try call.layer.reshape(whole, [call.type(x).elementCount])
      let weights = try call.optional(1, "weights").map { try call.materialised($0) }
      let dtype = weights.map { call.dtype(of: $0) } ?? .int32
      var hot = try call.layer.add(OneHot(depth: length, dtype: dtype), [flat], "one_hot")
      if let weights { hot = try call.apply(.mul, hot, try call.layer.expand(weights, axis: -1)) }
      return [try call.reduce(.sum, hot, [call.rank(hot) - 2], false)]
    },
    "histogram": { call in
      let x = try call.floatTensor(0, "x")
      let bins = try call.int("bins") ?? 10
      guard (1...1 << 16).contains(bins) else { throw call.wrong("bins must be 1 or more") }
      let all = try call.layer.reshape(x, [call.type(x).elementCount])
      var (low, high) = (try call.reduce(.min, all, [0], false), try call.reduce(.max, all, [0], false))
      if let range = try call.json("range") {
        guard let ends = NumberArray(range), ends.values.count == 2 else { throw call.wrong("range must be two numbers") }
        low = try call.constant([ends.values[0]], [], call.dtype(of: x))
        high = try call.constant([ends.values[1]], [], call.dtype(of: x))
      }
      let steps = try call.constant((0...bins).map { Double($0) / Double(bins) }, [bins + 1], call.dtype(of: x))
      var edges = try call.apply(.add, low, try call.apply(.mul, try call.apply(.sub, high, low), steps))
      // The last edge is the upper end itself.
      edges = try call.concat([try call.range(edges, axis: 0, nil, bins), try call.layer.reshape(high, [1])], axis: 0)
      let inner = try call.range(edges, axis: 0, 1, bins)
      let each = try call.layer.expand(all, axis: -1)
      let place = try call.reduce(.sum, try call.cast(try call.apply(.lessEqual, inner, each), .int32), [1], false)
      let inside = try call.apply(.and, try call.apply(.greaterEqual, all, low), try call.apply(.lessEqual, all, high))
      let kept = try call.select(inside, place, -1)
      let counts = try call.layer.add(OneHot(depth: bins, dtype: call.dtype(of: x)), [kept], "one_hot")
      return [try call.reduce(.sum, counts, [0], false), edges]
    },
    "histogram_fixed_width": { call in
      let x = try call.floatTensor(0, "values")
      let bins = try call.int("nbins") ?? 100
      guard (1...1 << 16).contains(bins), let ends = try call.numbers(1, "value_range"), ends.values.count == 2 else {
        throw call.wrong("value_range and nbins do not fit")
      }
      let all = try call.layer.reshape(x, [call.type(x).elementCount])
      let width = ends.values[1] - ends.values[0]
      let scaled = try call.affine(all, Double(bins) / width, -ends.values[0] * Double(bins) / width)
      let place = try call.cast(try call.layer.unary(.clip, [0, Double(bins - 1)], try call.apply(.floor, scaled)), .int32)
      let dtype = try call.dtype("dtype") ?? .int32
      return [try call.reduce(.sum, try call.layer.add(OneHot(depth: bins, dtype: dtype), [place], "one_hot"), [0], false)]
    },
  ]

  /// Values and places in order; Keras's null axis flattens.
  private static func sorted(_ call: FunctionCall, _ names: String...) throws -> [ValueID] {
    var x = try call.tensor(0, names[0], names[1])
    call.ignore("stable")
    if call.dtype(of: x) == .bool { x = try call.cast(x, .int32) }
    let given = try call.int("axis")
    if given == nil, call.isKeras { x = try call.layer.reshape(x, [call.type(x).elementCount]) }
    let axis = try call.axis(given ?? -1, of: x)
    let descending = try call.string("direction") == "DESCENDING"
    return try call.layer.addAll(Sort(axis: axis, descending: descending), [x], "sort")
  }

  private static func quantiles(_ call: FunctionCall, _ scale: Double, ignoresNaN: Bool) throws -> [ValueID] {
    let x = try call.floatTensor(0, "x")
    guard let q = try call.numbers(1, "q"), q.shape.count <= 1, q.values.count <= 4096,
      q.values.allSatisfy({ $0 >= 0 && $0 <= scale })
    else { throw call.wrong("q must be numbers from 0 to \(scale)") }
    return [try quantile(call, x, q.values.map { $0 / scale }, scalar: q.shape.isEmpty, ignoresNaN: ignoresNaN)]
  }

  /// Elements at fractions of the sorted axes; several fractions make a new first axis.
  private static func quantile(
    _ call: FunctionCall, _ x: ValueID, _ q: [Double], scalar: Bool, ignoresNaN: Bool
  ) throws -> ValueID {
    let axes = try call.axes(try call.ints("axis"), of: x)
    let keeps = try call.bool("keepdims") ?? false
    // Keras's operation Quantile forgets the method.
    let given = try call.string("method") ?? "linear"
    let method = call.isKeras && call.isNode && call.function == "quantile" ? "linear" : given
    let flat = try call.joined(x, axes)
    let axis = call.rank(flat) - 1
    let dtype = call.dtype(of: x)
    let values = try call.layer.addAll(Sort(axis: axis), [flat], "sort")[0]
    // The place of a fraction is q · (n − 1); n may not be known before the data are.
    let last: ValueID
    if ignoresNaN {
      let numbers = try call.cast(try call.apply(.not, try call.apply(.isnan, flat)), dtype)
      last = try call.affine(try call.reduce(.sum, numbers, [axis], true), 1, -1)
    } else if let length = call.dims(of: flat)[axis].fixed {
      last = try call.constant([Double(length - 1)], [1], dtype)
    } else {
      last = try call.affine(try call.reduce(.sum, try call.affine(flat, 0, 1), [axis], true), 1, -1)
    }
    let places = try call.apply(.mul, try call.apply(.max, last, 0), try call.constant(q, [q.count], dtype))
    let (low, high) = (try call.apply(.floor, places), try call.apply(.ceil, places))
    func pick(_ place: ValueID) throws -> ValueID {
      let indices = try call.broadcast(
        try call.cast(place, .int32), Array(call.dims(of: flat).dropLast()) + [Dim(q.count)])
      return try call.layer.add(Gather(axis: axis, batchDims: axis), [values, indices], "pick")
    }
    var result: ValueID
    switch method {
    case "linear":
      let (a, b) = (try pick(low), try pick(high))
      let weight = try call.apply(.sub, places, low)
      let mixed = try call.apply(.add, a, try call.apply(.mul, try call.apply(.sub, b, a), weight))
      result = try call.select(try call.apply(.equal, a, b), a, mixed)
    case "lower": result = try pick(low)
    case "higher": result = try pick(high)
    case "midpoint": result = try call.affine(try call.apply(.add, try pick(low), try pick(high)), 0.5, 0)
    case "nearest": result = try pick(try call.apply(.round, places))
    default: throw call.unsupported("method \(KilnError.quoted(method))")
    }
    if !ignoresNaN {
      let missing = try call.reduce(.any, try call.apply(.isnan, flat), [axis], true)
      result = try call.select(missing, .nan, result)
    }
    let kept = call.dims(of: x).indices.map { axes.contains($0) ? Dim(1) : call.dims(of: x)[$0] }
    let outer = keeps ? kept : call.dims(of: x).indices.filter { !axes.contains($0) }.map { call.dims(of: x)[$0] }
    if scalar { return try call.layer.reshape(result, outer) }
    let rank = call.rank(result)
    return try call.layer.reshape(try call.layer.transpose(result, [rank - 1] + Array(0..<rank - 1)), [Dim(q.count)] + outer)
  }
}
