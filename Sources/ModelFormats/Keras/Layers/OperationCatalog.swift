import GraphModule
import TensorModule

/// The `keras.ops` functions that stand as nodes in Functional models of Keras 3: those that Keras writes for masks, and
/// the elementwise ones.
enum OperationCatalog {
  private static let unary: [String: Activation] = [
    "LogicalNot": Activation(.not), "Absolute": Activation(.abs), "Abs": Activation(.abs), "Negative": Activation(.neg),
    "Exp": Activation(.exp), "Log": Activation(.log), "Sqrt": Activation(.sqrt), "Rsqrt": Activation(.rsqrt),
    "Square": Activation(.square), "Tanh": Activation(.tanh), "Sigmoid": Activation(.sigmoid),
    "Relu": Activation(.relu),
    "Silu": Activation(.silu), "Softplus": Activation(.softplus), "Softsign": Activation(.softsign),
    "Sin": Activation(.sin),
    "Cos": Activation(.cos), "Relu6": Activation(.clip, [0, 6]),
  ]
  private static let binary: [String: ScalarFunction] = [
    "Add": .add, "Subtract": .sub, "Multiply": .mul, "Divide": .div, "TrueDivide": .div, "Maximum": .max,
    "Minimum": .min,
    "Power": .pow, "Mod": .mod, "NotEqual": .notEqual, "Equal": .equal, "Less": .less, "LessEqual": .lessEqual,
    "Greater": .greater, "GreaterEqual": .greaterEqual, "LogicalAnd": .and, "LogicalOr": .or, "LogicalXor": .xor,
  ]
  private static let reductions: [String: Reduce.Kind] = [
    "Any": .any, "All": .all, "Sum": .sum, "Mean": .mean, "Max": .max, "Min": .min, "Prod": .prod,
  ]
  private static let others: Set<String> = [
    "ExpandDims", "Squeeze", "Concatenate", "ZerosLike", "OnesLike", "Cast", "Identity",
  ]

  static func isKnown(_ name: String) -> Bool {
    unary[name] != nil || binary[name] != nil || reductions[name] != nil || others.contains(name)
  }

  static func reader(_ name: String, _ config: LayerConfig) -> any KerasLayerReader {
    if let activation = unary[name] {
      return Operation(config) { call in try call.add(Elementwise(activation), [try call.tensor(0)], "op") }
    }
    if let function = binary[name] { return Operation(config) { try elementwise($0, function) } }
    if let kind = reductions[name] {
      let axes = config.intList("axis")
      let keepsDims = config.bool("keepdims", false)
      config.ignore("initial", "dtype")
      return Operation(config) { call in
        let x = try call.tensor(0)
        let type = call.type(x)
        let positive = axes.map { $0.compactMap { type.axis($0) } } ?? Array(0..<type.rank)
        guard axes == nil || positive.count == axes?.count else {
          throw KilnError(.badInput, "axis does not fit \(type.message)")
        }
        let operand =
          kind == .any || kind == .all ? try call.truth(x) : kind == .mean ? try call.cast(x, to: call.dtype) : x
        return try call.add(Reduce(kind, axes: Set(positive).sorted(), keepDims: keepsDims), [operand], "reduce")
      }
    }
    switch name {
    case "ExpandDims":
      let axis = config.int("axis", 0, in: -maximumRank...maximumRank)
      return Operation(config) { call in try call.expand(try call.tensor(0), axis: axis) }
    case "Squeeze":
      let axes = config.intList("axis")
      return Operation(config) { call in
        let x = try call.tensor(0)
        let type = call.type(x)
        let dropped = axes.map { $0.compactMap { type.axis($0) } } ?? type.dims.indices.filter { type.dims[$0] == 1 }
        return try call.reshape(x, type.dims.indices.filter { !dropped.contains($0) }.map { type.dims[$0] })
      }
    case "Concatenate":
      let axis = config.int("axis", -1, in: -maximumRank...maximumRank)
      return Operation(config) { call in
        let values = call.tensors.map(\.value)
        guard let first = values.first, let positive = call.type(first).axis(axis) else {
          throw KilnError(.badInput, "axis \(axis) does not fit its inputs")
        }
        return try call.add(Concat(axis: positive), values, "concat")
      }
    case "ZerosLike", "OnesLike":
      let given = config.json("dtype").flatMap { ConfigRewrite.policyName($0) }.flatMap { DType(name: $0) }
      return Operation(config) { call in
        let type = call.type(try call.tensor(0))
        let value = try call.scalar(name == "OnesLike" ? 1 : 0, given ?? type.dtype)
        return try call.add(BroadcastTo(type.dims), [value], "broadcast")
      }
    case "Cast":
      let dtype = DType(name: config.string("dtype", "float32")) ?? .float32
      return Operation(config) { call in
        try call.cast(try call.tensor(0), to: dtype == .float16 || dtype == .bfloat16 ? .float32 : dtype)
      }
    case "Identity":
      return Operation(config) { call in try call.tensor(0) }
    default:
      config.diagnostics.add(
        ImportProblem(
          kind: .unsupported, layer: config.path, className: name,
          message: "operation \(KilnError.quoted(name)) of keras.ops is not supported",
          nearest: nil))
      return UnknownLayer()
    }
  }

  /// A function of two arguments, either of which can be a number.
  private static func elementwise(_ call: LayerCall, _ function: ScalarFunction) throws -> ValueID {
    let operands = call.arguments + call.keywords.filter { ["x1", "x2"].contains($0.key) }.map(\.value)
    guard operands.count >= 2, let reference = operands.lazy.compactMap({ $0.leaves.first }).first else {
      throw KilnError(.badInput, "takes two arguments, found \(operands.count)")
    }
    var dtype = call.type(reference.value).dtype
    let tensors = operands.prefix(2).compactMap { $0.leaves.first?.value }
    if let float = tensors.map({ call.type($0).dtype }).first(where: \.isFloat) { dtype = float }
    if function == .div && !dtype.isFloat { dtype = call.dtype }
    let values = try operands.prefix(2).map { operand -> ValueID in
      if let tensor = operand.leaves.first {
        return function.isLogical ? try call.truth(tensor.value) : try call.cast(tensor.value, to: dtype)
      }
      guard let number = operand.constant?.doubleValue ?? operand.constant?.boolValue.map({ $0 ? 1 : 0 }) else {
        throw KilnError(.unsupportedModel, "an argument that is neither a tensor nor a number is not supported")
      }
      return try call.scalar(number, function.isLogical ? .bool : dtype)
    }
    return try call.binary(function, values[0], values[1])
  }
}

/// A `keras.ops` node: one result, no weights, no mask.
private struct Operation: KerasLayerReader {
  let build: (LayerCall) throws -> ValueID

  init(_ config: LayerConfig, _ build: @escaping (LayerCall) throws -> ValueID) { self.build = build }

  func call(_ call: LayerCall) throws -> [KerasTensor] { [KerasTensor(try build(call))] }
}

extension LayerCall {
  /// The tensor at a position of the arguments.
  func tensor(_ position: Int) throws -> ValueID {
    guard arguments.indices.contains(position), let first = arguments[position].leaves.first else {
      throw KilnError(.badInput, "argument \(position) must be a tensor")
    }
    return first.value
  }

  /// x ≠ 0 as bool.
  func truth(_ value: ValueID) throws -> ValueID { try cast(value, to: .bool) }
}
