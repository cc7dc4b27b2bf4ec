import GraphModule
import TensorModule

extension FunctionCatalog {
  /// Reductions and running sums that leave NaN out.
  static let missingNumbers: [String: Meaning] = [
    "nansum": { try reduced($0, .sum, 0) },
    "nanprod": { try reduced($0, .prod, 1) },
    "nanmax": { try reduced($0, .max, -.infinity) },
    "nanmin": { try reduced($0, .min, .infinity) },
    "nanmean": { call in
      let (x, axes, keeps) = try operands(call)
      return [try mean(call, x, axes, keeps)]
    },
    "nanvar": { [try variance($0)] },
    "nanstd": { [try $0.apply(.sqrt, try variance($0))] },
    "nanargmax": { try place($0, .max, -.infinity) },
    "nanargmin": { try place($0, .min, .infinity) },
    "nancumsum": { try running($0, .sum, 0) },
    "nancumprod": { try running($0, .prod, 1) },
  ]

  private static func operands(_ call: FunctionCall) throws -> (ValueID, [Int], Bool) {
    let x = try call.floatTensor(0, "x")
    return (x, try call.axes(try call.ints("axis"), of: x), try call.bool("keepdims") ?? false)
  }

  private static func filled(_ call: FunctionCall, _ x: ValueID, _ number: Double) throws -> ValueID {
    try call.select(try call.apply(.isnan, x), number, x)
  }

  /// NaN where every element is, for the largest and the smallest.
  private static func reduced(_ call: FunctionCall, _ kind: Reduce.Kind, _ number: Double) throws -> [ValueID] {
    let (x, axes, keeps) = try operands(call)
    let result = try call.reduce(kind, try filled(call, x, number), axes, keeps)
    guard kind == .max || kind == .min else { return [result] }
    return [try call.select(try call.reduce(.all, try call.apply(.isnan, x), axes, keeps), .nan, result)]
  }

  private static func mean(_ call: FunctionCall, _ x: ValueID, _ axes: [Int], _ keeps: Bool) throws -> ValueID {
    let numbers = try call.cast(try call.apply(.not, try call.apply(.isnan, x)), call.dtype(of: x))
    return try call.apply(
      .div, try call.reduce(.sum, try filled(call, x, 0), axes, keeps), try call.reduce(.sum, numbers, axes, keeps))
  }

  private static func variance(_ call: FunctionCall) throws -> ValueID {
    let (x, axes, keeps) = try operands(call)
    let centre = try mean(call, x, axes, true)
    return try mean(call, try call.apply(.squaredDifference, x, centre), axes, keeps)
  }

  /// −1 where every element is NaN.
  private static func place(_ call: FunctionCall, _ kind: ArgReduce.Kind, _ number: Double) throws -> [ValueID] {
    var x = try call.floatTensor(0, "x")
    let keeps = try call.bool("keepdims") ?? false
    let given = try call.int("axis")
    if given == nil {
      guard !keeps else { throw call.unsupported("keepdims without axis") }
      x = try call.layer.reshape(x, [call.type(x).elementCount])
    }
    let axis = try call.axis(given ?? 0, of: x)
    let missing = try call.apply(.isnan, x)
    let found = try call.layer.add(
      ArgReduce(kind, axis: axis, keepDims: keeps, dtype: .int32), [try call.select(missing, number, x)], "arg")
    return [try call.select(try call.reduce(.all, missing, [axis], keeps), -1, found)]
  }

  private static func running(_ call: FunctionCall, _ kind: Cumulative.Kind, _ number: Double) throws -> [ValueID] {
    var x = try filled(call, try call.floatTensor(0, "x"), number)
    if let dtype = try call.dtype("dtype") { x = try call.cast(x, dtype) }
    let given = try call.int("axis")
    if given == nil { x = try call.layer.reshape(x, [call.type(x).elementCount]) }
    let axis = try call.axis(given ?? 0, of: x)
    return [try call.layer.add(Cumulative(kind, axis: axis, exclusive: false, reverse: false), [x], "cumulative")]
  }
}
