import GraphModule
import TensorModule

extension ONNXOpCatalog {
  static let normalizations = Family(
    "Normalization and activation over axes",
    [
      Row("BatchNormalization", since: 7) { try batchNorm($0) },
      Row("InstanceNormalization", since: 6) { call in
        let x = try call.x(0), dims = call.type(x).dims
        guard dims.count >= 3 else { throw call.wrong("takes [batch, channels, spatial...], found \(call.type(x).message)") }
        let rows = try call.reshape(x, [dims[0], dims[1], dims[2...].reduce(1, *)])
        let normal = try call.add(LayerNorm(epsilon: try call.float("epsilon", 1e-5), scale: false, offset: false), [rows], "layer_norm")
        return [try scaled(call, try call.reshape(normal, dims), try call.x(1), try call.x(2))]
      },
      Row("GroupNormalization", since: 18) { call in
        let x = try call.x(0), dims = call.type(x).dims
        let groups = try call.int("num_groups")
        guard dims.count >= 2, groups >= 1, let channels = dims[1].fixed, channels % groups == 0 else { throw call.wrong("\(groups) groups do not fit \(call.type(x).message)") }
        let rows = try call.reshape(x, [dims[0], Dim(groups), dims[1...].reduce(1, *).floorDivided(by: groups)])
        let normal = try call.add(LayerNorm(epsilon: try call.float("epsilon", 1e-5), scale: false, offset: false), [rows], "layer_norm")
        var (scale, offset) = (try call.x(1), try call.x(2))
        if call.version < 21 {
          // One number for each group.
          func spread(_ value: ValueID) throws -> ValueID {
            let wide = try call.broadcast(try call.reshape(value, [Dim(groups), 1]), [Dim(groups), Dim(channels / groups)])
            return try call.reshape(wide, [Dim(channels)])
          }
          (scale, offset) = (try spread(scale), try spread(offset))
        }
        return [try scaled(call, try call.reshape(normal, dims), scale, offset)]
      },
      Row("LayerNormalization", since: 1) { try layerNorm($0) },
      Row("RMSNormalization", since: 23) { call in
        let x = try call.x(0), type = call.type(x)
        let axis = try call.axis(try call.int("axis", -1), type.rank)
        let wide = try call.cast(x, try stash(call, type.dtype))
        let normal = try call.add(RMSNorm(axis: axis, epsilon: try call.float("epsilon", 1e-5), scale: false), [wide], "rms_norm")
        let scale = try call.x(1)
        return [try call.binary(.mul, try call.cast(normal, call.type(scale).dtype), scale)]
      },
      Row("MeanVarianceNormalization", since: 9) { call in
        let x = try call.x(0), type = call.type(x)
        let axes = try call.axes(try call.ints("axes", [0, 2, 3]), type.rank)
        let mean = try call.reduce(.mean, x, axes, keepDims: true)
        let variance = try call.reduce(.mean, try call.binary(.squaredDifference, x, mean), axes, keepDims: true)
        let deviation = try call.unary(.affine, try call.unary(.sqrt, variance), [1, 1e-9])
        return [try call.binary(.div, try call.binary(.sub, x, mean), deviation)]
      },
      Row("LpNormalization") { call in
        let x = try call.x(0), type = call.type(x)
        let axis = try call.axis(try call.int("axis", -1), type.rank)
        let norm: ValueID
        switch try call.int("p", 2) {
        case 1: norm = try call.reduce(.sum, try call.unary(.abs, x), [axis], keepDims: true)
        case 2: norm = try call.unary(.sqrt, try call.reduce(.sum, try call.unary(.square, x), [axis], keepDims: true))
        case let p: throw call.unsupported("p of \(p)")
        }
        // A row of zeros stays one.
        let zero = try call.scalar(0, type.dtype)
        return [try call.select(try call.binary(.equal, norm, zero), zero, try call.binary(.div, x, norm))]
      },
      Row("LRN") { call in
        let x = try call.x(0), dims = call.type(x).dims
        let size = try call.int("size")
        guard dims.count >= 3, (1...1 << 12).contains(size) else { throw call.wrong("its size \(size) or \(call.type(x).message) is out of range") }
        let alpha = try call.float("alpha", 1e-4), beta = try call.float("beta", 0.75), bias = try call.float("bias", 1)
        let result = try call.channelsLast(x) { x in
          let dims = call.type(x).dims
          // The channels as a spatial axis: an average that counts its padding is the sum over the window / its size.
          let row = try call.reshape(try call.unary(.square, x), [dims.dropLast().reduce(1, *), dims[dims.count - 1], 1])
          let low = (size - 1) / 2
          let mean = try call.add(
            Pool(.average, window: [size], strides: [1], padding: .explicit([.init(low, size - 1 - low)]), countsPadding: true), [row], "pool")
          let base = try call.unary(.affine, try call.reshape(mean, dims), [alpha, bias])
          return try call.binary(.mul, x, try call.binary(.pow, base, try call.scalar(-beta, call.type(x).dtype)))
        }
        return [result]
      },
      Row("Softmax") { [try rows($0) { call, x, axis in try call.add(Softmax(axis: axis), [x], "softmax") }] },
      Row("LogSoftmax") { [try rows($0) { call, x, axis in try call.add(Softmax(axis: axis, log: true), [x], "log_softmax") }] },
      Row("Hardmax") {
        [
          try rows($0) { call, x, axis in
            let type = call.type(x)
            let place = try call.add(ArgReduce(.max, axis: axis), [x], "arg_reduce")
            let hot = try call.add(OneHot(depth: try call.fixed(type.dims[axis]), dtype: type.dtype), [place], "one_hot")
            return try call.transpose(hot, Array(0..<axis) + [type.rank - 1] + Array(axis..<type.rank - 1))
          }
        ]
      },
    ])

  /// Before version 13 all axes from the given one on count as one.
  private static func rows(_ call: ONNXCall, _ work: (ONNXCall, ValueID, Int) throws -> ValueID) throws -> ValueID {
    let x = try call.x(0), type = call.type(x)
    if call.version >= 13 { return try work(call, x, try call.axis(try call.int("axis", -1), type.rank)) }
    let axis = try call.int("axis", 1)
    let place = axis < 0 ? axis + type.rank : axis
    guard (0...type.rank).contains(place) else { throw call.wrong("axis \(axis) is out of range for \(type.message)") }
    if place == type.rank - 1 { return try work(call, x, place) }
    // Axes of length 1 behind it change nothing.
    if place < type.rank, type.dims[(place + 1)...].allSatisfy({ $0 == 1 }) { return try work(call, x, place) }
    let flat = try call.reshape(x, [type.dims[..<place].reduce(1, *), type.dims[place...].reduce(1, *)])
    return try call.reshape(try work(call, flat, 1), type.dims)
  }

  /// x · scale + offset with a number for each channel.
  private static func scaled(_ call: ONNXCall, _ x: ValueID, _ scale: ValueID, _ offset: ValueID) throws -> ValueID {
    let rank = call.type(x).rank
    func spread(_ value: ValueID) throws -> ValueID { try call.reshape(value, call.type(value).dims + [Dim](repeating: 1, count: rank - 2)) }
    return try call.binary(.add, try call.binary(.mul, x, try spread(scale)), try spread(offset))
  }

  private static func stash(_ call: ONNXCall, _ own: DType) throws -> DType {
    let element = ONNXDataType(try call.int("stash_type", 1))
    // A wider type than asked for is never worse.
    return own == .float64 ? own : try call.dtype(element)
  }

  private static func layerNorm(_ call: ONNXCall) throws -> [ValueID] {
    let x = try call.x(0), type = call.type(x)
    let axis = try call.axis(try call.int("axis", -1), type.rank)
    let epsilon = try call.float("epsilon", 1e-5)
    let wide = try call.cast(x, try stash(call, type.dtype))
    let tail = Array(type.dims[axis...])
    var operands = [wide]
    func parameter(_ index: Int) throws -> ValueID {
      // Parameters broadcast to the axes that are normalized.
      try call.broadcast(try call.cast(try call.x(index), call.type(wide).dtype), tail)
    }
    // In a narrow type the parameters come after the result is brought back to it.
    let parameterRank = try call.input(1).type.rank
    let isInside = call.type(wide).dtype == type.dtype && parameterRank <= tail.count && tail.allSatisfy { $0.fixed != nil }
    if isInside {
      operands.append(try parameter(1))
      if call.has(2) { operands.append(try parameter(2)) }
    }
    var y = try call.add(LayerNorm(axis: axis, epsilon: epsilon, scale: isInside, offset: isInside && call.has(2)), operands, "layer_norm")
    y = try call.cast(y, type.dtype)
    if !isInside {
      y = try call.binary(.mul, y, try call.x(1))
      if call.has(2) { y = try call.binary(.add, y, try call.x(2)) }
    }
    guard call.node.outputs.count > 1 else { return [y] }
    let axes = Array(axis..<type.rank)
    let mean = try call.reduce(.mean, wide, axes, keepDims: true)
    let variance = try call.reduce(.mean, try call.binary(.squaredDifference, wide, mean), axes, keepDims: true)
    return [y, mean, try call.unary(.rsqrt, try call.unary(.affine, variance, [1, epsilon]))]
  }

  private static func batchNorm(_ call: ONNXCall) throws -> [ValueID] {
    let x = try call.x(0), type = call.type(x)
    guard type.rank >= 2 else { throw call.wrong("takes [batch, channels, ...], found \(type.message)") }
    if call.version < 9, try call.int("spatial", 1) == 0 { throw call.unsupported("statistics for each element (spatial = 0)") }
    let epsilon = try call.float("epsilon", 1e-5)
    var (mean, variance) = (try call.x(3), try call.x(4))
    var others: [ValueID] = []
    if try call.bool("training_mode") {
      let momentum = try call.float("momentum", 0.9)
      let axes = [0] + Array(2..<type.rank)
      let wide = try call.cast(x, call.type(mean).dtype)
      let own = try call.reduce(.mean, wide, axes)
      let line = try call.reshape(own, call.type(own).dims + [Dim](repeating: 1, count: type.rank - 2))
      let spread = try call.reduce(.mean, try call.binary(.squaredDifference, wide, line), axes)
      func running(_ old: ValueID, _ new: ValueID) throws -> ValueID {
        try call.binary(.add, try call.unary(.affine, old, [momentum, 0]), try call.unary(.affine, new, [1 - momentum, 0]))
      }
      others = [try running(mean, own), try running(variance, spread)]
      (mean, variance) = (own, spread)
    }
    let parameters = try [try call.x(1), try call.x(2), mean, variance].map { try call.cast($0, call.type(mean).dtype) }
    let y = try call.channelsLast(try call.cast(x, call.type(mean).dtype)) { x in
      try call.add(BatchNorm(epsilon: epsilon, scale: true, offset: true), [x] + parameters, "batch_norm")
    }
    return [try call.cast(y, type.dtype)] + others
  }
}
