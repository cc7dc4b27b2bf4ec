import GraphModule
import TensorModule

extension CheckVector {
  static let prefix = "kiln.check/"

  /// The description that goes in the metadata; the tensors are stored beside the weights.
  var json: JSON {
    func list(_ tensors: [(name: String, tensor: Tensor)]) -> JSON {
      .array(
        tensors.map { name, tensor in
          .object(
            JSONObject([
              ("name", .string(name)), ("dtype", .string(tensor.dtype.name)),
              ("shape", .array(tensor.shape.map { .int($0) })),
            ]))
        })
    }
    return .object(
      JSONObject([
        ("origin", .string(origin.rawValue)), ("absolute", .double(tolerance.absolute)),
        ("relative", .double(tolerance.relative)), ("inputs", list(inputs)), ("outputs", list(outputs)),
      ]))
  }

  init(_ json: JSON, index: Int, take: (String, TensorType) throws -> Tensor) throws {
    func list(_ key: String, _ kind: String) throws -> [(name: String, tensor: Tensor)] {
      try (json[key]?.arrayValue ?? []).map { item in
        let shape = item["shape"]?.arrayValue?.compactMap(\.intValue)
        guard let name = item["name"]?.stringValue, let dtype = DType(name: item["dtype"]?.stringValue ?? ""), let shape else {
          throw KilnError(.badInput, "check vector \(index) is malformed")
        }
        let tensor = try take("\(CheckVector.prefix)\(index)/\(kind)/\(name)", TensorType(dtype, shape: shape))
        guard tensor.dtype == dtype, tensor.shape == shape else {
          throw KilnError(.badInput, "check vector \(index): \(KilnError.quoted(name)) has another type than declared")
        }
        return (name, tensor)
      }
    }
    guard let origin = Origin(rawValue: json["origin"]?.stringValue ?? ""), let absolute = json["absolute"]?.doubleValue,
      let relative = json["relative"]?.doubleValue
    else { throw KilnError(.badInput, "check vector \(index) is malformed") }
    self.init(
      origin: origin, tolerance: Tolerance(absolute: absolute, relative: relative),
      inputs: try list("inputs", "input"), outputs: try list("outputs", "output"))
  }
}
