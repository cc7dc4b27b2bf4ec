import GraphModule
import TensorModule

/// What importers of graphs have in common: values that are made on demand, and the graphs under construction.
typealias ImportedValue = TFValue
typealias ImportBuilder = TFBuilder

/// One node of a foreign graph while it is converted: the means to add to the graph.
protocol NodeBuilding: AnyObject {
  var builder: ImportBuilder { get }
  /// The node's name in the whole graph.
  var name: String { get }
  /// Where the source wants it to run; empty when it does not say.
  var device: String { get }
}

extension NodeBuilding {
  var device: String { "" }
  private var scope: String { name.lastIndex(of: "/").map { String(name[..<$0]) } ?? "" }

  func wrong(_ message: String) -> KilnError { KilnError(.badInput, message) }
  func unsupported(_ message: String) -> KilnError { KilnError(.unsupportedModel, "\(message) is not supported") }

  func type(_ value: ValueID) -> TensorType { builder.graph.type(of: value) }

  /// A positive axis.
  func axis(_ axis: Int, _ rank: Int, _ what: String = "axis") throws -> Int {
    let positive = axis < 0 ? axis + rank : axis
    guard (0..<rank).contains(positive) else { throw wrong("\(what) \(axis) is out of range for rank \(rank)") }
    return positive
  }

  /// A length that must be a number.
  func length(_ value: ValueID, _ axis: Int) throws -> Int {
    let type = type(value)
    guard let positive = type.axis(axis) else { throw wrong("axis \(axis) is out of range for \(type.message)") }
    guard let length = type.dims[positive].fixed else {
      throw KilnError(.unsupportedModel, "axis \(positive) of its operand \(type.message) must be known", hint: "give the inputs' shapes with --input-shape")
    }
    // So that arithmetic on a few of them cannot overflow.
    guard (0...Int(Int32.max)).contains(length) else { throw unsupported("the length \(length) of axis \(positive)") }
    return length
  }

  // MARK: Building

  func add(_ op: any OpDefinition, _ operands: [ValueID], _ suffix: String) throws -> ValueID {
    noted(op, [try builder.graph.addOne(op, operands, name: "\(name)/\(suffix)", scope: scope, device: device)])[0]
  }

  func addAll(_ op: any OpDefinition, _ operands: [ValueID], _ suffix: String) throws -> [ValueID] {
    noted(op, try builder.graph.add(op, operands, name: "\(name)/\(suffix)", scope: scope, device: device))
  }

  /// Notes where sizes that the data give can be read off.
  private func noted(_ op: any OpDefinition, _ results: [ValueID]) -> [ValueID] {
    guard op is any DataDependentOp else { return results }
    for result in results {
      for (axis, dim) in type(result).dims.enumerated() {
        if let symbol = dim.plainSymbol, builder.sizes.axes[symbol] == nil { builder.sizes.axes[symbol] = (result, axis) }
      }
    }
    return results
  }

  func unary(_ function: ScalarFunction, _ value: ValueID, _ parameters: [Double] = []) throws -> ValueID {
    try add(Elementwise(function, parameters), [value], function.rawValue)
  }

  func binary(_ function: ScalarFunction, _ left: ValueID, _ right: ValueID) throws -> ValueID {
    try add(Elementwise(function), [left, right], function.rawValue)
  }

  func select(_ condition: ValueID, _ yes: ValueID, _ no: ValueID) throws -> ValueID {
    try add(Elementwise(.select), [condition, yes, no], "select")
  }

  func cast(_ value: ValueID, _ dtype: DType) throws -> ValueID {
    type(value).dtype == dtype ? value : try add(Cast(dtype), [value], "cast")
  }

  func reshape(_ value: ValueID, _ dims: [Dim]) throws -> ValueID {
    type(value).dims == dims ? value : try add(Reshape(dims), [value], "reshape")
  }

  func transpose(_ value: ValueID, _ permutation: [Int]) throws -> ValueID {
    permutation == Array(permutation.indices) ? value : try add(Transpose(permutation), [value], "transpose")
  }

  func broadcast(_ value: ValueID, _ dims: [Dim]) throws -> ValueID {
    type(value).dims == dims ? value : try add(BroadcastTo(dims), [value], "broadcast_to")
  }

  func reduce(_ kind: Reduce.Kind, _ value: ValueID, _ axes: [Int], keepDims: Bool = false) throws -> ValueID {
    try add(Reduce(kind, axes: axes.sorted(), keepDims: keepDims), [value], kind.rawValue)
  }

  func slice(_ value: ValueID, axis: Int, _ start: Int?, _ end: Int?, step: Int = 1) throws -> ValueID {
    var ranges = [Slice.Range](repeating: .all, count: type(value).rank)
    ranges[axis] = Slice.Range(start: start, end: end, step: step)
    return try add(Slice(ranges), [value], "slice")
  }

  func concat(_ values: [ValueID], axis: Int) throws -> ValueID {
    values.count == 1 ? values[0] : try add(Concat(axis: axis), values, "concat")
  }

  /// The value with an axis of length 1 put in before `axis`.
  func expand(_ value: ValueID, _ axis: Int) throws -> ValueID {
    var dims = type(value).dims
    dims.insert(1, at: axis)
    return try reshape(value, dims)
  }

  /// The value without an axis of length 1.
  func drop(_ value: ValueID, _ axis: Int) throws -> ValueID {
    var dims = type(value).dims
    dims.remove(at: axis)
    return try reshape(value, dims)
  }

  func constant(_ tensor: Tensor, _ suffix: String) -> ValueID {
    builder.graph.addConstant("\(name)/\(suffix)", tensor)
  }

  func numbers(_ values: [Double], _ shape: Shape, _ dtype: DType, _ suffix: String) throws -> ValueID {
    constant(try Tensor(converting: values, to: dtype, shape: shape), suffix)
  }

  func scalar(_ value: Double, _ dtype: DType) throws -> ValueID { try builder.scalar(value, dtype) }

  /// The scalar 0, false or the empty string.
  func zero(_ dtype: DType) throws -> ValueID {
    dtype == .string ? constant(Tensor(strings: [ByteString("")], shape: []), "nothing") : try scalar(0, dtype)
  }

  /// A symbol for a size that the data give when the graph runs.
  func dataSize() -> Dim { builder.sizes.fresh() }
}
