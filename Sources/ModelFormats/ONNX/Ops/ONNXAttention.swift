import GraphModule
import TensorModule

extension ONNXOpCatalog {
  static let attention = Family(
    "Attention and transformers",
    [
      Row("Attention", since: 23) { try ONNXAttention($0).build() },
      Row(values: "FlexAttention", "ai.onnx.preview") { try flexible($0) },
      Row("RotaryEmbedding", since: 23) { [try rotated($0)] },
      Row("SwiGLU", since: 28) { call in
        [try call.binary(.mul, try swish(call, try call.x(0), try call.float("alpha", 1)), try call.x(1))]
      },
      Row("LinearAttention", since: 27) { try linear($0) },
    ])

  private static func rotated(_ call: ONNXCall) throws -> ValueID {
    var x = try call.x(0)
    let original = call.type(x)
    // [batch, heads, time, size] or [batch, time, heads · size], brought to [batch, time, heads, size].
    if original.rank == 4 { x = try call.transpose(x, [0, 2, 1, 3]) } else {
      let heads = try call.int("num_heads")
      guard original.rank == 3, heads >= 1, let width = original.dims[2].fixed, width % heads == 0 else { throw call.wrong("\(heads) heads do not fit \(original.message)") }
      x = try call.reshape(x, [original.dims[0], original.dims[1], Dim(heads), Dim(width / heads)])
    }
    let size = try call.length(x, 3)
    let given = try call.int("rotary_embedding_dim", 0)
    let part = given == 0 ? size : given
    guard part >= 2, part <= size, part % 2 == 0 else { throw call.wrong("rotary_embedding_dim is \(part) of \(size)") }
    func angles(_ index: Int) throws -> ValueID {
      let cache = try call.x(index)
      let picked = call.has(3) ? try call.add(Gather(axis: 0), [cache, try call.x(3)], "gather") : cache
      return try call.expand(picked, 2)
    }
    let (cosine, sine) = (try angles(1), try angles(2))
    let turned = try call.slice(x, axis: 3, 0, part)
    let isInterleaved = try call.bool("interleaved")
    let first = try isInterleaved ? call.slice(turned, axis: 3, 0, nil, step: 2) : call.slice(turned, axis: 3, 0, part / 2)
    let second = try isInterleaved ? call.slice(turned, axis: 3, 1, nil, step: 2) : call.slice(turned, axis: 3, part / 2, part)
    let real = try call.binary(.sub, try call.binary(.mul, cosine, first), try call.binary(.mul, sine, second))
    let imaginary = try call.binary(.add, try call.binary(.mul, sine, first), try call.binary(.mul, cosine, second))
    var result: ValueID
    if isInterleaved {
      result = try call.reshape(try call.concat([try call.expand(real, 4), try call.expand(imaginary, 4)], axis: 4), call.type(turned).dims)
    } else {
      result = try call.concat([real, imaginary], axis: 3)
    }
    if part < size { result = try call.concat([result, try call.slice(x, axis: 3, part, size)], axis: 3) }
    return original.rank == 4 ? try call.transpose(result, [0, 2, 1, 3]) : try call.reshape(result, original.dims)
  }

  /// Attention whose scores and weights pass through graphs.
  private static func flexible(_ call: ONNXCall) throws -> [ONNXValue] {
    let (q, k, v) = (try call.x(0), try call.x(1), try call.x(2))
    let type = call.type(q)
    guard type.rank == 4, call.type(k).rank == 4, call.type(v).rank == 4 else { throw call.wrong("takes [batch, heads, time, size], found \(type.message)") }
    let heads = try call.fixed(type.dims[1])
    let wide = try call.dtype(try call.element("softmax_precision", ONNXDataType(type.dtype == .float64 ? .float64 : .float32)))
    let scale = call.has("scale") ? try call.float("scale") : 1 / Double(try call.length(q, 3)).squareRoot()
    func shared(_ value: ValueID) throws -> ValueID { try ONNXAttention.shared(call, value, heads) }
    let left = try call.cast(q, wide), right = try call.cast(try shared(k), wide)
    var scores = try call.unary(.affine, try call.add(MatMul(transposeB: true), [left, right], "matmul"), [scale, 0])
    func changed(_ value: ValueID, _ key: String) throws -> ValueID {
      guard call.has(key) else { return value }
      guard let results = try ONNXSubgraph(call: call).inlined(try call.graph(key), key, inputs: [call.plain([value])[0]]), let first = results.first else {
        throw KilnError(.unsupportedModel, "its graph \(key) is not converted")
      }
      return try call.builder.id(try call.tensor(first).0)
    }
    scores = try changed(scores, "score_mod")
    let weights = try changed(try call.add(Softmax(axis: 3), [scores], "softmax"), "prob_mod")
    let y = try call.add(MatMul(), [weights, try call.cast(try shared(v), wide)], "matmul")
    return call.plain([try call.cast(y, type.dtype)])
  }

  /// A recurrence over time with a matrix as its state.
  private static func linear(_ call: ONNXCall) throws -> [ValueID] {
    let (query, key, value) = (try call.x(0), try call.x(1), try call.x(2))
    let (heads, shared) = (try call.int("q_num_heads"), try call.int("kv_num_heads"))
    let type = call.type(query), dtype = type.dtype
    let rule = try call.text("update_rule", "gated_delta")
    guard ["linear", "gated", "delta", "gated_delta"].contains(rule) else { throw call.unsupported("the rule \(KilnError.quoted(rule))") }
    guard type.rank == 3, shared >= 1, heads >= shared, heads % shared == 0, let width = type.dims[2].fixed, width % heads == 0,
      let values = call.type(value).dims.last?.fixed, values % shared == 0
    else { throw call.wrong("\(heads) and \(shared) heads do not fit \(type.message)") }
    let (dk, dv) = (width / heads, values / shared)
    let batch = type.dims[0]
    // All in float32 at least, as a long sum.
    let wide = dtype == .float64 ? DType.float64 : .float32
    /// [time, batch, heads, size].
    func steps(_ x: ValueID, _ heads: Int, _ size: Int) throws -> ValueID {
      let parts = try call.reshape(try call.cast(x, wide), [batch, type.dims[1], Dim(heads), Dim(size)])
      return try call.transpose(parts, [1, 0, 2, 3])
    }
    let given = try call.float("scale", 0)
    let scale = given == 0 ? 1 / Double(dk).squareRoot() : given
    let state = TensorType(wide, [batch, Dim(shared), Dim(dk), Dim(dv)])
    let start = call.has(3) ? try call.cast(try call.x(3), wide) : try call.broadcast(try call.scalar(0, wide), state.dims)
    var sliced = [try steps(query, heads, dk), try steps(key, shared, dk), try steps(value, shared, dv)]
    let isGated = rule.hasPrefix("gated"), isDelta = rule.hasSuffix("delta")
    if isGated {
      let decay = try call.x(4)
      let each = try call.length(decay, 2) == shared ? 1 : dk
      sliced.append(try steps(decay, shared, each))
    }
    if isDelta {
      let beta = try call.x(5)
      sliced.append(try steps(beta, try call.length(beta, 2) == 1 ? 1 : shared, 1))
    }
    var body = Graph(name: "step")
    _ = try body.addInput("number", TensorType(.int64, []))
    var s = try body.addInput("state", state)
    let inputs = try sliced.enumerated().map { try body.addInput("slice_\($0)", TensorType(wide, Array(call.type($1).dims.dropFirst()))) }
    var names = 0
    func add(_ op: any OpDefinition, _ operands: [ValueID]) throws -> ValueID {
      names += 1
      return try body.addOne(op, operands, name: "step_\(names)")
    }
    func mul(_ a: ValueID, _ b: ValueID) throws -> ValueID { try add(Elementwise(.mul), [a, b]) }
    func column(_ x: ValueID) throws -> ValueID { try add(Reshape(body.type(of: x).dims + [1]), [x]) }
    func row(_ x: ValueID) throws -> ValueID {
      var dims = body.type(of: x).dims
      dims.insert(1, at: 2)
      return try add(Reshape(dims), [x])
    }
    let (q, k) = (inputs[0], inputs[1])
    var v = inputs[2]
    if isGated { s = try mul(s, try column(try add(Elementwise(.exp), [inputs[3]]))) }
    if isDelta {
      let seen = try add(Reduce(.sum, axes: [2]), [try mul(s, try column(k))])
      v = try mul(try add(Elementwise(.sub), [v, seen]), inputs[inputs.count - 1])
    }
    s = try add(Elementwise(.add), [s, try mul(try column(k), try row(v))])
    // Query heads that share a state.
    let group = heads / shared
    let grouped = try add(Reshape([batch, Dim(shared), Dim(group), Dim(dk)]), [q])
    let out = try add(Elementwise(.affine, [scale, 0]), [try add(MatMul(), [grouped, s])])
    let flat = try add(Reshape([batch, Dim(heads * dv)]), [out])
    body.outputs = [Graph.Output(name: "state", value: s), Graph.Output(name: "y", value: flat)]
    let results = try call.addAll(Loop(carried: 1, sliced: sliced.count, body: body), [start] + sliced, "loop")
    let y = try call.transpose(results[1], [1, 0, 2])
    return [try call.cast(y, dtype), try call.cast(results[0], call.has(3) ? try call.input(3).type.dtype : dtype)]
  }
}

/// ONNX's `Attention`: scaled dot products with masks, soft caps, caches and groups of heads.
struct ONNXAttention {
  private let call: ONNXCall

  init(_ call: ONNXCall) { self.call = call }

  /// Heads repeated so that there are `heads` of them.
  static func shared(_ call: ONNXCall, _ value: ValueID, _ heads: Int) throws -> ValueID {
    let dims = call.type(value).dims
    let own = try call.fixed(dims[1])
    guard own != heads else { return value }
    guard own >= 1, heads % own == 0 else { throw call.wrong("\(heads) heads share \(own)") }
    let wide = try call.broadcast(try call.expand(value, 2), [dims[0], dims[1], Dim(heads / own), dims[2], dims[3]])
    return try call.reshape(wide, [dims[0], Dim(heads), dims[2], dims[3]])
  }

  /// [batch, heads, time, size].
  private func split(_ index: Int, _ heads: String) throws -> ValueID {
    let x = try call.x(index), type = call.type(x)
    if type.rank == 4 { return x }
    let count = try call.int(heads)
    guard type.rank == 3, count >= 1, let width = type.dims[2].fixed, width % count == 0 else { throw call.wrong("\(count) heads do not fit \(type.message)") }
    return try call.transpose(try call.reshape(x, [type.dims[0], type.dims[1], Dim(count), Dim(width / count)]), [0, 2, 1, 3])
  }

  func build() throws -> [ValueID] {
    let isFlat = try call.input(0).type.rank == 3
    let q = try split(0, "q_num_heads")
    var (k, v) = (try split(1, "kv_num_heads"), try split(2, "kv_num_heads"))
    if call.has(4) {
      k = try call.concat([try call.x(4), k], axis: 2)
      v = try call.concat([try call.x(5), v], axis: 2)
    }
    let dtype = call.type(q).dtype
    let heads = try call.fixed(call.type(q).dims[1])
    let scale = call.has("scale") ? try call.float("scale") : 1 / Double(try call.length(q, 3)).squareRoot()
    let wideK = try ONNXAttention.shared(call, k, heads), wideV = try ONNXAttention.shared(call, v, heads)
    let raw = try call.unary(.affine, try call.add(MatMul(transposeB: true), [q, wideK], "scores"), [scale, 0])
    var scores = raw
    let cap = try call.float("softcap", 0)
    if cap != 0 { scores = try call.unary(.affine, try call.unary(.tanh, try call.unary(.affine, scores, [1 / cap, 0])), [cap, 0]) }
    let capped = scores
    let total = call.type(k).dims[2]
    var allowed = try allowed(call.type(q).dims[2], total)
    if call.has(3) {
      var mask = try call.x(3)
      if call.type(mask).dims.last != total, let own = call.type(mask).dims.last?.fixed, let all = total.fixed, own < all {
        // A shorter mask hides what is behind it.
        let rank = call.type(mask).rank
        let low = [Int](repeating: 0, count: rank), high = low.dropLast() + [all - own]
        mask = try call.add(Pad(low: low, high: Array(high), value: call.type(mask).dtype == .bool ? 0 : -.infinity), [mask], "pad")
      }
      if call.type(mask).dtype == .bool {
        allowed = try allowed.map { try call.binary(.and, $0, mask) } ?? mask
      } else {
        scores = try call.binary(.add, scores, try call.cast(mask, dtype))
      }
    }
    if let allowed { scores = try call.select(allowed, scores, try call.scalar(-.infinity, dtype)) }
    let biased = scores
    let precision = call.has("softmax_precision") ? try call.dtype(try call.element("softmax_precision", ONNXDataType(dtype))) : dtype
    let wide = try call.cast(scores, precision)
    var weights = try call.add(Softmax(axis: 3), [wide], "softmax")
    if allowed != nil || call.has(3) {
      // A row that may see nothing is zeros.
      let most = try call.reduce(.max, wide, [3], keepDims: true)
      let isEmpty = try call.binary(.equal, most, try call.scalar(-.infinity, precision))
      weights = try call.select(isEmpty, try call.scalar(0, precision), weights)
    }
    weights = try call.cast(weights, dtype)
    var y = try call.add(MatMul(), [weights, try call.cast(wideV, dtype)], "attention")
    if isFlat {
      let dims = call.type(y).dims
      y = try call.reshape(try call.transpose(y, [0, 2, 1, 3]), [dims[0], dims[2], dims[1] * dims[3]])
    }
    let fourth: ValueID
    switch try call.int("qk_matmul_output_mode", 0) {
    case 0: fourth = raw
    case 1: fourth = capped
    case 2: fourth = biased
    case 3: fourth = weights
    case let mode: throw call.unsupported("qk_matmul_output_mode \(mode)")
    }
    return [y, k, v, fourth]
  }

  /// Which keys each query may see, by position; nil when all.
  private func allowed(_ queries: Dim, _ total: Dim) throws -> ValueID? {
    let isCausal = try call.bool("is_causal")
    let (left, right) = (try call.int("left_window_size", -1), try call.int("right_window_size", -1))
    guard isCausal || left >= 0 || right >= 0 || call.has(6) else { return nil }
    let (count, keys) = (try call.fixed(queries), try call.fixed(total))
    let column = try call.numbers(try call.counting(keys), [1, keys], .int64, "keys")
    var row = try call.numbers(try call.counting(count), [count, 1], .int64, "queries")
    var lengths: ValueID?
    if call.has(6) {
      let value = try call.cast(try call.x(6), .int64)
      lengths = try call.reshape(value, call.type(value).dims + [1, 1, 1])
    }
    if call.has(4) {
      row = try call.binary(.add, row, try call.scalar(Double(try call.fixed(try call.input(4).type.dims[2])), .int64))
    } else if let lengths {
      row = try call.binary(.add, row, try call.unary(.affine, lengths, [1, Double(-count)]))
    }
    var result: ValueID?
    func meet(_ condition: ValueID) throws { result = try result.map { try call.binary(.and, $0, condition) } ?? condition }
    if isCausal { try meet(try call.binary(.lessEqual, column, row)) }
    if left >= 0 { try meet(try call.binary(.greaterEqual, column, try call.unary(.affine, row, [1, Double(-left)]))) }
    if right >= 0 { try meet(try call.binary(.lessEqual, column, try call.unary(.affine, row, [1, Double(right)]))) }
    if let lengths { try meet(try call.binary(.less, column, lengths)) }
    return result
  }
}
