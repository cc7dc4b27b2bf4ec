import TensorModule

/// Keras `InputLayer`.
struct InputReader: KerasLayerReader {
  /// One length for each axis, the batch first; nil where any length goes. Nil as a whole when the file does not say.
  var shape: [Int?]?
  var dtype: DType

  init(shape: [Int?]?, dtype: DType) {
    self.shape = shape
    self.dtype = dtype
  }

  init(_ config: LayerConfig) {
    shape = config.json("batch_shape").flatMap(InputReader.dims)
    if shape == nil, config.has("batch_shape") {
      config.malformed("batch_shape must be a list of lengths from 0 with at most 8 axes")
    }
    let name = ConfigRewrite.policyName(config.json("dtype")) ?? "float32"
    dtype = DType(name: name) ?? .float32
    if DType(name: name) == nil { config.unsupported("dtype \(KilnError.quoted(name))", nearest: "float32") }
    for key in ["sparse", "ragged"] where config.bool(key, false) {
      config.unsupported("a \(key) input", nearest: "a dense one")
    }
    config.ignore("batch_size", "type_spec")
  }

  /// Lengths from JSON; nil when it is no shape.
  static func dims(_ json: JSON) -> [Int?]? {
    guard let items = json.arrayValue, (1...maximumRank).contains(items.count) else { return nil }
    var dims: [Int?] = []
    for item in items {
      if item.isNull {
        dims.append(nil)
      } else if let length = item.intValue, (0...Int(Int32.max)).contains(length) {
        dims.append(length)
      } else {
        return nil
      }
    }
    return dims
  }

  func call(_ call: LayerCall) throws -> [KerasTensor] { [KerasTensor(try call.input())] }
}
