import GraphModule
import TensorModule

extension FunctionCatalog {
  /// Attention, losses that stand between layers, and what else belongs to neural networks.
  static let losses: [String: Meaning] = [
    "dot_product_attention": { call in
      var (q, k, v) = (try call.floatTensor(0, "query"), try call.floatTensor(1, "key"), try call.floatTensor(2, "value"))
      call.ignore("flash_attention")
      guard call.rank(q) == 4, call.rank(k) == 4, call.rank(v) == 4 else { throw call.wrong("takes tensors of rank 4") }
      let (heads, own) = (try call.length(q, 2), try call.length(k, 2))
      if heads > own, own > 1 {
        let picks = (0..<heads).map { $0 / (heads / own) }
        (k, v) = (try call.gather(k, picks, axis: 2), try call.gather(v, picks, axis: 2))
      }
      let scale = try call.double("scale") ?? 1 / Double(call.length(k, 3)).squareRoot()
      // [batch, heads, queries, keys]
      let (queries, keys) = (try call.layer.transpose(q, [0, 2, 1, 3]), try call.layer.transpose(k, [0, 2, 1, 3]))
      var logits = try call.affine(try call.product(queries, keys, transposeB: true), scale, 0)
      if let cap = try call.double("attn_logits_soft_cap") {
        logits = try call.affine(try call.apply(.tanh, try call.affine(logits, 1 / cap, 0)), cap, 0)
      }
      let dtype = call.dtype(of: q)
      if let bias = try call.optional(nil, "bias") { logits = try call.apply(.add, logits, try call.materialised(bias, dtype)) }
      let lowest = (dtype == .float64 ? -Double.greatestFiniteMagnitude : -Double(Float.greatestFiniteMagnitude)) * 0.7
      if let mask = try call.optional(nil, "mask") {
        logits = try call.select(try call.layer.truth(try call.materialised(mask)), logits, lowest)
      }
      if try call.bool("is_causal") == true {
        let (rows, columns) = (try call.length(q, 1), try call.length(k, 1))
        try call.limited(rows, columns)
        let flags = (0..<rows).flatMap { r in (0..<columns).map { $0 <= r } }
        logits = try call.select(call.layer.constant(try Tensor(flags, shape: [rows, columns]), "causal"), logits, lowest)
      }
      let weights = try call.layer.add(Softmax(axis: 3), [logits], "softmax")
      let mixed = try call.product(weights, try call.layer.transpose(v, [0, 2, 1, 3]))
      return [try call.layer.transpose(mixed, [0, 2, 1, 3])]
    },
    "binary_crossentropy": { call in
      let (target, output) = (try call.floatTensor(0, "target"), try call.floatTensor(1, "output"))
      if try call.bool("from_logits") == true { return [try sigmoidLoss(call, target, output)] }
      let p = try call.layer.unary(.clip, [epsilon, 1 - epsilon], output)
      let yes = try call.apply(.mul, target, try call.apply(.log, p))
      let no = try call.apply(.mul, try call.affine(target, -1, 1), try call.apply(.log, try call.affine(p, -1, 1)))
      return [try call.apply(.neg, try call.apply(.add, yes, no))]
    },
    "sigmoid_cross_entropy_with_logits": { call in
      [try sigmoidLoss(call, try call.floatTensor(0, "labels"), try call.floatTensor(1, "logits"))]
    },
    "softmax_cross_entropy_with_logits": { call in
      [try softmaxLoss(call, try call.floatTensor(0, "labels"), try call.floatTensor(1, "logits"))]
    },
    "categorical_crossentropy": { call in
      let (target, output) = (try call.floatTensor(0, "target"), try call.floatTensor(1, "output"))
      if try call.bool("from_logits") == true { return [try softmaxLoss(call, target, output)] }
      let axis = try call.axis(try call.int("axis") ?? -1, of: output)
      let scaled = try call.apply(.div, output, try call.reduce(.sum, output, [axis], true))
      let logs = try call.apply(.log, try call.layer.unary(.clip, [epsilon, 1 - epsilon], scaled))
      return [try call.apply(.neg, try call.reduce(.sum, try call.apply(.mul, target, logs), [axis], false))]
    },
    "sparse_categorical_crossentropy": { call in
      var target = try call.tensor(0, "target", "labels")
      var output = try call.floatTensor(1, "output", "logits")
      guard try call.axis(try call.int("axis") ?? -1, of: output) == call.rank(output) - 1 else { throw call.unsupported("another axis than the last") }
      let last = call.rank(output) - 1
      if try call.bool("from_logits") != true {
        output = try call.apply(.log, try call.layer.unary(.clip, [epsilon, 1 - epsilon], output))
      }
      if call.rank(target) == call.rank(output) { target = try call.dropped(target, axis: last) }
      let logs = try call.layer.add(Softmax(axis: last, log: true), [output], "log_softmax")
      let picks = try call.layer.expand(try call.cast(target, .int64), axis: -1)
      let own = try call.layer.add(Gather(axis: last, batchDims: last), [logs, picks], "own")
      return [try call.apply(.neg, try call.dropped(own, axis: last))]
    },
    "ctc_decode": { try decoded($0) },
    "ctc_loss": { throw $0.unsupported("a loss of training") },
    "psnr": { call in
      let (x, y) = try call.floats()
      guard let limit = try call.double("max_val"), limit > 0 else { throw call.wrong("max_val is missing") }
      let error = try call.reduce(.mean, try call.apply(.squaredDifference, x, y), Array(call.dims(of: x).indices), false)
      return [try call.affine(try call.apply(.log10, error), -10, 20 * Activation(.log10).value(limit))]
    },
    // Present in any row of axis 1.
    "multi_hot": { call in
      let x = try call.tensor(0, "inputs", "x")
      guard let depth = try call.int("num_classes", "num_tokens"), depth > 0 else { throw call.wrong("num_classes is missing") }
      if try call.bool("sparse") == true { throw call.unsupported("sparse") }
      var dtype = DType.float32
      if let given = try call.json("dtype"), given["class_name"] == nil { dtype = try call.dtype("dtype") ?? dtype }
      let whole = call.dtype(of: x).isInteger ? x : try call.cast(x, .int32)
      let rows = try call.layer.add(OneHot(depth: depth, dtype: dtype == .bool ? .uint8 : dtype), [whole], "one_hot")
      let given = try call.int("axis") ?? -1
      let axis = given < 0 ? given + call.rank(rows) : given
      guard (0..<call.rank(rows)).contains(axis) else { throw call.wrong("axis \(given) is out of range") }
      let hot = try call.reduce(.max, try call.lastTo(rows, axis), [call.rank(x) > 1 ? 1 : 0], false)
      return [dtype == .bool ? try call.layer.truth(hot) : hot]
    },
    // With rate 0, or when predicting: nothing. A rate is not applied by a layer that knows the phase.
    "dropout": { call in
      let rate = try call.double("rate") ?? 0
      guard rate == 0 else { throw call.unsupported("a random result") }
      call.ignore("noise_shape", "seed", "rng")
      return [try call.tensor(0, "x")]
    },
    "normalize": { call in
      let x = try call.floatTensor(0, "x", "tensor")
      let axes = try call.axes(try call.ints("axis") ?? (call.isKeras ? [-1] : nil), of: x)
      guard call.isKeras else {
        let order = try call.json("ord")?.stringValue ?? "euclidean"
        guard order == "euclidean" else { throw call.unsupported("ord \(KilnError.quoted(order))") }
        let size = try call.apply(.sqrt, try call.reduce(.sum, try call.apply(.square, x), axes, true))
        return [try call.apply(.div, x, size), size]
      }
      let order = try call.double("order") ?? 2
      let bound = try call.double("epsilon") ?? 1e-7
      if order == 2 {
        // The bound is that of the root.
        let sum = try call.reduce(.sum, try call.apply(.square, x), axes, true)
        return [try call.apply(.mul, x, try call.apply(.rsqrt, try call.apply(.max, sum, bound * bound)))]
      }
      let powers = try call.apply(.pow, try call.apply(.abs, x), order)
      let size = try call.apply(.pow, try call.reduce(.sum, powers, axes, true), 1 / order)
      return [try call.apply(.div, x, try call.apply(.max, size, bound))]
    },
    "average": { call in
      let x = try call.floatTensor(0, "x")
      let given = try call.ints("axis")
      let axes = try call.axes(given, of: x)
      guard let operand = try call.optional(1, "weights") else { return [try call.reduce(.mean, x, axes, false)] }
      var weights = try call.float(try call.materialised(operand))
      if call.rank(weights) == 1, call.rank(x) > 1, axes.count == 1 {
        weights = try call.layer.reshape(weights, call.dims(of: x).indices.map { $0 == axes[0] ? call.dims(of: weights)[0] : 1 })
      }
      weights = try call.broadcast(weights, call.dims(of: x))
      return [
        try call.apply(
          .div, try call.reduce(.sum, try call.apply(.mul, x, weights), axes, false), try call.reduce(.sum, weights, axes, false))
      ]
    },
    "trapezoid": { call in
      let y = try call.floatTensor(0, "y")
      let axis = try call.axis(try call.int("axis") ?? -1, of: y)
      let sum = try call.apply(.add, try call.range(y, axis: axis, 1, nil), try call.range(y, axis: axis, nil, -1))
      var areas = try call.affine(sum, 0.5, 0)
      if let places = try call.optional(nil, "x") {
        var x = try call.materialised(places, call.dtype(of: y))
        if call.rank(x) == 1 { x = try call.layer.reshape(x, call.dims(of: y).indices.map { $0 == axis ? call.dims(of: x)[0] : 1 }) }
        areas = try call.apply(.mul, areas, try call.apply(.sub, try call.range(x, axis: axis, 1, nil), try call.range(x, axis: axis, nil, -1)))
      } else {
        areas = try call.affine(areas, try call.double("dx") ?? 1, 0)
      }
      return [try call.reduce(.sum, areas, [axis], false)]
    },
    "cumulative_logsumexp": { call in
      let x = try call.floatTensor(0, "x")
      let axis = try call.axis(try call.int("axis") ?? 0, of: x)
      let (exclusive, reverse) = (try call.bool("exclusive") ?? false, try call.bool("reverse") ?? false)
      let largest = try call.reduce(.max, x, [axis], true)
      let powers = try call.apply(.exp, try call.apply(.sub, x, largest))
      let sums = try call.layer.add(Cumulative(.sum, axis: axis, exclusive: exclusive, reverse: reverse), [powers], "cumulative")
      return [try call.apply(.add, try call.apply(.log, sums), largest)]
    },
  ]

  private static let epsilon = 1e-7

  /// max(x, 0) − x · target + log(1 + e^−|x|).
  private static func sigmoidLoss(_ call: FunctionCall, _ target: ValueID, _ x: ValueID) throws -> ValueID {
    let linear = try call.apply(.sub, try call.apply(.relu, x), try call.apply(.mul, x, target))
    return try call.apply(.add, linear, try call.apply(.softplus, try call.apply(.neg, try call.apply(.abs, x))))
  }

  private static func softmaxLoss(_ call: FunctionCall, _ target: ValueID, _ x: ValueID) throws -> ValueID {
    let axis = try call.axis(try call.int("axis", "dim") ?? -1, of: x)
    let logs = try call.layer.add(Softmax(axis: axis, log: true), [x], "log_softmax")
    return try call.apply(.neg, try call.reduce(.sum, try call.apply(.mul, target, logs), [axis], false))
  }

  /// The best label of each step, repeats and blanks left out, the rest −1.
  private static func decoded(_ call: FunctionCall) throws -> [ValueID] {
    let x = try call.floatTensor(0, "inputs")
    let lengths = try call.materialised(try call.required(1, "sequence_lengths"), .int32)
    let strategy = try call.string("strategy") ?? "greedy"
    guard strategy == "greedy" else { throw call.unsupported("strategy \(KilnError.quoted(strategy))") }
    call.ignore("beam_width", "top_paths")
    guard call.rank(x) == 3 else { throw call.wrong("needs rank 3, found \(call.type(x).message)") }
    let (steps, classes) = (try call.length(x, 1), try call.length(x, 2))
    let mask = try call.int("mask_index") ?? 0
    let blank = mask < 0 ? mask + classes : mask
    let best = try call.layer.add(ArgReduce(.max, axis: 2, keepDims: false, dtype: .int32), [x], "best")
    let places = try call.constant((0..<steps).map(Double.init), [steps], .int32)
    let inside = try call.apply(.less, places, try call.layer.expand(lengths, axis: -1))
    var kept = try call.apply(.and, inside, try call.apply(.notEqual, best, Double(blank)))
    if try call.bool("merge_repeated") ?? true {
      let before = try call.padded(try call.range(best, axis: 1, nil, -1), axis: 1, 1, 0, value: -1)
      kept = try call.apply(.and, kept, try call.apply(.notEqual, best, before))
    }
    // What is kept moves to the front: a stable sort by not being kept.
    let order = try call.layer.addAll(Sort(axis: 1), [try call.cast(try call.apply(.not, kept), .int32)], "order")[1]
    let labels = try call.layer.add(Gather(axis: 1, batchDims: 1), [try call.select(kept, best, -1), order], "labels")
    let highest = try call.reduce(.max, x, [2], false)
    let score = try call.apply(.neg, try call.reduce(.sum, try call.select(inside, highest, 0), [1], true))
    return [try call.layer.expand(labels, axis: 0), score]
  }
}

extension Activation {
  /// The function of one number.
  fileprivate func value(_ x: Double) -> Double { function.evaluate(x, 0, 0, parameters) }
}
