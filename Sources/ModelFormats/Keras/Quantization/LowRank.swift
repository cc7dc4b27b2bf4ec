import GraphModule
import TensorModule

/// LoRA: a product of two thin matrices beside a frozen kernel. `.keras` and `.weights.h5` hold their sum; whole-model
/// `.h5` files hold all three.
struct LowRank {
  let rank: Int
  let alpha: Double

  /// Nil when the layer has none.
  init?(_ config: LayerConfig) {
    guard config.json("lora_rank") != nil else { return nil }
    rank = config.int("lora_rank")
    alpha = config.double("lora_alpha", Double(rank))
  }

  /// Keras's `weights` of the layer: the kernel is no longer trained.
  func weights(beside own: [WeightSlot], of kernel: String) -> [WeightSlot] {
    own.map { $0.name == kernel ? WeightSlot(kernel, trainable: false) : $0 } + ["a", "b"].map { WeightSlot("lora_\(kernel)_\($0)") }
  }
}

extension LayerCall {
  /// A kernel with what LoRA adds: kernel + alpha / rank · a · b.
  func mergedWeight(_ slot: String, _ shape: Shape, _ lora: LowRank?) throws -> ValueID {
    guard let lora, layer.stored["lora_\(slot)_a"] != nil, let columns = shape.last else { return try weight(slot, shape) }
    let rank = lora.rank
    let a = try weightTensor("lora_\(slot)_a", shape.dropLast() + [rank]).doubles
    let b = try weightTensor("lora_\(slot)_b", [rank, columns]).doubles
    let factor = lora.alpha / Double(rank)
    return try weight(slot, shape) { kernel in
      var values = kernel.doubles
      for row in 0..<(values.count / max(columns, 1)) {
        for column in 0..<columns {
          var sum = 0.0
          for inner in 0..<rank { sum += a[row * rank + inner] * b[inner * columns + column] }
          values[row * columns + column] += factor * sum
        }
      }
      return try Tensor(converting: values, to: kernel.dtype, shape: kernel.shape)
    }
  }
}
