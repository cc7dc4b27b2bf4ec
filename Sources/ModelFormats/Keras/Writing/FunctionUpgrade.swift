import TensorModule

/// TensorFlow functions between layers as nodes of `keras.ops`.
enum FunctionUpgrade {
  /// A class of `keras.ops`: its tensors in order and the options of its constructor, each with TensorFlow's names.
  struct Row {
    var className: String
    var module = "keras.src.ops.numpy"
    var tensors: [[String]] = [["x", "input", "input_tensor", "tensor", "features", "a", "value", "inputs"]]
    var options: [(key: String, names: [String], fallback: JSON?)] = []
    /// Whether integers would become floats of another kind than in TensorFlow.
    var takesFloatsOnly = false
    /// Whether its tensors are a list.
    var takesList = false
  }

  private static let pair: [[String]] = [["x", "a", "x1"], ["y", "b", "x2"]]
  private static let axes: [(key: String, names: [String], fallback: JSON?)] = [
    ("axis", ["axis", "axes", "reduction_indices"], .null), ("keepdims", ["keepdims", "keep_dims"], .bool(false)),
  ]

  /// By the names of `FunctionCatalog`.
  static let rows: [String: Row] = {
    var rows: [String: Row] = [:]
    for (name, className) in [
      ("add", "Add"), ("subtract", "Subtract"), ("multiply", "Multiply"), ("maximum", "Maximum"), ("minimum", "Minimum"), ("equal", "Equal"),
      ("not_equal", "NotEqual"), ("greater", "Greater"), ("greater_equal", "GreaterEqual"), ("less", "Less"), ("less_equal", "LessEqual"),
    ] { rows[name] = Row(className: className, tensors: pair) }
    for (name, className) in [("divide", "Divide"), ("power", "Power"), ("floor_divide", "FloorDivide"), ("mod", "Mod"), ("matmul", "Matmul")] {
      rows[name] = Row(className: className, tensors: pair, takesFloatsOnly: true)
    }
    for (name, className) in [("logical_and", "LogicalAnd"), ("logical_or", "LogicalOr")] { rows[name] = Row(className: className, tensors: pair) }
    rows["logical_not"] = Row(className: "LogicalNot")
    for (name, className) in [
      ("exp", "Exp"), ("log", "Log"), ("sqrt", "Sqrt"), ("square", "Square"), ("abs", "Absolute"), ("negative", "Negative"), ("tanh", "Tanh"),
      ("sin", "Sin"), ("cos", "Cos"), ("floor", "Floor"), ("ceil", "Ceil"), ("sign", "Sign"), ("log1p", "Log1p"), ("expm1", "Expm1"),
      ("reciprocal", "Reciprocal"),
    ] { rows[name] = Row(className: className, takesFloatsOnly: true) }
    for (name, className) in [
      ("relu", "Relu"), ("relu6", "Relu6"), ("sigmoid", "Sigmoid"), ("softplus", "Softplus"), ("softsign", "Softsign"), ("silu", "Silu"), ("selu", "Selu"),
    ] { rows[name] = Row(className: className, module: "keras.src.ops.nn", takesFloatsOnly: true) }
    rows["rsqrt"] = Row(className: "Rsqrt", module: "keras.src.ops.math", takesFloatsOnly: true)
    rows["erf"] = Row(className: "Erf", module: "keras.src.ops.math", takesFloatsOnly: true)
    rows["softmax"] = Row(
      className: "Softmax", module: "keras.src.ops.nn", tensors: [["logits", "x"]], options: [("axis", ["axis", "dim"], .int(-1))], takesFloatsOnly: true)
    for (name, className) in [("mean", "Mean"), ("sum", "Sum"), ("max", "Max"), ("min", "Min"), ("prod", "Prod")] {
      rows[name] = Row(className: className, options: axes, takesFloatsOnly: true)
    }
    for (name, className) in [("any", "Any"), ("all", "All")] { rows[name] = Row(className: className, options: axes) }
    rows["reshape"] = Row(className: "Reshape", options: [("newshape", ["shape", "newshape"], nil)])
    rows["transpose"] = Row(className: "Transpose", options: [("axes", ["perm", "axes"], .null)])
    rows["expand_dims"] = Row(className: "ExpandDims", options: [("axis", ["axis"], nil)])
    rows["squeeze"] = Row(className: "Squeeze", options: [("axis", ["axis"], .null)])
    rows["clip"] = Row(
      className: "Clip", tensors: [["t", "x"]], options: [("x_min", ["clip_value_min"], nil), ("x_max", ["clip_value_max"], nil)], takesFloatsOnly: true)
    rows["concatenate"] = Row(className: "Concatenate", tensors: [["values", "xs", "tensors"]], options: [("axis", ["axis"], nil)], takesList: true)
    rows["stack"] = Row(className: "Stack", tensors: [["values", "x"]], options: [("axis", ["axis"], .int(0))], takesList: true)
    rows["tile"] = Row(className: "Tile", options: [("repeats", ["multiples"], nil)])
    rows["cast"] = Row(className: "Cast", module: "keras.src.ops.core", options: [("dtype", ["dtype"], nil)])
    rows["get_item"] = Row(className: "GetItem", tensors: [["tensor", "x"]])
    return rows
  }()

  /// Arguments that say nothing here.
  static let ignored: Set = ["name", "slice_spec", "key", "transpose_a", "transpose_b", "adjoint_a", "adjoint_b", "a_is_sparse", "b_is_sparse", "conjugate", "beta"]

  /// A slice or list of slices as Keras 3 writes it.
  static func key(_ json: JSON) -> JSON {
    if let items = json.arrayValue { return .array(items.map(key)) }
    guard let object = json.objectValue else { return json }
    if object["class_name"]?.stringValue == "__ellipsis__" {
      return .object(JSONObject([("class_name", .string("__ellipsis__")), ("config", .object(JSONObject()))]))
    }
    if object["start"] != nil || object["stop"] != nil || object["step"] != nil {
      return .object(JSONObject([("class_name", .string("__slice__")), ("config", .object(object))]))
    }
    return json
  }
}

extension KerasUpgrade {
  /// A function between layers.
  func function(_ layer: KerasLayer) -> UpgradedLayer {
    let made = WrittenLayer("Identity", layer.name, JSONObject([("name", .string(layer.name))]))
    let parts = UpgradedLayer(made)
    guard let node = layer.reader as? FunctionNode, let row = FunctionUpgrade.rows[node.name], let call = layer.calls.first, layer.calls.count == 1 else {
      problem(layer, "this function of TensorFlow is not written for Keras 3")
      return parts
    }
    made.className = row.className
    made.module = row.module
    made.registeredName = row.className
    if row.takesFloatsOnly, layer.inputTypes.contains(where: { !$0.dtype.isFloat }) { problem(layer, "of integers this function can differ in Keras 3") }
    var used = FunctionUpgrade.ignored
    for (index, option) in row.options.enumerated() {
      used.formUnion(option.names)
      let given = call.keywords.first { option.names.contains($0.key) }?.value
        ?? (call.arguments.indices.contains(row.tensors.count + index) ? call.arguments[row.tensors.count + index] : nil)
      switch given {
      case .constant(let value)?: made.config[option.key] = value["config"]?["value"] ?? value
      case nil where option.fallback != nil: made.config[option.key] = option.fallback
      default: problem(layer, "\(option.key) is not a constant")
      }
    }
    for names in row.tensors { used.formUnion(names) }
    for (key, value) in call.keywords where !used.contains(key) && !value.isNull { problem(layer, "the argument \(KilnError.quoted(key)) is not written for Keras 3") }
    for key in ["transpose_a", "transpose_b", "adjoint_a", "adjoint_b", "conjugate"] {
      if call.keywords.first(where: { $0.key == key })?.value.constant?.boolValue == true { problem(layer, "\(key) is not written for Keras 3") }
    }
    return parts
  }

  /// The call of a function with its tensors by position.
  func functionCall(_ call: KerasCall, _ node: FunctionNode) -> KerasCall {
    guard let row = FunctionUpgrade.rows[node.name] else { return call }
    var arguments = row.tensors.enumerated().map { index, names -> KerasTree<KerasReference> in
      call.keywords.first { names.contains($0.key) }?.value ?? (call.arguments.indices.contains(index) ? call.arguments[index] : .constant(.null))
    }
    if row.takesList, call.arguments.count > 1, call.arguments.allSatisfy({ if case .leaf = $0 { true } else { false } }) { arguments = [.list(call.arguments)] }
    if node.name == "get_item" {
      let key = call.keywords.first { $0.key == "slice_spec" || $0.key == "key" }?.value ?? (call.arguments.count > 1 ? call.arguments[1] : .constant(.null))
      if case .constant(let json) = key { arguments.append(.constant(FunctionUpgrade.key(json))) }
    }
    return KerasCall(arguments: arguments, keywords: [])
  }
}
