import GraphModule
import TensorModule

extension CNTKOpCatalog {
  static let losses = Family(
    "Criteria",
    [
      Row("SquaredError") { call in
        let (values, axes) = try call.aligned()
        guard values.count == 2 else { throw call.wrong("takes 2 inputs, found \(values.count)") }
        let squares = try call.binary(.squaredDifference, values[0], values[1])
        return [call.result(try call.totalled(squares, axes), axes)]
      },
    ])
}

extension CNTKCall {
  /// The sum of a sample's elements, as [1].
  func totalled(_ id: ValueID, _ axes: CNTKAxes) throws -> ValueID {
    let dims = type(id).dims
    let sum = try reduce(.sum, id, Array(axes.count..<dims.count))
    return try reshape(sum, dims.prefix(axes.count) + [1])
  }
}
