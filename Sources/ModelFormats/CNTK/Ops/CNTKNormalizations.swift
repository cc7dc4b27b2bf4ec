import GraphModule
import TensorModule

extension CNTKOpCatalog {
  static let normalizations = Family(
    "Normalizations",
    [Row("BatchNormalization") { try [$0.batchNormalised()] }])
}

extension CNTKCall {
  /// Batch normalization with the running statistics.
  func batchNormalised() throws -> CNTKValue {
    guard inputs.count == 6 || inputs.count == 5 else { throw wrong("takes 6 inputs, found \(inputs.count)") }
    let value = try value(0)
    let isSpatial = try bool("spatial")
    let epsilon = try float("epsilon", 0)
    // Running statistics never count for nothing: a blend of 0 takes them alone.
    let rank = value.shape.count
    guard let count = value.shape.reduce(Dim(1), *).fixed ?? (isSpatial ? 0 : nil) else { throw unsupported("normalising \(value.value.type.message)") }
    guard rank >= 1 || !isSpatial else { throw wrong("normalises scalars") }
    let width = isSpatial ? value.shape[0] : Dim(count)
    let statistics = try (1...4).map { index -> ValueID in
      guard try axes(index).count == 0 else { throw unsupported("statistics that the data give") }
      let id = try x(index)
      guard type(id).elementCount == width else { throw wrong("\(type(id).message) does not fit \(width) channels") }
      return try reshape(id, [width])
    }
    let op = BatchNorm(epsilon: epsilon, scale: true, offset: true)
    let id = try x(0)
    let dims = type(id).dims
    // With one value for each channel, channels go last; otherwise all elements are channels.
    if isSpatial, rank > 1 {
      let last = try channelsLast(try flattened(value)) { try add(op, [$0] + statistics, "batch_norm") }
      return try unflattened(last, value)
    }
    let flat = try reshape(id, dims.prefix(value.axes.count) + [width])
    return result(try reshape(try add(op, [flat] + statistics, "batch_norm"), dims), value.axes)
  }
}
