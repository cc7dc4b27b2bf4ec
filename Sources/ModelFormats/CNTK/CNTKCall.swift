import GraphModule
import TensorModule

/// One function while it is converted: its operands and attributes, and the means to add to the graph.
final class CNTKCall: NodeBuilding {
  let converter: CNTKConverter
  let function: CNTKFunction
  let name: String
  let inputs: [CNTKValue]

  init(_ converter: CNTKConverter, _ function: CNTKFunction, _ name: String, _ inputs: [CNTKValue]) {
    self.converter = converter
    self.function = function
    self.name = name
    self.inputs = inputs
  }

  var builder: ImportBuilder { converter.builder }
  var op: String { function.op }

  // MARK: Attributes

  func has(_ key: String) -> Bool {
    if case .none? = function.attributes[key] { return false }
    return function.attributes[key] != nil
  }

  private func missing(_ key: String, _ wanted: String) -> KilnError {
    guard let found = function.attributes[key] else { return wrong("attribute '\(key)' is missing") }
    return wrong("attribute '\(key)' must be \(wanted), found \(found.kind)")
  }

  func int(_ key: String, _ fallback: Int? = nil) throws -> Int {
    if !has(key), let fallback { return fallback }
    guard case .int(let value)? = function.attributes[key], value.magnitude < 1 << 48 else { throw missing(key, "an integer") }
    return value
  }

  func bool(_ key: String, _ fallback: Bool? = nil) throws -> Bool {
    if !has(key), let fallback { return fallback }
    guard let value = function.attributes[key].flag else { throw missing(key, "a flag") }
    return value
  }

  func float(_ key: String, _ fallback: Double? = nil) throws -> Double {
    if !has(key), let fallback { return fallback }
    switch function.attributes[key] {
    case .float(let value)?: return value
    case .int(let value)?: return Double(value)
    default: throw missing(key, "a number")
    }
  }

  func text(_ key: String, _ fallback: String? = nil) throws -> String {
    if !has(key), let fallback { return fallback }
    guard let text = function.attributes[key]?.text else { throw missing(key, "a text") }
    return text
  }

  /// A shape in the file's order.
  func shape(_ key: String, _ fallback: [Int]? = nil) throws -> [Int] {
    if !has(key), let fallback { return fallback }
    guard case .shape(let shape)? = function.attributes[key] else { throw missing(key, "a shape") }
    return shape.dims
  }

  func ints(_ key: String) throws -> [Int] {
    guard case .list(let items)? = function.attributes[key] else { throw missing(key, "a list of integers") }
    return try items.map {
      guard let value = $0.int, value.magnitude < 1 << 48 else { throw missing(key, "a list of integers") }
      return value
    }
  }

  func flags(_ key: String, _ fallback: [Bool]? = nil) throws -> [Bool] {
    if !has(key), let fallback { return fallback }
    guard case .list(let items)? = function.attributes[key] else { throw missing(key, "a list of flags") }
    return try items.map {
      guard let value = Optional($0).flag else { throw missing(key, "a list of flags") }
      return value
    }
  }

  func axis(_ key: String) throws -> CNTKAxis {
    guard case .axis(let axis)? = function.attributes[key] else { throw missing(key, "an axis") }
    return axis
  }

  /// One axis, or a list of them.
  func axes(_ key: String, or listKey: String) throws -> [CNTKAxis] {
    if has(key) { return [try axis(key)] }
    guard case .list(let items)? = function.attributes[listKey] else { throw missing(listKey, "a list of axes") }
    return try items.map {
      guard case .axis(let axis) = $0 else { throw missing(listKey, "a list of axes") }
      return axis
    }
  }

  // MARK: Operands

  func value(_ index: Int) throws -> CNTKValue {
    guard inputs.indices.contains(index) else { throw wrong("has \(inputs.count) inputs; input \(index + 1) is missing") }
    return inputs[index]
  }

  func x(_ index: Int) throws -> ValueID { try builder.id(try value(index).value) }

  /// The dynamic axes of an operand.
  func axes(_ index: Int) throws -> CNTKAxes { try value(index).axes }

  /// The axis of the graph's value for an axis of the shape, which the file counts from the fastest.
  func place(_ axis: CNTKAxis, of value: CNTKValue) throws -> Int {
    guard axis.isStatic else { throw unsupported("the axis \(KilnError.quoted(axis.name)) here") }
    let rank = value.shape.count
    let index = axis.index < 0 ? axis.index + rank : axis.index
    guard (0..<rank).contains(index) else { throw wrong("axis \(axis.index) is out of range for \(rank) axes") }
    return value.axes.count + rank - 1 - index
  }

  // MARK: Alignment

  /// Operands with the same dynamic axes and as many axes each, so that they broadcast as CNTK's do; those without dynamic axes stay.
  func aligned(_ indices: [Int]? = nil) throws -> (values: [ValueID], axes: CNTKAxes) {
    let values = try (indices ?? Array(inputs.indices)).map { try value($0) }
    let axes = try common(values)
    let rank = values.map(\.shape.count).max() ?? 0
    return (try values.map { try spread($0, axes, rank: rank) }, axes)
  }

  /// The dynamic axes of values together.
  func common(_ values: [CNTKValue]) throws -> CNTKAxes {
    var axes = CNTKAxes.none
    for value in values {
      axes.hasBatch = axes.hasBatch || value.axes.hasBatch
      guard let sequence = value.axes.sequence else { continue }
      if let other = axes.sequence, other !== sequence {
        throw wrong("brings together the sequence axes \(KilnError.quoted(other.name)) and \(KilnError.quoted(sequence.name))")
      }
      axes.sequence = sequence
    }
    return axes
  }

  /// A value with axes of length 1 where it lacks some of the dynamic axes or of the rank.
  func spread(_ value: CNTKValue, _ axes: CNTKAxes, rank: Int) throws -> ValueID {
    let id = try builder.id(value.value)
    if value.axes.count == 0 { return id }
    var dims: [Dim] = []
    let own = type(id).dims
    if axes.hasBatch { dims.append(value.axes.hasBatch ? own[0] : 1) }
    if axes.sequence != nil { dims.append(value.axes.sequence != nil ? own[value.axes.hasBatch ? 1 : 0] : 1) }
    dims += [Dim](repeating: 1, count: max(0, rank - value.shape.count)) + value.shape
    return try reshape(id, dims)
  }

  /// A value with all of the dynamic axes at their full lengths.
  func full(_ value: CNTKValue, _ axes: CNTKAxes, like other: CNTKValue) throws -> ValueID {
    let id = try spread(value, axes, rank: value.shape.count)
    let wanted = Array(other.value.type.dims.prefix(axes.count)) + value.shape
    return try broadcast(id, wanted)
  }

  // MARK: Results

  func result(_ id: ValueID, _ axes: CNTKAxes, _ index: Int = 0) -> CNTKValue {
    CNTKValue(value: .value(id, builder, name: outputName(index)), axes: axes)
  }

  func outputName(_ index: Int) -> String { index == 0 ? name : "\(name):\(index)" }

  /// Gives values that the function made the names of its results.
  func finished(_ values: [CNTKValue]) -> [CNTKValue] {
    for (index, result) in values.enumerated() {
      guard result.value.builder === builder, let id = result.value.id else { continue }
      let wanted = outputName(index)
      if builder.graph[id].name.hasPrefix("\(name)/"), builder.graph.value(named: wanted) == nil, builder.graph.constants[id] == nil {
        builder.graph.rename(id, to: wanted)
      }
    }
    return values
  }

  /// Numbers 1 and 0 for true and false, in the operands' dtype.
  func numbers(_ truth: ValueID, _ dtype: DType) throws -> ValueID { try cast(truth, dtype) }

  /// The value without elements behind the sequences: those become `filling`.
  func masked(_ value: CNTKValue, _ filling: Double) throws -> ValueID {
    let id = try builder.id(value.value)
    guard let sequence = value.axes.sequence else { return id }
    let mask = try sequence.mask(self)
    let shape = type(mask).dims + value.shape.map { _ in 1 }
    return try select(try reshape(mask, shape), id, try scalar(filling, type(id).dtype))
  }
}
