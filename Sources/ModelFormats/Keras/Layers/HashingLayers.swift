import GraphModule
import TensorModule

/// Keras `Hashing`: strings or integers (as decimal text) hashed into bins.
struct HashingLayer: KerasLayerReader {
  let bins: Int
  let key: [Int]
  let mode: CategoryMode
  /// The value that bin 0 is kept for.
  let mask: JSON?
  private let declared: DType?

  init(_ config: LayerConfig) {
    bins = config.int("num_bins")
    mode = .read(config, .int, among: [.int, .oneHot, .multiHot, .count])
    mask = config.json("mask_value")
    declared = config.declaredDtype
    key = HashingLayer.salt(config)
    // tf.keras before 2.5 writes the default salt that a new layer does not use, and a loaded one does.
    if config.dialect.generation == .keras2, config.dialect.isBefore(2, 5), key == [HashCross.defaultSeed, HashCross.defaultSeed] {
      config.diagnostics.warn(
        config.path, "values are hashed with the salt in the file, as tf.keras 2.4 does after loading; it did not while the model was made if none was given")
    }
  }

  /// `salt`: two integers, or one for both; empty without one.
  static func salt(_ config: LayerConfig) -> [Int] {
    guard let value = config.json("salt") else { return [] }
    if let number = value.intValue { return [number, number] }
    let numbers = ((value["items"] ?? value).arrayValue ?? []).compactMap(\.intValue)
    guard numbers.count == 2 else {
      config.malformed("salt must be one or two integers, found \(LayerConfig.describe(value))")
      return []
    }
    return numbers
  }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    guard call.tensors.count == 1, var x = call.tensors.first?.value else {
      throw KilnError(.unsupportedModel, "hashing several inputs together is not supported", hint: "HashedCrossing")
    }
    if call.type(x).dtype.isFloat {
      guard call.dialect.isKeras3 else { throw KilnError(.badInput, "hashes strings or integers, found \(call.type(x).message)") }
      x = try call.cast(x, to: .int64)
    }
    // Bin 0 is kept for the masked value.
    let hasMask = mask != nil && bins > 1
    let text = call.type(x).dtype == .string ? x : try call.add(AsString(), [x], "text")
    var places = try call.add(StringToHashBucket(buckets: hasMask ? bins - 1 : bins, key: key), [text], "bins")
    if hasMask, let mask {
      let one = call.constant(try Tensor(integers: [1], dtype: .int64, shape: []), "one")
      let zero = call.constant(try Tensor(integers: [0], dtype: .int64, shape: []), "zero")
      let isMask = try call.binary(.equal, x, call.constant(try maskTensor(mask, call.type(x).dtype), "mask_value"))
      places = try call.add(Elementwise(.select), [isMask, zero, try call.binary(.add, places, one)], "masked")
    }
    let int = declared.map { $0.isInteger ? $0 : .int64 } ?? .int64
    return [KerasTensor(try mode.encode(call, places, depth: bins, dtype: mode == .int ? int : call.dtype))]
  }

  private func maskTensor(_ value: JSON, _ dtype: DType) throws -> Tensor {
    if dtype == .string, let text = value.stringValue { return Tensor(strings: [text], shape: []) }
    if dtype != .string, let number = value.doubleValue { return try Tensor(converting: [number], to: dtype, shape: []) }
    throw KilnError(.badInput, "mask_value \(LayerConfig.describe(value)) cannot be a \(dtype.name)")
  }
}

/// Keras `HashedCrossing`: features hashed together, one value a sample.
struct HashedCrossingLayer: KerasLayerReader {
  let bins: Int
  let mode: CategoryMode
  private let declared: DType?

  init(_ config: LayerConfig) {
    bins = config.int("num_bins")
    mode = .read(config, .int, among: [.int, .oneHot])
    declared = config.declaredDtype
  }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let inputs = call.arguments.flatMap(\.leaves).map(\.value)
    guard inputs.count >= 2 else { throw KilnError(.badInput, "crosses two inputs or more, found \(inputs.count)") }
    for input in inputs {
      let dims = call.type(input).dims
      guard dims.count <= 1 || dims.count == 2 && dims[1] == 1 else {
        throw KilnError(.badInput, "crosses inputs of one value a sample, found \(call.type(input).message)")
      }
    }
    let crossed = try call.add(HashCross(buckets: bins), inputs, "bins")
    let int = declared.map { $0.isInteger ? $0 : .int64 } ?? .int64
    return [KerasTensor(try mode.encode(call, crossed, depth: bins, dtype: mode == .int ? int : declared ?? call.dtype))]
  }
}
