import GraphModule
import TensorModule

/// Functions of `keras.backend` (K) whose meaning is not that of one function of `keras.ops` or TensorFlow.
enum BackendFunctions {
  /// K's names of functions that the catalogue has under another one.
  static let aliases: [String: String] = [
    "permute_dimensions": "transpose", "flatten": "ravel", "elu": "elu", "max": "max", "pow": "power", "var": "var",
    "std": "std", "not_equal": "not_equal", "batch_normalization": "batch_normalization", "constant": "identity",
  ]

  /// K's names of arguments that the catalogue has under another one.
  static let renames: [String: [String: String]] = [
    "tile": ["n": "repeats"], "permute_dimensions": ["pattern": "perm"], "reverse": ["axes": "axis"],
    "clip": ["min_value": "clip_value_min", "max_value": "clip_value_max"], "gather": ["reference": "params"],
    "concatenate": ["tensors": "values"], "pow": ["a": "y"], "one_hot": ["num_classes": "depth"],
  ]

  /// K's values of arguments that are left out.
  static let defaults: [String: [(key: String, value: JSON)]] = [
    "argmax": [("axis", .int(-1))], "argmin": [("axis", .int(-1))], "concatenate": [("axis", .int(-1))],
    "expand_dims": [("axis", .int(-1))],
  ]

  static let meanings: [String: FunctionCatalog.Meaning] = [
    // max(x, 0) with a slope below and a limit above.
    "relu": { call in
      let x = try call.floatTensor(0, "x")
      let slope = try call.double("alpha", "negative_slope") ?? 0
      let limit = try call.double("max_value") ?? .infinity
      let threshold = try call.double("threshold") ?? 0
      return [try call.layer.unary(.generalRelu, [slope, threshold, limit], x)]
    },
    "batch_flatten": { call in
      let x = try call.tensor(0, "x")
      let dims = call.dims(of: x)
      guard let first = dims.first else { throw call.wrong("needs an axis") }
      return [try call.layer.reshape(x, [first, dims.dropFirst().reduce(1, *)])]
    },
    "repeat_elements": { call in
      let x = try call.tensor(0, "x")
      guard let count = try call.int("rep"), let axis = try call.int("axis"), (1...1 << 20).contains(count) else {
        throw call.wrong("rep and axis are missing")
      }
      return [try repeated(call, x, try call.axis(axis, of: x), count)]
    },
    // [batch, features] n times along a new axis 1.
    "repeat": { call in
      let x = try call.tensor(0, "x")
      guard let count = try call.int("n"), (1...1 << 20).contains(count), call.rank(x) == 2 else {
        throw call.wrong("needs a tensor of rank 2 and n")
      }
      let dims = call.dims(of: x)
      return [try call.broadcast(try call.layer.expand(x, axis: 1), [dims[0], Dim(count), dims[1]])]
    },
    "batch_dot": { call in
      let values = try call.unified([try call.required(0, "x"), try call.required(1, "y")])
      let (x, y) = (values[0], values[1])
      var axes = try call.ints("axes") ?? [call.rank(x) - 1, call.rank(y) == 2 ? call.rank(y) - 1 : call.rank(y) - 2]
      if axes.count == 1 { axes = [axes[0], axes[0]] }
      guard axes.count == 2 else { throw call.wrong("axes must be two") }
      let (i, j) = (try call.axis(axes[0], of: x), try call.axis(axes[1], of: y))
      guard i > 0, j > 0 else { throw call.wrong("the batch axis is no axis of the product") }
      let (xs, ys) = (call.dims(of: x), call.dims(of: y))
      let rows = xs.indices.filter { $0 != 0 && $0 != i }
      let columns = ys.indices.filter { $0 != 0 && $0 != j }
      let a = try call.layer.reshape(
        try call.layer.transpose(x, [0] + rows + [i]), [xs[0], rows.reduce(Dim(1)) { $0 * xs[$1] }, xs[i]])
      let b = try call.layer.reshape(
        try call.layer.transpose(y, [0, j] + columns), [ys[0], ys[j], columns.reduce(Dim(1)) { $0 * ys[$1] }])
      let kept = [xs[0]] + rows.map { xs[$0] } + columns.map { ys[$0] }
      return [try call.layer.reshape(try call.product(a, b), kept.count == 1 ? kept + [1] : kept)]
    },
    "dot": { call in
      let values = try call.unified([try call.required(0, "x"), try call.required(1, "y")])
      return [try FunctionCatalog.contracted(call, values[0], values[1], [call.rank(values[0]) - 1], [max(call.rank(values[1]) - 2, 0)])]
    },
    "resize_images": { call in
      let x = try call.floatTensor(0, "x")
      guard let rows = try call.int("height_factor"), let columns = try call.int("width_factor"),
        (1...1 << 12).contains(rows), (1...1 << 12).contains(columns), call.rank(x) == 4
      else { throw call.wrong("needs images and two factors") }
      let format: DataFormat = try call.string("data_format") == "channels_first" ? .channelsFirst : .channelsLast
      let last = try call.layer.channelsLast(x, format)
      let dims = call.dims(of: last)
      let name = try call.string("interpolation") ?? "nearest"
      guard let mode = Resize.Mode(rawValue: name) else { throw call.unsupported("interpolation \(KilnError.quoted(name))") }
      let resized = try call.layer.add(Resize(mode, dims: [dims[1] * Dim(rows), dims[2] * Dim(columns)]), [last], "resize")
      return [try call.layer.back(resized, format)]
    },
    "temporal_padding": { call in
      let x = try call.tensor(0, "x")
      let amounts = try call.ints("padding") ?? [1, 1]
      guard amounts.count == 2, amounts.allSatisfy({ (0...1 << 24).contains($0) }) else { throw call.wrong("padding must be two lengths") }
      return [try call.padded(x, axis: 1, amounts[0], amounts[1])]
    },
    "spatial_2d_padding": { call in
      let x = try call.tensor(0, "x")
      let given = try call.numbers(nil, "padding")?.values.map { Int($0) } ?? [1, 1, 1, 1]
      guard given.count == 4, given.allSatisfy({ (0...1 << 24).contains($0) }) else { throw call.wrong("padding must be four lengths") }
      let first = try call.string("data_format") == "channels_first" ? 2 : 1
      return [try call.padded(try call.padded(x, axis: first, given[0], given[1]), axis: first + 1, given[2], given[3])]
    },
    "dropout": { call in
      call.ignore("level", "noise_shape", "seed")
      _ = call.argument(1, "level")
      return [try call.tensor(0, "x")]
    },
    // x where the condition holds, in Python's order of arguments.
    "switch": { call in
      var condition = try call.layer.truth(try call.tensor(0, "condition"))
      let values = try call.unified([try call.required(1, "then_expression"), try call.required(2, "else_expression")])
      while call.rank(condition) < call.rank(values[0]), call.rank(condition) > 0 { condition = try call.layer.expand(condition, axis: -1) }
      return [try call.select(condition, values[0], values[1])]
    },
    "hard_sigmoid": { call in [try call.layer.unary(.hardSigmoid, [0.2, 0.5], try call.floatTensor(0, "x"))] },
  ]

  private static func repeated(_ call: FunctionCall, _ x: ValueID, _ axis: Int, _ count: Int) throws -> ValueID {
    var dims = call.dims(of: x)
    let expanded = try call.layer.expand(x, axis: axis + 1)
    dims.insert(Dim(count), at: axis + 1)
    let spread = try call.broadcast(expanded, dims)
    dims[axis] = dims[axis] * dims[axis + 1]
    dims.remove(at: axis + 1)
    return try call.layer.reshape(spread, dims)
  }
}
