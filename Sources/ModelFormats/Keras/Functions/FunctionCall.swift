import GraphModule
import TensorModule

/// Which library's names and rules a function node follows.
enum FunctionLibrary {
  /// `TFOpLambda` and `SlicingOpLambda` of tf.keras.
  case tensorFlow
  /// `keras.ops` of Keras 3.
  case keras
}

/// One call of a function: its arguments by position and name, wherever the file keeps them, and what is asked of them.
/// What no meaning asked for is refused by `finish`.
final class FunctionCall {
  typealias Argument = KerasTree<KerasTensor>

  let layer: LayerCall
  let library: FunctionLibrary
  let function: String
  private let positional: [Argument]
  private let named: [(key: String, value: Argument)]
  /// The names of the arguments by position, where positions are more than the file's own.
  private let parameters: [String]
  private var used: Set<String> = ["name"]
  private var usedPositions: Set<Int> = []

  init(
    _ layer: LayerCall, _ library: FunctionLibrary, _ function: String, positional: [Argument],
    named: [(key: String, value: Argument)], parameters: [String] = []
  ) {
    self.parameters = parameters
    self.layer = layer
    self.library = library
    self.function = function
    self.positional = positional
    self.named = named
  }

  var isKeras: Bool { library == .keras }
  /// Whether it stands in a file, not in an expression.
  var isNode: Bool { parameters.isEmpty }

  func wrong(_ message: String) -> KilnError { KilnError(.badInput, "\(function): \(message)") }
  func unsupported(_ message: String) -> KilnError {
    KilnError(.unsupportedModel, "\(function): \(message) is not supported")
  }

  // MARK: Arguments

  /// The argument of the first of these names that is given, or at the position. Nil when absent or null.
  func argument(_ position: Int?, _ names: String...) -> Argument? { argument(position, names) }

  func argument(_ position: Int?, _ names: [String]) -> Argument? {
    used.formUnion(names)
    for name in names {
      if let found = named.first(where: { $0.key == name && !$0.value.isNull })?.value { return found }
    }
    let place = names.lazy.compactMap { name in self.parameters.firstIndex(of: name) }.first ?? position
    guard let position = place else { return nil }
    usedPositions.insert(position)
    guard positional.indices.contains(position), !positional[position].isNull else { return nil }
    return positional[position]
  }

  /// Whether the argument is given as null, rather than left out.
  func isNull(_ name: String) -> Bool { named.contains { $0.key == name && $0.value.isNull } }

  /// Names arguments that change nothing when predicting.
  func ignore(_ names: String...) { used.formUnion(names) }

  /// Throws when an argument was given that nothing asked for.
  func finish() throws {
    for (key, value) in named where !used.contains(key) && !value.isNull {
      // Keras gives operations a dtype policy, which has no meaning for functions.
      if key == "dtype", value.constant?["class_name"] != nil { continue }
      if key == "trainable" { continue }
      throw unsupported("argument \(KilnError.quoted(key))")
    }
    for (position, value) in positional.enumerated() where !usedPositions.contains(position) && !value.isNull {
      throw unsupported("argument \(position + 1)")
    }
  }

  private func constant(_ names: [String]) throws -> JSON? {
    guard let found = argument(nil, names) else { return nil }
    guard let constant = layer.builder.constant(found) else {
      throw unsupported("argument \(KilnError.quoted(names.first ?? "")) that depends on the input")
    }
    return constant.isNull ? nil : constant
  }

  /// A constant by position or name.
  func json(at position: Int, _ names: String...) throws -> JSON? {
    guard let found = argument(position, names) else { return nil }
    guard let constant = layer.builder.constant(found) else {
      throw unsupported("argument \(KilnError.quoted(names.first ?? "")) that depends on the input")
    }
    return constant
  }

  /// The numbers of an argument that is a constant.
  func numbers(_ position: Int?, _ names: String...) throws -> NumberArray? {
    guard let found = argument(position, names) else { return nil }
    guard let constant = layer.builder.constant(found), let array = NumberArray(constant) else {
      throw unsupported("argument \(KilnError.quoted(names.first ?? "")) that is no constant")
    }
    return array
  }

  /// A shape: integers, and lengths that `tf.shape` gave. Nil when absent. −1 stays −1.
  func dims(_ position: Int?, _ names: String...) throws -> [Dim]? {
    guard let found = argument(position, names) else { return nil }
    guard let dims = layer.builder.lengths(found) else {
      throw unsupported("argument \(KilnError.quoted(names.first ?? "")) that depends on the input")
    }
    return dims.dims
  }

  /// The shape of a tensor, or of numbers.
  func shape(_ operand: FunctionOperand) -> [Dim] {
    switch operand {
    case .value(let value): type(value).dims
    case .numbers(let array): array.shape.map { Dim($0) }
    }
  }

  /// A complex argument: its parts. A real one has no imaginary part.
  func complex(_ position: Int?, _ names: String...) throws -> (real: ValueID, imaginary: ValueID?) {
    guard let found = argument(position, names) else { throw wrong("argument \(names.first ?? "") is missing") }
    if case .list(let parts) = found, parts.count == 2 {
      let values = try unified(try parts.map(operand))
      return (try float(values[0]), try float(values[1]))
    }
    if case .leaf(let tensor) = found {
      guard let imaginary = layer.builder.imaginary[tensor.value] else { return (tensor.value, nil) }
      // The value stands for both parts: its own elements are the real one.
      return (try layer.add(Elementwise(.identity), [tensor.value], "real"), imaginary)
    }
    return (try materialised(try operand(found)), nil)
  }

  /// A complex result of two parts: in Keras two tensors, in TensorFlow one value.
  func complexResult(_ real: ValueID, _ imaginary: ValueID) throws -> [ValueID] {
    if isKeras { return [real, imaginary] }
    let value = try layer.add(Elementwise(.identity), [real], "complex")
    layer.builder.imaginary[value] = imaginary
    return [value]
  }

  func json(_ names: String...) throws -> JSON? { try constant(names) }

  func int(_ names: String...) throws -> Int? {
    guard let value = try constant(names) else { return nil }
    guard let number = value.intValue ?? value["config"]?["value"]?.intValue, number.magnitude <= 1 << 31 else {
      throw wrong("\(names.first ?? "") must be an integer, found \(LayerConfig.describe(value))")
    }
    return number
  }

  func double(_ names: String...) throws -> Double? {
    guard let value = try constant(names) else { return nil }
    guard let array = NumberArray(value), array.shape.isEmpty, let number = array.values.first else {
      throw wrong("\(names.first ?? "") must be a number, found \(LayerConfig.describe(value))")
    }
    return number
  }

  func bool(_ names: String...) throws -> Bool? {
    guard let value = try constant(names) else { return nil }
    guard let flag = value.boolValue ?? value.intValue.map({ $0 != 0 }) else {
      throw wrong("\(names.first ?? "") must be true or false, found \(LayerConfig.describe(value))")
    }
    return flag
  }

  func string(_ names: String...) throws -> String? {
    guard let value = try constant(names) else { return nil }
    guard let text = value.stringValue else {
      throw wrong("\(names.first ?? "") must be text, found \(LayerConfig.describe(value))")
    }
    return text
  }

  func ints(_ names: String...) throws -> [Int]? {
    guard let value = try constant(names) else { return nil }
    return try integers(value, names.first ?? "")
  }

  /// An integer, a list of integers, or an array of them.
  func integers(_ value: JSON, _ name: String) throws -> [Int] {
    if let number = value.intValue, number.magnitude <= 1 << 31 { return [number] }
    if let array = NumberArray(value), array.kind == .int64 || array.values.isEmpty, array.shape.count <= 1 {
      let numbers = array.values.compactMap { Int(exactly: $0) }
      if numbers.count == array.values.count, numbers.allSatisfy({ $0.magnitude <= 1 << 31 }) { return numbers }
    }
    throw wrong("\(name) must be integers, found \(LayerConfig.describe(value))")
  }

  func dtype(_ names: String...) throws -> DType? {
    guard let value = try constant(names) else { return nil }
    guard let text = value.stringValue ?? value["config"]?.stringValue ?? ConfigRewrite.policyName(value) else {
      throw wrong("dtype must be a name, found \(LayerConfig.describe(value))")
    }
    let name = text.hasPrefix("<dtype: '") ? String(text.dropFirst(9).prefix { $0 != "'" }) : text
    switch name {
    case "float16", "bfloat16": return .float32
    case "uint16": return .int32
    case "uint32", "int": return name == "int" ? .int32 : .int64
    case "float": return .float32
    default:
      guard let dtype = DType(name: name) else { throw unsupported("dtype \(KilnError.quoted(name))") }
      return dtype
    }
  }

  // MARK: Tensors

  /// A tensor that must be there; numbers become a constant.
  func tensor(_ position: Int?, _ names: String...) throws -> ValueID {
    guard let found = argument(position, names) else {
      throw wrong("argument \(names.first ?? "\((position ?? 0) + 1)") is missing")
    }
    return try materialised(try operand(found))
  }

  /// An operand; nil when absent.
  func optional(_ position: Int?, _ names: String...) throws -> FunctionOperand? {
    try argument(position, names).map(operand)
  }

  func required(_ position: Int?, _ names: String...) throws -> FunctionOperand {
    guard let found = argument(position, names) else {
      throw wrong("argument \(names.first ?? "\((position ?? 0) + 1)") is missing")
    }
    return try operand(found)
  }

  func operand(_ argument: Argument) throws -> FunctionOperand {
    switch argument {
    case .leaf(let tensor):
      guard layer.builder.imaginary[tensor.value] == nil else { throw unsupported("a complex operand") }
      return .value(tensor.value)
    case .constant(let json):
      guard let numbers = NumberArray(json) else {
        throw wrong("an argument must be a tensor or numbers, found \(LayerConfig.describe(json))")
      }
      return .numbers(numbers)
    // A list of tensors where a tensor is taken is their stack; a list around one tensor comes from the file's form.
    case .list(let items):
      if let json = layer.builder.constant(argument), let numbers = NumberArray(json) { return .numbers(numbers) }
      if items.count == 1, case .leaf(let tensor)? = items.first { return .value(tensor.value) }
      if let lengths = layer.builder.lengths(argument) { return .value(try layer.tensor(of: lengths)) }
      let values = try unified(try items.map(operand)).map { try layer.expand($0, axis: 0) }
      guard !values.isEmpty else { throw unsupported("an empty list in the place of a tensor") }
      return .value(try layer.add(Concat(axis: 0), values, "stack"))
    case .dict: throw wrong("an argument must be a tensor, found a dictionary")
    }
  }

  /// The tensors of a list argument, brought to one dtype; constants among them take part.
  func list(_ position: Int?, _ names: String...) throws -> [ValueID] {
    guard let found = argument(position, names) else { throw wrong("argument \(names.first ?? "") is missing") }
    let items: [Argument] =
      switch found {
      case .list(let items): items
      default: [found]
      }
    guard !items.isEmpty else { throw wrong("takes one tensor or more") }
    return try unified(try items.map(operand))
  }

  func materialised(_ operand: FunctionOperand, _ dtype: DType? = nil) throws -> ValueID {
    switch operand {
    case .value(let value): return try dtype.map { try layer.cast(value, to: $0) } ?? value
    case .numbers(let array):
      let dtype = dtype ?? array.ownDType
      let values = dtype.isFloat || dtype == .bool ? array.values : array.values.map { $0.isFinite ? $0.rounded(.towardZero) : 0 }
      if array.shape.isEmpty, let number = values.first { return try layer.scalar(number, dtype) }
      return layer.constant(try Tensor(converting: values, to: dtype, shape: array.shape), "constant")
    }
  }

  /// The dtype that operands are brought to.
  func common(_ operands: [FunctionOperand]) throws -> DType {
    let dtypes = operands.compactMap { operand -> DType? in
      switch operand {
      case .value(let value): layer.type(value).dtype
      case .numbers(let array): array.dtype
      }
    }
    var result = dtypes.first ?? .bool
    if dtypes.contains(.string) {
      guard dtypes.allSatisfy({ $0 == .string }) else { throw wrong("strings and numbers do not mix") }
      return .string
    }
    for dtype in dtypes.dropFirst() {
      // TensorFlow converts constants to the first tensor's dtype; tensors of two dtypes it refuses itself.
      result = Promotion.joined(result, dtype)
    }
    if !isKeras, let first = operands.compactMap(\.value).first { return layer.type(first).dtype }
    for case .numbers(let array) in operands where array.dtype == nil {
      if array.kind == .float32, !result.isFloat { result = .float32 }
      if array.kind == .int64, result == .bool { result = .int32 }
    }
    return result
  }

  /// The operands in one dtype.
  func unified(_ operands: [FunctionOperand]) throws -> [ValueID] {
    let dtype = try common(operands)
    return try operands.map { try materialised($0, dtype) }
  }

  // MARK: Helpers

  func type(_ value: ValueID) -> TensorType { layer.type(value) }

  /// The value as a float: integers become float32.
  func float(_ value: ValueID) throws -> ValueID {
    type(value).dtype.isFloat ? value : try layer.cast(value, to: layer.dtype)
  }

  /// A positive axis.
  func axis(_ axis: Int, of value: ValueID) throws -> Int {
    guard let positive = type(value).axis(axis) else {
      throw wrong("axis \(axis) is out of range for \(type(value).message)")
    }
    return positive
  }

  /// Positive axes in rising order; all when nil.
  func axes(_ axes: [Int]?, of value: ValueID) throws -> [Int] {
    guard let axes else { return Array(type(value).dims.indices) }
    return try Set(axes.map { try axis($0, of: value) }).sorted()
  }

  func reduce(_ kind: Reduce.Kind, _ value: ValueID, _ axes: [Int], _ keepDims: Bool) throws -> ValueID {
    try layer.add(Reduce(kind, axes: axes, keepDims: keepDims), [value], kind.rawValue)
  }

  /// The value with one range of one axis.
  func sliced(_ value: ValueID, axis: Int, _ range: Slice.Range) throws -> ValueID {
    var ranges = [Slice.Range](repeating: .all, count: type(value).rank)
    ranges[axis] = range
    return try layer.add(Slice(ranges), [value], "slice")
  }

  func length(_ value: ValueID, _ axis: Int) throws -> Int { try layer.fixed(value, axis: axis) }

  /// A value without an axis of length 1.
  func dropped(_ value: ValueID, axis: Int) throws -> ValueID {
    var dims = type(value).dims
    dims.remove(at: axis)
    return try layer.reshape(value, dims)
  }

  /// A value moved so that the axis is last, and back.
  func axisLast(_ value: ValueID, _ axis: Int) throws -> ValueID {
    let rank = type(value).rank
    return try layer.transpose(value, (0..<rank).filter { $0 != axis } + [axis])
  }

  /// Puts the last axis at a place.
  func lastTo(_ value: ValueID, _ axis: Int) throws -> ValueID {
    let rank = type(value).rank
    return try layer.transpose(value, (0..<rank).map { $0 < axis ? $0 : $0 == axis ? rank - 1 : $0 - 1 })
  }
}

extension LayerCall {
  /// x ≠ 0 as bool.
  func truth(_ value: ValueID) throws -> ValueID { try cast(value, to: .bool) }
}
