import GraphModule
import TensorModule

extension TFList {
  /// The number of elements, when it follows from constants and shapes.
  var length: Dim? {
    if let items { return Dim(items.count) }
    return info.size.known?.elements.first
  }

  /// The number of elements as a scalar int32.
  func count(_ builder: TFBuilder) throws -> ValueID {
    if let items { return try builder.scalar(Double(items.count), .int32) }
    let id = try builder.id(info.size)
    return builder.graph.type(of: id).dtype == .int32 ? id : try builder.graph.addOne(Cast(.int32), [id], name: "\(info.size.name)/count")
  }

  /// Rows of zeros, as many as the list is long.
  ///
  /// - Parameter room: as many instead.
  static func zeros(_ dtype: DType, _ length: Dim?, _ size: ValueID, _ element: [Dim], _ builder: TFBuilder, _ name: String) throws -> ValueID {
    let zero = dtype == .string ? builder.graph.addConstant("\(name)/empty", Tensor(strings: [""], shape: [])) : try builder.scalar(0, dtype)
    if let length {
      if let fixed = length.fixed, fixed < 0 { throw KilnError(.badInput, "a list has \(fixed) elements") }
      return try builder.graph.addOne(BroadcastTo([length] + element), [zero], name: "\(name)/rows")
    }
    var count = size
    if builder.graph.type(of: count).dtype != .int64 { count = try builder.graph.addOne(Cast(.int64), [count], name: "\(name)/size") }
    count = try builder.graph.addOne(Reshape([1]), [count], name: "\(name)/size")
    let shape = element.isEmpty ? count : try builder.graph.addOne(Concat(axis: 0), [count, try builder.vector(element)], name: "\(name)/shape")
    return try builder.addDynamic(DynamicBroadcastTo([builder.sizes.fresh()] + element), [zero, shape], name: "\(name)/rows", scope: "")[0]
  }

  /// All elements as rows of one tensor; with room beyond the list's size where it grows.
  func buffer(_ builder: TFBuilder, _ name: String) throws -> ValueID {
    if let rows { return try builder.id(rows) }
    func row(_ value: TFValue) throws -> ValueID {
      let id = try builder.id(value)
      return try builder.graph.addOne(Reshape([1] + builder.graph.type(of: id).dims), [id], name: "\(name)/row")
    }
    func joined(_ values: [TFValue]) throws -> ValueID {
      let rows = try values.map(row)
      return rows.count == 1 ? rows[0] : try builder.graph.addOne(Concat(axis: 0), rows, name: "\(name)/rows")
    }
    if let items, !items.isEmpty { return try joined(items) }
    if let size = length?.fixed, size > 0, slots.count == size, size <= DimTensor.maximumCount {
      return try joined((0..<size).compactMap { slots[$0] })
    }
    guard let element = info.element else { throw KilnError(.unsupportedModel, "a list that nothing is written to, of unknown elements, is not supported") }
    let length = items == nil ? length : 0
    var all = try TFList.zeros(info.dtype, length, length == nil ? try count(builder) : try builder.scalar(0, .int64), element, builder, name)
    for (place, value) in slots.sorted(by: { $0.key < $1.key }) {
      all = try builder.graph.addOne(
        SetItem(), [all, try builder.scalar(Double(place), .int64), try builder.id(value)], name: "\(name)/set_item")
    }
    return all
  }

  /// All elements as rows of one tensor, without room.
  func stacked(_ builder: TFBuilder, _ name: String) throws -> ValueID {
    let rows = try buffer(builder, name)
    guard grows else { return rows }
    let dims = builder.graph.type(of: rows).dims
    let end = try builder.graph.addOne(Cast(.int64), [try count(builder)], name: "\(name)/size")
    let length = try builder.graph.addOne(Reshape([1]), [end], name: "\(name)/size")
    let zero = builder.graph.addConstant("\(name)/start", try Tensor(integers: [0], dtype: .int64, shape: [1]))
    return try builder.addDynamic(
      DynamicSlice(axes: [0], dims: [builder.sizes.fresh()] + dims.dropFirst()), [rows, zero, length], name: "\(name)/stack", scope: "")[0]
  }
}
