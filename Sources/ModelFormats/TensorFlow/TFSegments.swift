import GraphModule
import TensorModule

/// Reductions over elements with the same id.
enum TFSegments {
  /// Results with more than so many products of segment and element are scattered instead of masked.
  private static let mostMasked = 1 << 16

  /// By sorted ids. Segments without elements are 0, or 1 for products.
  static func sorted(_ call: TFCall, _ kind: Reduce.Kind) throws -> ValueID {
    try sorted(call, try call.x(0), 1, kind, root: false, count: nil)
  }

  /// Of rows picked by indices.
  static func sparse(_ call: TFCall, _ kind: Reduce.Kind, root: Bool) throws -> ValueID {
    let picked = try call.add(Gather(axis: 0), [try call.x(0), try call.x(1)], "gather")
    let count = call.op.hasSuffix("WithNumSegments") ? try call.size(3, "a number of segments") : nil
    return try sorted(call, picked, 2, kind, root: root, count: count)
  }

  private static func sorted(
    _ call: TFCall, _ data: ValueID, _ index: Int, _ kind: Reduce.Kind, root: Bool, count: Dim?
  ) throws -> ValueID {
    let ids = try call.x(index)
    guard call.type(ids).rank == 1, call.type(data).rank >= 1 else { throw call.wrong("ids \(call.type(ids).message) do not fit \(call.type(data).message)") }
    if let known = try call.input(index).known?.fixed {
      guard zip(known, known.dropFirst()).allSatisfy({ $0 <= $1 }), (known.first ?? 0) >= 0 else { throw call.wrong("segment ids are not sorted") }
      guard (known.last ?? 0) < (count?.fixed ?? 1 << 24) else { throw call.wrong("segment ids are out of range") }
    }
    let count = try count ?? call.bound(try TFOpCatalog.lengthOf(call, ids))
    return try sorted(call, data, ids, count, kind, root: root)
  }

  /// - Parameter root: divide by the root of the number of elements rather than by the number.
  static func sorted(_ call: TFCall, _ data: ValueID, _ ids: ValueID, _ count: Dim, _ kind: Reduce.Kind, root: Bool = false) throws -> ValueID {
    let dtype = call.type(data).dtype
    let result = try segments(call, data, ids, count, kind == .mean ? .sum : kind)
    if kind == .sum || kind == .prod { return result }
    let ones = try call.broadcast(try call.scalar(1, .float32), call.type(ids).dims)
    let filled = try segments(call, ones, ids, count, .sum)
    let sizes = try call.reshape(filled, [count] + [Dim](repeating: 1, count: call.type(result).rank - 1))
    if kind == .mean {
      var divisor = try call.binary(.max, sizes, try call.scalar(1, .float32))
      if root { divisor = try call.unary(.sqrt, divisor) }
      if dtype.isInteger { return try TFOpCatalog.truncatedQuotient(call, result, try call.cast(divisor, dtype)) }
      return try call.binary(.div, result, try call.cast(divisor, dtype))
    }
    let isFilled = try call.binary(.greater, sizes, try call.scalar(0, .float32))
    return try call.select(isFilled, result, try call.scalar(0, dtype))
  }

  /// A given number of segments, by ids in any order; negative ones are left out.
  static func unsorted(_ call: TFCall, _ kind: Reduce.Kind) throws -> ValueID {
    try segments(call, try call.x(0), try call.x(1), try call.size(2, "a number of segments"), kind)
  }

  /// Segments without elements hold what changes nothing: 0, 1, the lowest or the highest number.
  static func segments(_ call: TFCall, _ data: ValueID, _ ids: ValueID, _ count: Dim, _ kind: Reduce.Kind) throws -> ValueID {
    guard (0...1 << 24).contains(count.fixed ?? 0) else { throw call.wrong("\(count) segments are out of range") }
    let (type, idType) = (call.type(data), call.type(ids))
    guard idType.rank <= type.rank else { throw call.wrong("ids \(idType.message) do not fit \(type.message)") }
    let rest = Array(type.dims[idType.rank...])
    let elements = idType.elementCount
    let neutral = try call.scalar(neutral(kind, type.dtype), type.dtype)
    let places = try call.reshape(ids, [elements])
    let width = rest.reduce(1, *)
    if let segments = count.fixed, let product = (elements * width).fixed, product.multipliedReportingOverflow(by: segments).partialValue <= mostMasked,
      segments <= mostMasked, product <= mostMasked
    {
      let rows = try call.reshape(data, [1, elements, width])
      let numbers = try call.reshape(try TFOpCatalog.counted(call, count, idType.dtype), [count, 1])
      let belongs = try call.binary(.equal, try call.reshape(places, [1, elements]), numbers)
      let spread = try call.select(try call.expand(belongs, 2), rows, neutral)
      return try call.reshape(try call.reduce(kind, spread, [1]), [count] + rest)
    }
    // One segment more takes the elements without a segment.
    let none = try call.scalar(size: count, idType.dtype)
    let isNone = try call.binary(.less, places, try call.scalar(0, idType.dtype))
    let targets = try call.expand(try call.select(isNone, none, places), 1)
    let start = try call.broadcast(neutral, [count + 1] + rest)
    let join: Scatter.Kind =
      switch kind {
      case .prod: .mul
      case .max: .max
      case .min: .min
      default: .add
      }
    let joined = try call.add(Scatter(join), [start, targets, try call.reshape(data, [elements] + rest)], "scatter")
    return try call.slice(joined, axis: 0, nil, -1)
  }

  private static func neutral(_ kind: Reduce.Kind, _ dtype: DType) -> Double {
    switch kind {
    case .prod: 1
    case .max: dtype.isFloat ? lowest(dtype) : Double(dtype.integerRange?.lowerBound ?? 0)
    case .min: dtype.isFloat ? -lowest(dtype) : Double(dtype.integerRange?.upperBound ?? 0)
    default: 0
    }
  }

  /// The lowest finite number, which stands for an empty maximum.
  static func lowest(_ dtype: DType) -> Double {
    switch dtype {
    case .float64: -Double.greatestFiniteMagnitude
    case .float16: -65504
    case .bfloat16: -3.3895313892515355e38
    default: -Double(Float.greatestFiniteMagnitude)
    }
  }

  // MARK: Counts

  /// `Bincount` and `DenseBincount`: how often each number below a size occurs, or the sum of their weights; of each row.
  static func counts(_ call: TFCall) throws -> ValueID {
    let x = try call.x(0), type = call.type(x)
    let size = try call.size(1, "a size")
    guard (0...1 << 24).contains(size.fixed ?? 0) else { throw call.wrong("its size \(size) is out of range") }
    let given = try call.input(2)
    let dtype = given.type.dtype
    let isBinary = try call.bool("binary_output")
    let byRow = call.op == "DenseBincount" && type.rank == 2
    let isWeighted = given.type.elementCount.fixed != 0 && !isBinary
    if let depth = size.fixed, depth <= 256 {
      var hot = try call.add(OneHot(depth: depth, dtype: dtype), [x], "one_hot")
      if isWeighted { hot = try call.binary(.mul, hot, try call.expand(try call.x(2), type.rank)) }
      return try call.reduce(isBinary ? .max : .sum, hot, byRow ? [1] : Array(0..<type.rank))
    }
    let elements = type.elementCount
    var places = try call.expand(try call.reshape(try call.cast(x, .int64), [elements]), 1)
    if byRow {
      let rows = try call.broadcast(try call.expand(try TFOpCatalog.counted(call, type.dims[0], .int64), 1), type.dims)
      places = try call.concat([try call.expand(try call.reshape(rows, [elements]), 1), places], axis: 1)
    }
    let start = try call.broadcast(try call.scalar(0, dtype), byRow ? [type.dims[0], size] : [size])
    let weights = isWeighted ? try call.reshape(try call.x(2), [elements]) : try call.broadcast(try call.scalar(1, dtype), [elements])
    return try call.add(Scatter(isBinary ? .max : .add, outside: .skip), [start, places, weights], "scatter")
  }
}
