import GraphModule
import TensorModule

/// The layer classes that `keras.applications` defines for its own models. They are not public, so somebody else's class
/// may have the same name: a class is read only where its configuration holds exactly the keys of Keras's own.
enum ApplicationLayers {
  static func reader(_ className: String, module: String?, _ values: JSONObject, _ config: LayerConfig) -> (any KerasLayerReader)? {
    if let module, !module.hasPrefix("keras."), !module.hasPrefix("tf_keras.") { return nil }
    let own = Set(values.entries.map(\.key)).subtracting(["name", "trainable", "dtype", "batch_input_shape", "build_config"])
    switch className.split(separator: ">").last.map(String.init) {
    case "LayerScale" where own == ["init_values", "projection_dim"]: return LayerScale(config)
    case "CustomScaleLayer" where own == ["scale"]: return CustomScaleLayer(config)
    case "StochasticDepth" where own == ["drop_path_rate"]:
      config.ignore("drop_path_rate")
      return IdentityLayer(config, masking: .drops)
    default: return nil
    }
  }
}

/// ConvNeXt's `LayerScale`: one learnt factor a channel.
struct LayerScale: KerasLayerReader {
  let channels: Int

  init(_ config: LayerConfig) {
    channels = config.int("projection_dim")
    config.ignore("init_values")
  }

  var weights: [WeightSlot] { [WeightSlot("gamma")] }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    [KerasTensor(try call.binary(.mul, try call.floatInput(), try call.weight("gamma", [channels])))]
  }
}

/// InceptionResNetV2's `CustomScaleLayer`: `inputs[0] + scale * inputs[1]`.
struct CustomScaleLayer: KerasLayerReader {
  let scale: Double

  init(_ config: LayerConfig) { scale = config.double("scale", 1) }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let inputs = try call.inputs()
    guard inputs.count == 2 else { throw KilnError(.badInput, "takes 2 inputs, found \(inputs.count)") }
    return [KerasTensor(try call.binary(.add, inputs[0], try call.unary(.affine, [scale, 0], inputs[1])))]
  }
}
