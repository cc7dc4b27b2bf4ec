import GraphModule
import TensorModule

/// Padding by amounts that may be expressions over lengths or come from the model's data.
enum TFPadding {
  /// Pairs of amounts, one for each axis.
  static func amounts(_ call: TFCall, _ index: Int, _ rank: Int) throws -> (low: [Dim], high: [Dim]) {
    let amounts = try call.sizes(index, "an amount of padding", count: 2 * rank)
    guard amounts.count == 2 * rank else { throw call.wrong("needs \(rank) pairs of paddings, found \(amounts.count) numbers") }
    guard amounts.allSatisfy({ (0...1 << 24).contains($0.fixed ?? 0) }) else { throw call.wrong("an amount of padding is negative or too large") }
    return (stride(from: 0, to: amounts.count, by: 2).map { amounts[$0] }, stride(from: 1, to: amounts.count, by: 2).map { amounts[$0] })
  }

  static func padded(_ call: TFCall) throws -> ValueID {
    let x = try call.x(0)
    let (low, high) = try amounts(call, 1, call.type(x).rank)
    let isPlain = call.op == "Pad" || call.inputs.count < 3
    if !isPlain, try call.input(2).evaluated == nil { return try padded(call, x, low, high, try call.x(2)) }
    return try padded(call, x, low, high, value: isPlain || call.type(x).dtype == .string ? 0 : try call.number(2, "a padding value"))
  }

  /// x with a constant around it.
  static func padded(_ call: TFCall, _ x: ValueID, _ low: [Dim], _ high: [Dim], value: Double = 0) throws -> ValueID {
    let (before, after) = (low.compactMap(\.fixed), high.compactMap(\.fixed))
    guard before.count == low.count, after.count == high.count else { return try padded(call, x, low, high, try value == 0 ? call.zero(call.type(x).dtype) : call.scalar(value, call.type(x).dtype)) }
    if (before + after).allSatisfy({ $0 == 0 }) { return x }
    return try call.add(Pad(.constant, low: before, high: after, value: value), [x], "pad")
  }

  /// One axis after another, by concatenation.
  private static func padded(_ call: TFCall, _ x: ValueID, _ low: [Dim], _ high: [Dim], _ value: ValueID) throws -> ValueID {
    var x = x
    for axis in low.indices where low[axis] != 0 || high[axis] != 0 {
      func edge(_ amount: Dim) throws -> ValueID {
        var dims = call.type(x).dims
        dims[axis] = amount
        return try call.broadcast(value, dims)
      }
      var parts = [x]
      if low[axis] != 0 { parts.insert(try edge(low[axis]), at: 0) }
      if high[axis] != 0 { parts.append(try edge(high[axis])) }
      x = try call.concat(parts, axis: axis)
    }
    return x
  }

  static func mirrored(_ call: TFCall) throws -> ValueID { try mirrored(call, try call.x(0), 1) }

  /// x with its edges mirrored by the amounts that the operand `index` gives.
  static func mirrored(_ call: TFCall, _ given: ValueID, _ index: Int) throws -> ValueID {
    var x = given
    let (low, high) = try amounts(call, index, call.type(x).rank)
    let isSymmetric = try call.text("mode") == "SYMMETRIC"
    let (before, after) = (low.compactMap(\.fixed), high.compactMap(\.fixed))
    if before.count == low.count, after.count == high.count {
      if (before + after).allSatisfy({ $0 == 0 }) { return x }
      return try call.add(Pad(isSymmetric ? .symmetric : .reflect, low: before, high: after), [x], "pad")
    }
    for axis in low.indices where low[axis] != 0 || high[axis] != 0 {
      let length = call.type(x).dims[axis]
      let count = try TFOpCatalog.counted(call, low[axis] + length + high[axis], .int32)
      func scalar(_ dim: Dim) throws -> ValueID { try call.scalar(size: dim, .int32) }
      // The distance from the first element, then from the last.
      var place = try call.unary(.abs, try call.binary(.sub, count, try scalar(low[axis])))
      if isSymmetric {
        let outside = try call.cast(try call.binary(.less, count, try scalar(low[axis])), .int32)
        place = try call.binary(.sub, place, outside)
      }
      let end = try scalar(length - 1)
      let beyond = try call.binary(.sub, place, end)
      if isSymmetric {
        let past = try call.cast(try call.binary(.greater, place, end), .int32)
        place = try call.binary(.add, try call.binary(.sub, end, try call.unary(.abs, beyond)), past)
      } else {
        place = try call.binary(.sub, end, try call.unary(.abs, beyond))
      }
      x = try call.add(Gather(axis: axis), [x, place], "mirror")
    }
    return x
  }
}
