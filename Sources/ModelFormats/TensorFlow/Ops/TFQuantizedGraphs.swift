import GraphModule
import TensorModule

extension TFOpCatalog {
  /// Arithmetic on quantized integers, each with the range that its lowest and highest number stand for.
  static let quantizedGraphs = Family(
    "Quantized arithmetic",
    [
      "QuantizedMatMul": { call in
        let a = try TFQuantized(call, 0, 2, 3, "T1"), b = try TFQuantized(call, 1, 4, 5, "T2")
        var (x, y) = (try a.centred(call), try b.centred(call))
        if try call.bool("transpose_a") { x = try matrixTransposed(call, x) }
        if try call.bool("transpose_b") { y = try matrixTransposed(call, y) }
        let product = try exactProduct(call, x, y, narrow: try a.isNarrow(call) && b.isNarrow(call))
        return [try call.cast(product, .int32)] + (try TFQuantized.productRange(call, a, b))
      },
      "QuantizedConv2D": { try quantizedConvolution($0, depthwise: false) },
      "QuantizedDepthwiseConv2D": { try quantizedConvolution($0, depthwise: true) },
      "QuantizedBiasAdd": { try quantizedSum($0, TFQuantized($0, 0, 2, 3, "T1"), TFQuantized($0, 1, 4, 5, "T2")) },
      "QuantizedAdd": { try requantizedSum($0, TFQuantized($0, 0, 2, 3, "T1"), TFQuantized($0, 1, 4, 5, "T2")) },
      "QuantizedMul": { call in
        let a = try TFQuantized(call, 0, 2, 3, "T1"), b = try TFQuantized(call, 1, 4, 5, "T2")
        return [try call.cast(try call.binary(.mul, try a.centred(call), try b.centred(call)), .int32)] + (try TFQuantized.productRange(call, a, b))
      },
      "QuantizedRelu": { try quantizedClip($0, nil) },
      "QuantizedRelu6": { try quantizedClip($0, try $0.scalar(6, .float32)) },
      "QuantizedReluX": { try quantizedClip($0, try $0.x(1), range: 2) },
      "QuantizedReshape": { [try reshapedTensor($0), try $0.x(2), try $0.x(3)] },
      "QuantizedMaxPool": { try quantizedPool($0, .max) },
      "QuantizedAvgPool": { try quantizedPool($0, .average) },
      "QuantizedConcat": { try quantizedConcat($0) },
      "RequantizationRange": { call in
        let (low, high) = try TFQuantized(call, 0, 1, 2, "Tinput").usedRange(call)
        return [low, high]
      },
      "Requantize": { call in
        let x = try TFQuantized(call, 0, 1, 2, "Tinput")
        let (low, high) = (try call.number32(3), try call.number32(4))
        return [try x.requantized(call, low, high, try call.quantizedType("out_type")), low, high]
      },
      "QuantizeDownAndShrinkRange": { call in
        let x = try TFQuantized(call, 0, 1, 2, "Tinput")
        let (low, high) = try x.usedRange(call)
        return [try x.requantized(call, low, high, try call.quantizedType("out_type")), low, high]
      },
    ])

  private static func quantizedPool(_ call: TFCall, _ kind: Pool.Kind) throws -> [ValueID] {
    let window = try TFWindow.spatial(call, try call.ints("ksize"), 2, false, "ksize")
    let strides = try TFWindow.spatial(call, try call.ints("strides"), 2, false, "strides")
    guard try call.quantizedType("T").storedBytes == 1, let size = checkedProduct(window), size <= 1 << 14 else { throw call.unsupported("so large a window, or this dtype") }
    // 8-bit numbers and their sums are exact in single precision.
    let x = try call.cast(try call.x(0), .float32)
    var pool = try call.add(Pool(kind, window: window, strides: strides, padding: try TFWindow.padding(call, 2, false)), [x], "pool")
    // Averages are quotients of integers; the addend makes up for what a division lacks and is less than any fraction.
    if kind == .average { pool = try call.unary(.trunc, try call.unary(.affine, pool, [1, 0.5 / Double(size)])) }
    return [try call.cast(pool, try call.input(0).type.dtype), try call.x(1), try call.x(2)]
  }

  private static func quantizedConvolution(_ call: TFCall, depthwise: Bool) throws -> [ValueID] {
    let x = try TFQuantized(call, 0, 2, 3, "Tinput"), kernel = try TFQuantized(call, 1, 4, 5, "Tfilter")
    let weights = try kernel.centred(call)
    let shape = call.type(weights).dims
    guard shape.count == 4 else { throw call.wrong("the kernel must have rank 4, found \(call.type(weights).message)") }
    let window = try TFWindow(call, rank: 2)
    // Zero, where the input is padded, is the number that stands for 0.
    let image = try x.centred(call)
    let product: ValueID
    if !depthwise, let lengths = TensorType(.float64, Array(call.type(image).dims[1...2])).shape, let size = call.type(weights).shape {
      let windows = try unfolded(call, image, lengths, Array(size[..<2]), window)
      product = try exactProduct(call, windows, try call.reshape(weights, [Dim(size[0] * size[1] * size[2]), Dim(size[3])]), narrow: try x.isNarrow(call) && kernel.isNarrow(call))
    } else {
      let groups = depthwise ? try call.length(image, -1) : 1
      let laid = depthwise ? try call.reshape(weights, [shape[0], shape[1], 1, shape[2] * shape[3]]) : weights
      product = try call.add(
        Conv(strides: window.strides, dilations: window.dilations, padding: window.padding, groups: groups), [image, laid], "conv")
    }
    return [try call.cast(product, .int32)] + (try TFQuantized.productRange(call, x, kernel))
  }

  /// Products of integers, summed exactly: of narrow ones in single precision, 64 at a time, whose sums stay below 2²⁴, and
  /// those sums in integers; else in double precision.
  private static func exactProduct(_ call: TFCall, _ x: ValueID, _ y: ValueID, narrow: Bool) throws -> ValueID {
    let rank = call.type(x).rank
    guard narrow, let length = call.type(y).dims.first?.fixed, length <= 1 << 16, call.type(y).rank == 2, try call.length(x, -1) == length else {
      return try call.add(MatMul(), [x, y], "matmul")
    }
    let (a, b) = (try call.cast(x, .float32), try call.cast(y, .float32))
    var sum: ValueID?
    for start in stride(from: 0, to: max(length, 1), by: 64) {
      let end = min(start + 64, length)
      let whole = start == 0 && end == length
      let left = whole ? a : try call.slice(a, axis: rank - 1, start, end), right = whole ? b : try call.slice(b, axis: 0, start, end)
      let part = try call.cast(try call.add(MatMul(), [left, right], "matmul"), .int32)
      sum = try sum.map { try call.binary(.add, $0, part) } ?? part
    }
    guard let sum else { throw call.wrong("has nothing to multiply") }
    return sum
  }

  /// The windows of images laid along the channels: row, column, channel.
  private static func unfolded(_ call: TFCall, _ image: ValueID, _ lengths: [Int], _ size: [Int], _ window: TFWindow) throws -> ValueID {
    var (low, high, counts): ([Int], [Int], [Int]) = ([0], [0], [])
    for axis in 0..<2 {
      let amount = window.padding.amount(lengths[axis], size: size[axis], stride: window.strides[axis], dilation: window.dilations[axis], axis: axis)
      low.append(amount.low)
      high.append(amount.high)
      let extent = (size[axis] - 1) * window.dilations[axis] + 1
      counts.append(max(0, (lengths[axis] + amount.low + amount.high - extent) / window.strides[axis] + 1))
    }
    guard size[0] * size[1] <= 1024, counts.allSatisfy({ $0 > 0 }) else { throw call.unsupported("so large a kernel") }
    let padded = (low + high).contains { $0 > 0 } ? try call.add(Pad(.constant, low: low + [0], high: high + [0]), [image], "pad") : image
    if size == [1, 1], window.strides == [1, 1] { return padded }
    let parts = try (0..<size[0] * size[1]).map { index -> ValueID in
      let place = [index / size[1], index % size[1]]
      let ranges = (0..<2).map { axis -> Slice.Range in
        let start = place[axis] * window.dilations[axis]
        return Slice.Range(start: start, end: start + (counts[axis] - 1) * window.strides[axis] + 1, step: window.strides[axis])
      }
      return try call.add(Slice([.all] + ranges + [.all]), [padded], "slice")
    }
    return try call.concat(parts, axis: 3)
  }

  /// Sums have 2¹⁷ times the larger range, symmetric around 0.
  private static func quantizedSum(_ call: TFCall, _ a: TFQuantized, _ b: TFQuantized) throws -> [ValueID] {
    let high = try call.folded(try call.binary(.mul, try largest(call, a, b), try call.scalar(131_072, .float32)))
    let low = try call.folded(try call.unary(.neg, high))
    // Each is brought to the sum's range by itself, and rounded there.
    let parts = try [a, b].map { try TFQuantized.quantized(call, try $0.floats(call), low, high, TFDataType(13)) }
    return [try call.binary(.add, parts[0], parts[1]), low, high]
  }

  private static func largest(_ call: TFCall, _ a: TFQuantized, _ b: TFQuantized) throws -> ValueID {
    let ends = [a.high, try call.unary(.neg, a.low), b.high, try call.unary(.neg, b.low)]
    return try ends.dropFirst().reduce(ends[0]) { try call.binary(.max, $0, $1) }
  }

  /// Sums of numbers that are brought to the sum's range first, 2¹⁴ times the larger one.
  private static func requantizedSum(_ call: TFCall, _ a: TFQuantized, _ b: TFQuantized) throws -> [ValueID] {
    let high = try call.folded(try call.binary(.mul, try largest(call, a, b), try call.scalar(16384, .float32)))
    let low = try call.folded(try call.unary(.neg, high))
    let target = try TFQuantized(a.value, low, high, TFDataType(13))
    let parts = try [a, b].map { part -> ValueID in
      // The first two integers say the line on which all are.
      let first = try target.unclamped(call, try part.float(call, try call.scalar(0, .float64)))
      let second = try target.unclamped(call, try part.float(call, try call.scalar(1, .float64)))
      let line = try call.binary(.mul, try call.cast(part.value, .float64), try call.folded(try call.binary(.sub, second, first)))
      let moved = try call.binary(.add, line, try call.folded(first))
      return try call.unary(.clip, moved, [Double(target.range.lowerBound), Double(target.range.upperBound)])
    }
    return [try call.cast(try call.binary(.add, parts[0], parts[1]), .int32), low, high]
  }

  private static func quantizedClip(_ call: TFCall, _ top: ValueID?, range: Int = 1) throws -> [ValueID] {
    let x = try TFQuantized(call, 0, range, range + 1, "Tinput")
    var value = try call.cast(x.value, .float64)
    value = try call.binary(.max, value, try x.number(call, try call.scalar(0, .float32)))
    if let top { value = try call.binary(.min, value, try x.number(call, top)) }
    return [try call.cast(value, call.type(x.value).dtype), x.low, x.high]
  }

  private static func quantizedConcat(_ call: TFCall) throws -> [ValueID] {
    let count = (call.inputs.count - 1) / 3
    guard count >= 1, call.inputs.count == 3 * count + 1, try call.dataType("T")?.number == 12 else { throw call.unsupported("these operands") }
    let parts = try (0..<count).map { try TFQuantized(call, 1 + $0, 1 + count + $0, 1 + 2 * count + $0, "T") }
    let zero = try call.scalar(0, .float32)
    let low = try parts.reduce(zero) { try call.binary(.min, $0, $1.low) }
    let high = try parts.dropFirst().reduce(parts[0].high) { try call.binary(.max, $0, $1.high) }
    // Parts that have the whole range are taken as they are.
    let values = try parts.map { part -> ValueID in
      let same = try call.binary(.and, try call.binary(.equal, part.low, low), try call.binary(.equal, part.high, high))
      return try call.select(same, part.value, try TFQuantized.quantized(call, try part.floats(call), low, high, TFDataType(12)))
    }
    return [try call.concat(values, axis: try call.axis(try call.integer(0, "an axis"), call.type(values[0]).rank)), low, high]
  }
}

extension TFCall {
  /// A single number in single precision, as a scalar.
  func number32(_ index: Int) throws -> ValueID {
    let value = try x(index)
    guard type(value).elementCount.fixed == 1 else { throw wrong("the end of a range must be one number, found \(type(value).message)") }
    return try reshape(try cast(value, .float32), [])
  }

  /// What follows from constants alone, as a constant, rounded to its dtype after each op.
  func folded(_ value: ValueID) throws -> ValueID {
    guard let tensor = builder.evaluate(value) else { return value }
    return constant(tensor, "folded")
  }

  func quantizedType(_ key: String) throws -> TFDataType {
    guard let type = try dataType(key), type.quantizedRange != nil else { throw unsupported("this quantized dtype") }
    return type
  }
}

extension TFDataType {
  /// The integers of a quantized type.
  var quantizedRange: ClosedRange<Int64>? {
    switch number {
    case 11, 6: -128...127
    case 12, 4: 0...255
    case 13, 3: Int64(Int32.min)...Int64(Int32.max)
    case 15, 5: -32768...32767
    case 16, 17: 0...65535
    default: nil
    }
  }
}
