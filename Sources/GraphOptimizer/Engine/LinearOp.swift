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
