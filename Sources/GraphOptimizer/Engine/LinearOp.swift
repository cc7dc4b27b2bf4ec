import GraphModule
import TensorModule

/// A product or convolution with weights and an epilogue, for the rules that change both.
package struct LinearOp: Sendable {
  package var op: any OpDefinition

  package init?(_ op: (any OpDefinition)?) {
    guard let op, op is Conv || op is MatMul || op is ConvTranspose else { return nil }
    self.op = op
  }

  package static let names = [Conv.name, ConvTranspose.name, MatMul.name]

  package var epilogue: Epilogue {
    get {
      switch op {
      case let op as Conv: op.epilogue
      case let op as MatMul: op.epilogue
      case let op as ConvTranspose: op.epilogue
      default: .none
      }
    }
    set {
      switch op {
      case var op as Conv:
        op.epilogue = newValue
        self.op = op
      case var op as MatMul:
        op.epilogue = newValue
        self.op = op
      case var op as ConvTranspose:
        op.epilogue = newValue
        self.op = op
      default: break
      }
    }
  }

  /// Whether the result is the plain sum: no activation yet.
  package var isLinear: Bool { epilogue.activation == .identity }

  /// The axis of weights of this rank that counts the result's channels, when each channel has its own weights.
  package func channelAxis(_ rank: Int) -> Int? {
    switch op {
    case is Conv: return rank - 1
    case let op as ConvTranspose: return op.groups == 1 ? rank - 2 : nil
    case let op as MatMul: return rank == 2 ? (op.transposeB ? 0 : 1) : nil
    default: return nil
    }
  }

  /// The operands with a bias and a residual where the epilogue wants them.
  package func operands(_ x: ValueID, _ w: ValueID, bias: ValueID?, residual: ValueID?) -> [ValueID] {
    [x, w] + (bias.map { [$0] } ?? []) + (residual.map { [$0] } ?? [])
  }
}

/// Arithmetic on weights: in Double, each result rounded once.
package enum Weights {
  /// The weights with index i of an axis multiplied by `factors[i]`.
  package static func scaled(_ weights: Tensor, axis: Int, by factors: [Double]) throws -> Tensor {
    let inner = weights.shape[(axis + 1)...].reduce(1, *)
    let length = weights.shape[axis]
    guard factors.count == length else { throw KilnError(.badInput, "\(factors.count) factors for an axis of \(length)") }
    if weights.dtype == .float32, inner == 1, length > 0 { return try scaledRows(weights, by: factors) }
    return try map(weights) { values, place in
      var index = 0
      while index < values.count {
        for channel in 0..<length {
          let factor = factors[channel]
          for _ in 0..<inner {
            place(index, values.at(index) * factor)
            index += 1
          }
        }
      }
    }
  }

  /// Rows of float32 with each column multiplied by its factor.
  private static func scaledRows(_ weights: Tensor, by factors: [Double]) throws -> Tensor {
    try Tensor(dtype: .float32, shape: weights.shape, zeroed: false) { memory in
      factors.withUnsafeBufferPointer { factors in
        for row in stride(from: 0, to: memory.count, by: 4 * factors.count) {
          for column in 0..<factors.count {
            let value = Double(weights.address.loadUnaligned(fromByteOffset: row + 4 * column, as: Float.self)) * factors[column]
            memory.storeBytes(of: Float(value), toByteOffset: row + 4 * column, as: Float.self)
          }
        }
      }
    }
  }

  /// The convolution kernel `[spatial..., in / groups, out]` with input channel c multiplied by `factors[c]`.
  package static func scaledInputs(_ weights: Tensor, groups: Int, by factors: [Double]) throws -> Tensor {
    let rank = weights.shape.count
    let (inner, out) = (weights.shape[rank - 2], weights.shape[rank - 1])
    let perGroup = out / max(groups, 1)
    guard factors.count == inner * groups, perGroup > 0 else { throw KilnError(.badInput, "the factors do not fit the kernel") }
    return try map(weights) { values, place in
      for index in 0..<values.count {
        let (o, i) = (index % out, index / out % inner)
        place(index, values.at(index) * factors[(o / perGroup) * inner + i])
      }
    }
  }

  /// For each output o of the kernel: Σ over taps and inputs of offsets[c] · w[…, c, o].
  package static func weightedSums(_ weights: Tensor, groups: Int, _ offsets: [Double]) throws -> [Double] {
    let rank = weights.shape.count
    let (inner, out) = (weights.shape[rank - 2], weights.shape[rank - 1])
    let perGroup = out / max(groups, 1)
    guard offsets.count == inner * groups, perGroup > 0 else { throw KilnError(.badInput, "the offsets do not fit the kernel") }
    var sums = [Double](repeating: 0, count: out)
    let values = Reader(weights)
    for index in 0..<values.count {
      let (o, i) = (index % out, index / out % inner)
      sums[o] += values.at(index) * offsets[(o / perGroup) * inner + i]
    }
    return sums
  }

  /// Elements of a float tensor as Doubles, without a copy for the 32- and 64-bit ones.
  struct Reader {
    private let tensor: Tensor
    private let widened: [Double]
    let count: Int

    init(_ tensor: Tensor) {
      self.tensor = tensor
      count = tensor.count
      widened = tensor.dtype == .float32 || tensor.dtype == .float64 ? [] : tensor.doubles
    }

    @inline(__always) func at(_ index: Int) -> Double {
      switch tensor.dtype {
      case .float32: Double(tensor.address.loadUnaligned(fromByteOffset: index * 4, as: Float.self))
      case .float64: tensor.address.loadUnaligned(fromByteOffset: index * 8, as: Double.self)
      default: widened[index]
      }
    }
  }

  private static func map(
    _ tensor: Tensor, _ body: (Reader, (Int, Double) -> Void) throws -> Void
  ) throws -> Tensor {
    let reader = Reader(tensor)
    if tensor.dtype == .float32 {
      return try Tensor(dtype: .float32, shape: tensor.shape, zeroed: false) { memory in
        try body(reader) { memory.storeBytes(of: Float($1), toByteOffset: $0 * 4, as: Float.self) }
      }
    }
    var values = [Double](repeating: 0, count: tensor.count)
    try body(reader) { values[$0] = $1 }
    return try Tensor(converting: values, to: tensor.dtype, shape: tensor.shape)
  }
}

/// A constant that has one number for each channel (the last axis) of a value, or one for all.
package enum ChannelConstant {
  /// The numbers, `channels` of them, when the constant broadcasts along the last axis only.
  package static func values(_ tensor: Tensor, channels: Int, rank: Int) -> [Double]? {
    guard tensor.dtype.isFloat, tensor.shape.count <= rank else { return nil }
    if let splat = tensor.splat, tensor.count == 1 { return [Double](repeating: splat, count: channels) }
    guard tensor.count == channels, tensor.shape.last == channels else { return nil }
    return tensor.doubles
  }
}
