import GraphModule
import TensorModule

/// One call of a layer while the graph is built: its arguments, and the means to add nodes, constants and weights.
final class LayerCall {
  let builder: KerasGraphBuilder
  let layer: KerasLayer
  /// The name of the call's result: the layer's path, then `path@2` for the second call.
  let name: String
  let arguments: [KerasTree<KerasTensor>]
  let keywords: [(key: String, value: KerasTree<KerasTensor>)]

  init(
    builder: KerasGraphBuilder, layer: KerasLayer, arguments: [KerasTree<KerasTensor>],
    keywords: [(key: String, value: KerasTree<KerasTensor>)]
  ) {
    self.builder = builder
    self.layer = layer
    self.arguments = arguments
    self.keywords = keywords
    layer.built += 1
    name = layer.built == 1 ? layer.path : "\(layer.path)@\(layer.built)"
  }

  /// The same call with other arguments.
  init(
    around call: LayerCall, arguments: [KerasTree<KerasTensor>], keywords: [(key: String, value: KerasTree<KerasTensor>)]
  ) {
    builder = call.builder
    layer = call.layer
    name = call.name
    self.arguments = arguments
    self.keywords = keywords
  }

  var dialect: KerasDialect { builder.dialect }
  /// What the layer computes in.
  var dtype: DType { layer.dtype }

  // MARK: Arguments

  func keyword(_ key: String) -> KerasTree<KerasTensor>? {
    keywords.first { $0.key == key && !$0.value.isNull }?.value
  }

  /// The tensors of the first argument.
  var tensors: [KerasTensor] { arguments.first?.leaves ?? [] }

  /// The first tensor, floats cast to what the layer computes in.
  func input() throws -> ValueID {
    let tensors = tensors
    guard let first = tensors.first, tensors.count == 1 else {
      throw KilnError(.badInput, "takes one input, found \(tensors.count)")
    }
    return try autocast(first.value)
  }

  /// The tensors of the first argument, floats cast to what the layer computes in.
  func inputs() throws -> [ValueID] { try tensors.map { try autocast($0.value) } }

  /// The first tensor as a float of the compute dtype, whatever it was.
  func floatInput() throws -> ValueID { try cast(try input(), to: dtype) }

  /// The mask of the first tensor: given as an argument, or attached to it.
  var mask: ValueID? {
    if let given = keyword("mask") { return given.leaves.first?.value }
    return tensors.first?.mask
  }

  /// Whether the layer's `mask` is what is attached to its first tensor.
  ///
  /// Keras 3 fills `mask` only in a call with tensors in one argument: with initial states a recurrent layer runs over every
  /// step. The attached mask goes on to the output all the same.
  var handsMask: Bool {
    guard dialect.isKeras3, keyword("mask") == nil else { return true }
    return arguments.dropFirst().allSatisfy(\.leaves.isEmpty) && keywords.allSatisfy(\.value.leaves.isEmpty)
  }

  /// The masks of the first argument's tensors.
  var masks: [ValueID?] {
    if case .list(let given)? = keyword("mask"), given.count == tensors.count {
      return given.map { $0.leaves.first?.value }
    }
    if case .leaf(let given)? = keyword("mask"), tensors.count == 1 { return [given.value] }
    return tensors.map(\.mask)
  }

  // MARK: Building

  func type(_ value: ValueID) -> TensorType { builder.graph.type(of: value) }

  /// Adds a node with one result, named after the layer and `suffix`.
  func add(_ op: any OpDefinition, _ operands: [ValueID], _ suffix: String) throws -> ValueID {
    try builder.graph.addOne(op, operands, name: "\(name)/\(suffix)", scope: layer.path)
  }

  func addAll(_ op: any OpDefinition, _ operands: [ValueID], _ suffix: String) throws -> [ValueID] {
    try builder.graph.add(op, operands, name: "\(name)/\(suffix)", scope: layer.path)
  }

  func unary(_ function: ScalarFunction, _ value: ValueID) throws -> ValueID { try unary(function, [], value) }

  func unary(_ function: ScalarFunction, _ parameters: [Double], _ value: ValueID) throws -> ValueID {
    try add(Elementwise(function, parameters), [value], function.rawValue)
  }

  func binary(_ function: ScalarFunction, _ left: ValueID, _ right: ValueID) throws -> ValueID {
    try add(Elementwise(function), [left, right], function.rawValue)
  }

  func cast(_ value: ValueID, to dtype: DType) throws -> ValueID {
    type(value).dtype == dtype ? value : try add(Cast(dtype), [value], "cast")
  }

  func autocast(_ value: ValueID) throws -> ValueID {
    type(value).dtype.isFloat ? try cast(value, to: dtype) : value
  }

  func reshape(_ value: ValueID, _ dims: [Dim]) throws -> ValueID {
    type(value).dims == dims ? value : try add(Reshape(dims), [value], "reshape")
  }

  func transpose(_ value: ValueID, _ permutation: [Int]) throws -> ValueID {
    permutation == Array(permutation.indices) ? value : try add(Transpose(permutation), [value], "transpose")
  }

  /// The value with an axis of length 1 put in before `axis`.
  func expand(_ value: ValueID, axis: Int) throws -> ValueID {
    var dims = type(value).dims
    dims.insert(1, at: min(max(axis < 0 ? axis + dims.count + 1 : axis, 0), dims.count))
    return try reshape(value, dims)
  }

  func constant(_ tensor: Tensor, _ suffix: String) -> ValueID {
    builder.graph.addConstant("\(name)/\(suffix)", tensor)
  }

  /// A scalar constant, shared over the graph.
  func scalar(_ value: Double, _ dtype: DType) throws -> ValueID { try builder.scalar(value, dtype) }

  /// The value channels-last.
  func channelsLast(_ value: ValueID, _ format: DataFormat) throws -> ValueID {
    let rank = type(value).rank
    guard format == .channelsFirst, rank > 2 else { return value }
    return try transpose(value, [0] + Array(2..<rank) + [1])
  }

  /// A channels-last value in the layer's own format.
  func back(_ value: ValueID, _ format: DataFormat) throws -> ValueID {
    let rank = type(value).rank
    guard format == .channelsFirst, rank > 2 else { return value }
    return try transpose(value, [0, rank - 1] + Array(1..<rank - 1))
  }

  // MARK: Weights

  /// A weight of the layer as a constant of the compute dtype.
  ///
  /// - Throws: `KilnError` (`badInput`) when its shape in the file is another.
  func weight(_ slot: String, _ shape: Shape, transform: ((Tensor) throws -> Tensor)? = nil) throws -> ValueID {
    if let made = layer.constants[slot] { return made }
    var tensor = try weightTensor(slot, shape)
    if let transform { tensor = try transform(tensor) }
    let id = builder.graph.addConstant("\(layer.path)/\(slot)", tensor)
    layer.constants[slot] = id
    return id
  }

  /// The weight's tensor in the compute dtype.
  func weightTensor(_ slot: String, _ shape: Shape) throws -> Tensor {
    guard let stored = layer.stored[slot] else {
      throw KilnError(.badInput, "weight \(KilnError.quoted(slot)) is missing")
    }
    guard stored.shape == shape else {
      throw KilnError(
        .badInput,
        "weight \(KilnError.quoted(slot)) must be \(shape.shapeText), found \(stored.shape.shapeText) in \(KilnError.quoted(stored.path))"
      )
    }
    return try stored.load().converted(to: dtype)
  }

  /// A fixed dim of a value, for weight shapes.
  ///
  /// - Throws: `KilnError` (`badInput`) when the dim is not known.
  func fixed(_ value: ValueID, axis: Int) throws -> Int {
    let type = type(value)
    guard let positive = type.axis(axis) else {
      throw KilnError(.badInput, "axis \(axis) is out of range for its input \(type.message)")
    }
    guard let length = type.dims[positive].fixed else {
      throw KilnError(.badInput, "axis \(axis) of its input \(type.message) must be known", hint: "--input-shape NAME=2,… gives an input's lengths")
    }
    return length
  }
}
