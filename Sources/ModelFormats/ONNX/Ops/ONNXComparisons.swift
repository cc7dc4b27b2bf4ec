import GraphModule
import TensorModule

extension ONNXOpCatalog {
  static let comparisons = Family(
    "Comparisons, logic and casts",
    [
      Row("Equal", since: 7) { [try compared($0, .equal)] },
      Row("Less", since: 7) { [try compared($0, .less)] },
      Row("LessOrEqual", since: 12) { [try compared($0, .lessEqual)] },
      Row("Greater", since: 7) { [try compared($0, .greater)] },
      Row("GreaterOrEqual", since: 12) { [try compared($0, .greaterEqual)] },
      Row("And", since: 7) { [try $0.binary(.and, try $0.x(0), try $0.x(1))] },
      Row("Or", since: 7) { [try $0.binary(.or, try $0.x(0), try $0.x(1))] },
      Row("Xor", since: 7) { [try $0.binary(.xor, try $0.x(0), try $0.x(1))] },
      Row("Not") { [try $0.unary(.not, try $0.x(0))] },
      Row("IsNaN", since: 9) { [try $0.unary(.isnan, try $0.x(0))] },
      Row("IsInf", since: 10) { call in
        let x = try call.x(0)
        switch (try call.bool("detect_negative", true), try call.bool("detect_positive", true)) {
        case (true, true): return [try call.unary(.isinf, x)]
        case (true, false): return [try call.binary(.equal, x, try call.scalar(-.infinity, call.type(x).dtype))]
        case (false, true): return [try call.binary(.equal, x, try call.scalar(.infinity, call.type(x).dtype))]
        default: return [try call.binary(.and, try call.unary(.isinf, x), try call.scalar(0, .bool))]
        }
      },
      Row(like: 1, "Where", since: 9) { call in
        [try call.select(try call.x(0), try call.x(1), try call.x(2))]
      },
      Row(values: "Cast", since: 6) { call in
        [try call.casted(try call.value(0), try call.element("to", ONNXDataType(0)))]
      },
      Row(values: "CastLike", since: 15) { call in
        [try call.casted(try call.value(0), try call.element(1))]
      },
      Row(values: "BitCast", since: 26) { try [recast($0)] },
    ])

  /// The same bits as another type of the same size. Unsigned types that are wider in the graph pass through the signed type of their size.
  private static func recast(_ call: ONNXCall) throws -> ONNXValue {
    let (from, to) = (try call.element(0), try call.element("to", ONNXDataType(0)))
    if from == to { return try call.value(0) }
    guard let bits = from.storedBits, bits == to.storedBits, bits >= 8, from.smallFloat == nil, to.smallFloat == nil else {
      throw call.unsupported("bits of \(from.name) as \(to.name)")
    }
    let signed: [Int: DType] = [8: .int8, 16: .int16, 32: .int32, 64: .int64]
    guard let narrow = signed[bits] else { throw call.unsupported("bits of \(from.name) as \(to.name)") }
    var x = try call.x(0)
    if from.isWidened || call.type(x).dtype == .bool { x = try call.cast(x, narrow) }
    let wanted = try call.dtype(to)
    if wanted == .bool { return call.result(try call.cast(x, .bool), to) }
    if !to.isWidened { return call.result(call.type(x).dtype == wanted ? x : try call.add(Bitcast(wanted), [x], "bitcast"), to) }
    if call.type(x).dtype != narrow { x = try call.add(Bitcast(narrow), [x], "bitcast") }
    let mask = Double((1 << bits) - 1)
    return call.result(try call.binary(.bitAnd, try call.cast(x, wanted), try call.scalar(mask, wanted)), to)
  }

  private static func compared(_ call: ONNXCall, _ function: ScalarFunction) throws -> ValueID {
    let (x, y) = (try call.x(0), try call.x(1))
    // Numbers from 2^63 are negative in the graph.
    if try function != .equal && call.element(0) == .uint64 {
      let turn = call.constant(try Tensor([Int64.min], shape: []), "turn")
      return try call.binary(function, try call.binary(.bitXor, x, turn), try call.binary(.bitXor, y, turn))
    }
    return try call.binary(function, x, y)
  }
}

extension ONNXCall {
  /// A value as another element type.
  func casted(_ value: ONNXValue, _ target: ONNXDataType) throws -> ONNXValue {
    let (source, from) = try tensor(value)
    let id = try builder.id(source)
    let wanted = try dtype(target)
    if from == target { return value }
    if let small = target.smallFloat {
      let single = try cast(from == .string ? try numbersOf(id, .float32) : id, .float32)
      let mode = small.isScale ? try text("round_mode", "up") : "nearest"
      return result(try rounded(single, small, saturates: try bool("saturate", true), mode), target)
    }
    if target == .string { return result(try textsOf(id, from), target) }
    if from == .string { return result(try numbersOf(id, wanted), target) }
    var made = id
    if target.isWidened || target == .uint64, let range = target.integerRange {
      made = try cast(made, type(made).dtype.isFloat ? .int64 : wanted == .int64 ? .int64 : type(made).dtype)
      made = try narrowed(made, target, range)
      return result(try cast(made, wanted), target)
    }
    if type(made).dtype.isFloat, wanted.isInteger, wanted != .int64 { made = try cast(made, .int64) }
    return result(try cast(made, wanted), target)
  }

  /// Integers brought to a type of fewer bits as C does: the low bits count.
  private func narrowed(_ id: ValueID, _ target: ONNXDataType, _ range: ClosedRange<Int64>) throws -> ValueID {
    if target == .uint64 { return try cast(id, .int64) }
    let wide = try cast(id, .int64)
    let bits: Int64
    switch target.number {
    case 4: bits = 16
    case 12: bits = 32
    case 21, 22: bits = 4
    default: bits = 2
    }
    let mask = try scalar(Double((Int64(1) << bits) - 1), .int64)
    let low = try binary(.bitAnd, wide, mask)
    guard range.lowerBound < 0 else { return low }
    let sign = try scalar(Double(Int64(1) << (bits - 1)), .int64)
    return try binary(.sub, try binary(.bitXor, low, sign), sign)
  }

  private func numbersOf(_ id: ValueID, _ dtype: DType) throws -> ValueID {
    let number = try add(StringToNumber(dtype.isFloat ? .float32 : .int64), [id], "number")
    return try cast(number, dtype)
  }

  private func textsOf(_ id: ValueID, _ from: ONNXDataType) throws -> ValueID {
    guard type(id).dtype.isInteger, from != .uint64 else { throw unsupported("a cast of \(from.name) to text") }
    return try add(AsString(), [id], "text")
  }

  /// float32 numbers brought to the nearest of a small float type, ties to the even code; found by halving the list of them.
  func rounded(_ x: ValueID, _ small: SmallFloat, saturates: Bool, _ mode: String = "nearest") throws -> ValueID {
    let all = small.magnitudes
    // The smallest float that a code stands for.
    var starts: [Float] = [0]
    for code in 1..<all.count {
      let (low, high) = (all[code - 1], all[code])
      switch mode {
      case "up": starts.append(low.nextUp)
      case "down": starts.append(high)
      default:
        let middle = low + (high - low) / 2
        starts.append(code % 2 == 0 ? middle : middle.nextUp)
      }
    }
    // What lies beyond the largest: half a step more rounds to it.
    let last = all[all.count - 1]
    let end: Float = mode == "nearest" ? last + (last - all[all.count - 2]) / 2 : last.nextUp
    let magnitude = try unary(.abs, x)
    let isNumber = try unary(.not, try unary(.isnan, x))
    let safe = try select(isNumber, magnitude, try scalar(0, .float32))
    let table = try constant(Tensor(starts, shape: [starts.count]), "starts")
    var code = try broadcast(try scalar(0, .int32), type(x).dims)
    var step = 1
    while step * 2 < starts.count { step *= 2 }
    while step >= 1 {
      let proposal = try binary(.add, code, try scalar(Double(step), .int32))
      let inside = try binary(.less, proposal, try scalar(Double(starts.count), .int32))
      let place = try binary(.min, proposal, try scalar(Double(starts.count - 1), .int32))
      let start = try add(Gather(axis: 0), [table, place], "gather")
      let fits = try binary(.and, inside, try binary(.greaterEqual, safe, start))
      code = try select(fits, proposal, code)
      step /= 2
    }
    var result = try add(Gather(axis: 0), [try constant(Tensor(all, shape: [all.count]), "values"), code], "gather")
    if !saturates, small.hasNaN {
      // An even largest code keeps the half.
      let half = try scalar(Double(end), .float32)
      let beyond = try binary(all.count % 2 == 0 ? .greaterEqual : .greater, safe, half)
      result = try select(beyond, try scalar(small.hasInfinity ? .infinity : .nan, .float32), result)
    }
    if small.isScale { return try select(isNumber, result, try scalar(.nan, .float32)) }
    let negative = try binary(.less, x, try scalar(0, .float32))
    result = try select(negative, try unary(.neg, result), result)
    return small.hasNaN ? try select(isNumber, result, try scalar(.nan, .float32)) : result
  }
}
