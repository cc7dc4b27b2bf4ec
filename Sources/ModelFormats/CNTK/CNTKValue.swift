import GraphModule
import TensorModule

/// A sequence axis: sequences of a batch side by side, padded behind to the longest.
final class CNTKSequence {
  let name: String
  /// The length of the padded axis.
  let time: Dim
  /// The lengths of the sequences, int32 [batch].
  let lengths: ImportedValue
  /// Whether the lengths come from data, so that the longest may be shorter than the axis.
  let isDerived: Bool
  private var mask: ImportedValue?
  private var places: ImportedValue?

  init(_ name: String, time: Dim, lengths: ImportedValue, isDerived: Bool = false) {
    self.name = name
    self.time = time
    self.lengths = lengths
    self.isDerived = isDerived
  }

  /// 0, 1, 2, … as int32 [1, time].
  func places(_ call: some NodeBuilding) throws -> ValueID {
    if let places, places.builder === call.builder { return try call.builder.id(places) }
    let one = try call.numbers([1], [1, 1], .int32, "one")
    let ones = try call.broadcast(one, [1, time])
    let id = try call.add(Cumulative(.sum, axis: 1, exclusive: true), [ones], "places")
    places = .value(id, call.builder, name: call.builder.graph[id].name)
    return id
  }

  /// Which places are within their sequence, bool [batch, time].
  func mask(_ call: some NodeBuilding) throws -> ValueID {
    if let mask, mask.builder === call.builder { return try call.builder.id(mask) }
    let lengths = try call.expand(try call.builder.id(lengths), 1)
    let id = try call.binary(.less, try places(call), lengths)
    mask = .value(id, call.builder, name: call.builder.graph[id].name)
    return id
  }
}

/// The dynamic axes that a value begins with.
struct CNTKAxes {
  var hasBatch: Bool
  var sequence: CNTKSequence?

  static var none: CNTKAxes { CNTKAxes(hasBatch: false) }
  static var batch: CNTKAxes { CNTKAxes(hasBatch: true) }

  init(hasBatch: Bool, sequence: CNTKSequence? = nil) {
    self.hasBatch = hasBatch
    self.sequence = sequence
  }

  var count: Int { (hasBatch ? 1 : 0) + (sequence == nil ? 0 : 1) }
}

/// What a variable is while a model is converted: dims [batch, time, then the shape in NumPy's order].
struct CNTKValue {
  var value: ImportedValue
  var axes: CNTKAxes

  /// The dims of the shape.
  var shape: [Dim] { Array(value.type.dims.dropFirst(axes.count)) }
}
