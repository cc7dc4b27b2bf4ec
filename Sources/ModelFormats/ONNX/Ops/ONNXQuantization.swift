import GraphModule
import TensorModule

extension ONNXOpCatalog {
  static let quantization = Family(
    "Quantization",
    [
      Row(values: "QuantizeLinear", since: 10) { call in
        let zeroElement = call.has(2) ? try call.element(2) : ONNXDataType(.uint8)
        let target = try call.element("output_dtype", zeroElement)
        let id = try call.quantized(
          try call.x(0), scale: try call.x(1), zero: call.has(2) ? try call.x(2) : nil, target, axis: try call.int("axis", 1), block: try call.int("block_size", 0))
        return [call.result(id, target)]
      },
      Row("DequantizeLinear", since: 10) { call in
        let x = try call.x(0)
        let scale = try call.x(1)
        let target = try call.dtype(try call.element("output_dtype", try call.element(1)))
        let wide = call.wide(call.type(scale).dtype)
        let (axis, block) = (try call.int("axis", 1), try call.int("block_size", 0))
        var value = try call.cast(x, wide)
        if call.has(2) { value = try call.binary(.sub, value, try call.spread(try call.cast(try call.x(2), wide), like: x, axis, block)) }
        value = try call.binary(.mul, value, try call.spread(try call.cast(scale, wide), like: x, axis, block))
        return [try call.cast(value, target)]
      },
      Row("DynamicQuantizeLinear", since: 11) { call in
        let x = try call.x(0), dtype = call.type(x).dtype
        let axes = Array(0..<call.type(x).rank)
        let zero = try call.scalar(0, dtype)
        let low = try call.binary(.min, try call.reduce(.min, x, axes), zero), high = try call.binary(.max, try call.reduce(.max, x, axes), zero)
        let range = try call.binary(.sub, high, low)
        let scale = try call.binary(.div, range, try call.scalar(255, dtype))
        // Of nothing but zeros the scale is 0 and the zero point 0.
        let start = try call.unary(.round, try call.unary(.clip, try call.binary(.div, try call.unary(.neg, low), scale), [0, 255]))
        let point = try call.select(try call.binary(.equal, scale, zero), zero, start)
        let steps = try call.binary(.add, try call.unary(.round, try call.binary(.div, x, scale)), point)
        let safe = try call.select(try call.binary(.equal, scale, zero), zero, try call.unary(.clip, steps, [0, 255]))
        return [try call.cast(safe, .uint8), scale, try call.cast(point, .uint8)]
      },
      Row(values: "QLinearMatMul", since: 10) { call in
        let target = try call.element(7)
        func operand(_ index: Int, isLeft: Bool) throws -> ValueID {
          let x = try call.x(index), rank = call.type(x).rank
          // Scales of rows on the left, of columns on the right.
          func line(_ place: Int) throws -> ValueID {
            let value = try call.cast(try call.x(place), .float64)
            guard call.type(value).rank == 1, call.type(value).dims[0] != 1 else { return call.type(value).rank == 1 ? try call.reshape(value, []) : value }
            return isLeft && rank > 1 ? try call.expand(value, 1) : value
          }
          return try call.binary(.mul, try call.binary(.sub, try call.cast(x, .float64), try line(index + 2)), try line(index + 1))
        }
        let product = try call.product(try operand(0, isLeft: true), try operand(3, isLeft: false))
        let id = try call.quantized(product, scale: try call.cast(try call.x(6), .float64), zero: try call.x(7), target, axis: -1, block: 0)
        return [call.result(id, target)]
      },
      Row(values: "QLinearConv", since: 10) { call in
        let target = try call.element(7)
        let x = try call.centred(0, 2), w = try call.centred(3, 5, axis: 0)
        var result = try call.convolution(x, w, bias: call.has(8) ? try call.cast(try call.x(8), .float64) : nil)
        let scale = try call.binary(.mul, try call.cast(try call.x(1), .float64), try call.channelLine(try call.cast(try call.x(4), .float64), rank: call.type(x).rank))
        result = try call.binary(.mul, result, scale)
        let id = try call.quantized(result, scale: try call.cast(try call.x(6), .float64), zero: try call.x(7), target, axis: 1, block: 0)
        return [call.result(id, target)]
      },
      Row("ConvInteger", since: 10) { call in
        let x = try call.centred(0, 2), w = try call.centred(1, 3, axis: 0)
        return [try call.cast(try call.convolution(x, w, bias: nil), .int32)]
      },
      Row("MatMulInteger", since: 10) { call in
        let a = try call.x(0), rank = call.type(a).rank
        var left = try call.cast(a, .float64)
        if call.has(2) {
          var zero = try call.cast(try call.x(2), .float64)
          if call.type(zero).rank == 1, call.type(zero).dims[0] != 1, rank > 1 { zero = try call.expand(zero, 1) }
          left = try call.binary(.sub, left, zero)
        }
        var right = try call.cast(try call.x(1), .float64)
        if call.has(3) { right = try call.binary(.sub, right, try call.cast(try call.x(3), .float64)) }
        return [try call.cast(try call.product(left, right), .int32)]
      },
    ])
}

extension ONNXCall {
  /// The dtype that scales are applied in: half precision is widened.
  func wide(_ dtype: DType) -> DType { dtype == .float64 ? .float64 : .float32 }

  /// Scales or zero points in a form that broadcasts with `like`: one for all, one for each position of an axis, or one for
  /// each block along it.
  func spread(_ value: ValueID, like x: ValueID, _ axis: Int, _ block: Int) throws -> ValueID {
    let (type, target) = (type(value), type(x))
    if type.rank == 0 { return value }
    if type.rank == 1, type.dims[0] == 1, block == 0 { return try reshape(value, []) }
    let place = try self.axis(axis, target.rank)
    if block == 0, type.rank == 1 {
      return try reshape(value, [Dim](repeating: 1, count: place) + type.dims + [Dim](repeating: 1, count: target.rank - place - 1))
    }
    guard block >= 1, type.rank == target.rank else { throw wrong("scales \(type.message) do not fit \(target.message)") }
    let (count, length) = (try fixed(type.dims[place]), try fixed(target.dims[place]))
    guard count == (length + block - 1) / block else { throw wrong("\(count) blocks of \(block) do not fill \(target.message)") }
    let places = try numbers(try counting(length).map { ($0 / Double(block)).rounded(.down) }, [length], .int32, "blocks")
    return try add(Gather(axis: place), [value, places], "gather")
  }

  /// x / scale + zero, rounded half to even and held in the range of the target.
  func quantized(_ x: ValueID, scale: ValueID, zero: ValueID?, _ target: ONNXDataType, axis: Int, block: Int) throws -> ValueID {
    let dtype = try self.dtype(target)
    let wide = wide(type(scale).dtype)
    let steps = try binary(.div, try cast(x, wide), try spread(try cast(scale, wide), like: x, axis, block))
    let point = try zero.map { try spread(try cast($0, wide), like: x, axis, block) }
    if let small = target.smallFloat {
      let moved = try point.map { try binary(.add, steps, $0) } ?? steps
      return try rounded(try cast(moved, .float32), small, saturates: try bool("saturate", true))
    }
    guard let range = target.integerRange else { throw unsupported("quantization to \(target.name)") }
    var result = try unary(.round, steps)
    if let point { result = try binary(.add, result, point) }
    return try cast(try unary(.clip, result, [Double(range.lowerBound), Double(range.upperBound)]), dtype)
  }

  /// An integer operand without its zero point, as doubles, which hold every sum of products exactly.
  func centred(_ index: Int, _ zero: Int, axis: Int? = nil) throws -> ValueID {
    let x = try cast(try x(index), .float64)
    guard has(zero) else { return x }
    var point = try cast(try self.x(zero), .float64)
    if type(point).rank == 1 {
      point = axis != nil && type(point).dims[0] != 1
        ? try reshape(point, type(point).dims + [Dim](repeating: 1, count: type(x).rank - 1)) : try reshape(point, [])
    }
    return try binary(.sub, x, point)
  }

  /// Numbers of each channel, against [batch, channels, spatial...].
  func channelLine(_ value: ValueID, rank: Int) throws -> ValueID {
    guard type(value).rank == 1, type(value).dims[0] != 1 else { return type(value).rank == 1 ? try reshape(value, []) : value }
    return try reshape(value, type(value).dims + [Dim](repeating: 1, count: rank - 2))
  }
}
