import GraphModule
import TensorModule

/// Brings the stored weights of older Kerases to today's order of axes, gates and elements. Nothing is read before use.
enum LegacyWeights {
  /// Rewrites what a layer has stored.
  static func modernise(_ layer: KerasLayer, _ dialect: KerasDialect) {
    let name = ConfigRewrite.currentClassName(layer.className)
    if dialect.generation == .keras1 { keras1(layer, name) }
    guard KerasBackend.hasDirection(name) else { return }
    for slot in ["kernel", "recurrent_kernel"] {
      guard let weight = layer.stored[slot], weight.shape.count > 2 else { continue }
      let spatial = weight.shape.count - 2
      if dialect.possibleBackends.contains(.theano), dialect.possibleBackends.count > 1,
        weight.shape.prefix(spatial).contains(where: { $0 != 1 })
      {
        layer.config.diagnostics.add(
          ImportProblem(
            kind: .unsupported, layer: layer.path, className: layer.className,
            message: "its kernel has another direction on Theano, and the file does not tell its backend: give "
              + dialect.backendChoices, nearest: nil))
      }
      guard dialect.backend == .theano else { continue }
      layer.stored[slot] = rearranged(weight, Array(weight.shape.indices), reversing: spatial)
    }
  }

  private static func keras1(_ layer: KerasLayer, _ name: String) {
    let isFirst = layer.config.json("data_format")?.stringValue == DataFormat.channelsFirst.rawValue
    switch name {
    case "Conv1D":
      // [length, 1, in, out] since 1.1, [out, in, length, 1] in 1.0: the image of width 1 that it is computed as.
      if let weight = layer.stored["kernel"], weight.shape.count == 4, isOldKernel(layer, weight.shape) {
        let shape = [weight.shape[2], weight.shape[1], weight.shape[0]]
        let turned = rearranged(weight, [2, 1, 0, 3])
        layer.stored["kernel"] = StoredWeight(path: weight.path, dtype: weight.dtype, shape: shape) {
          try turned.load().reshaped(shape)
        }
      } else if let weight = layer.stored["kernel"], weight.shape.count == 4, weight.shape[1] == 1 {
        let shape = [weight.shape[0], weight.shape[2], weight.shape[3]]
        layer.stored["kernel"] = StoredWeight(path: weight.path, dtype: weight.dtype, shape: shape) {
          try weight.load().reshaped(shape)
        }
      }
    case "Conv2D", "Conv3D", "SeparableConv2D", "ConvLSTM2D":
      for (slot, weight) in layer.stored where isFirst && weight.shape.count > 3 {
        layer.stored[slot] = rearranged(weight, Array(2..<weight.shape.count) + [1, 0])
      }
    case "Conv2DTranspose":
      // channels first: [out, in, rows, columns]; channels last: [rows, columns, in, out].
      if let weight = layer.stored["kernel"], weight.shape.count == 4 {
        layer.stored["kernel"] = rearranged(weight, isFirst ? [2, 3, 0, 1] : [0, 1, 3, 2])
      }
    case "Highway":
      // W, b, W_carry, b_carry before 1.2.
      if let bias = layer.stored["W_carry"], let carry = layer.stored["b"], bias.shape.count == 1, carry.shape.count == 2 {
        (layer.stored["b"], layer.stored["W_carry"]) = (bias, carry)
      }
    default: break
    }
    if let gates = Keras1Gates.gates(of: name), layer.stored[Keras1Gates.slot("W", gates[0])] != nil {
      for (slot, prefix) in [("kernel", "W"), ("recurrent_kernel", "U"), ("bias", "b")] {
        let parts = gates.compactMap { layer.stored[Keras1Gates.slot(prefix, $0)] }
        if parts.count == gates.count, let joined = joined(parts) { layer.stored[slot] = joined }
      }
    }
  }

  /// Whether a kernel of Convolution1D is of Keras 1.0: of the shapes that the later ones can have it has none.
  private static func isOldKernel(_ layer: KerasLayer, _ shape: Shape) -> Bool {
    let length = layer.config.ints("kernel_size", count: 1)?.first
    let filters = layer.config.json("filters")?.intValue
    let fitsLater = shape[0] == length && shape[1] == 1 && shape[3] == filters
    return !fitsLater && shape[0] == filters && shape[2] == length && shape[3] == 1
  }

  /// The weight with its axes in another order, the first `reversing` of them turned round.
  static func rearranged(_ weight: StoredWeight, _ permutation: [Int], reversing: Int = 0) -> StoredWeight {
    let from = weight.shape
    let shape = permutation.map { from[$0] }
    return StoredWeight(path: weight.path, dtype: weight.dtype, shape: shape) {
      let source = try weight.load()
      let layout = StridedCopy(from: from, permutation, reversing: reversing)
      let tensor = try Tensor(dtype: source.dtype, shape: shape, zeroed: false) { out in layout.run(source.bytes, out, source.dtype.byteCount) }
      source.releaseMapping()
      return tensor
    }
  }

  /// Arrays of equal shape side by side along the last axis; nil when their shapes differ.
  private static func joined(_ parts: [StoredWeight]) -> StoredWeight? {
    guard let first = parts.first, let width = first.shape.last,
      parts.allSatisfy({ $0.shape == first.shape && $0.dtype == first.dtype }),
      let total = checkedProduct([width, parts.count])
    else { return nil }
    let shape = first.shape.dropLast() + [total]
    return StoredWeight(path: first.path, dtype: first.dtype, shape: Array(shape)) {
      let tensors = try parts.map { try $0.load() }
      let row = width * first.dtype.byteCount
      return try Tensor(dtype: first.dtype, shape: Array(shape)) { out in
        for (part, tensor) in tensors.enumerated() where row > 0 {
          for line in 0..<tensor.byteCount / row {
            let target = UnsafeMutableRawBufferPointer(rebasing: out[(line * tensors.count + part) * row..<(line * tensors.count + part + 1) * row])
            target.copyMemory(from: UnsafeRawBufferPointer(rebasing: tensor.bytes[line * row..<(line + 1) * row]))
          }
        }
      }
    }
  }
}

/// The gates of Keras 1's recurrent layers, which keep an array for each with `consume_less` `cpu` and `mem`.
enum Keras1Gates {
  /// In today's order.
  static func gates(of className: String) -> [String]? {
    switch className {
    case "LSTM", "ConvLSTM2D": ["i", "f", "c", "o"]
    case "GRU": ["z", "r", "h"]
    default: nil
    }
  }

  static func slot(_ prefix: String, _ gate: String) -> String { "\(prefix)_\(gate)" }

  /// The arrays in the file's order: gate by gate, the LSTM's as i, c, f, o.
  static func slots(lstm: Bool) -> [WeightSlot] {
    (lstm ? ["i", "c", "f", "o"] : ["z", "r", "h"]).flatMap { gate in
      ["W", "U", "b"].map { WeightSlot(slot($0, gate)) }
    }
  }
}
