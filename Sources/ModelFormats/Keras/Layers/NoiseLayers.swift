import GraphModule
import TensorModule

extension LayerCall {
  /// x, in a graph for training with dropout.
  ///
  /// - Parameter shared: the axes along which all elements share a random number.
  func dropout(_ x: ValueID, _ rate: Double, shared: [Int] = []) throws -> ValueID {
    guard builder.isForTraining, rate > 0 else { return x }
    guard rate <= 1 else { throw KilnError(.badInput, "dropout \(rate) is more than 1") }
    return try add(Noise(.dropout, amount: rate, shared: shared, stream: builder.nextNoise()), [x], "dropout")
  }
}

/// Keras `Dropout` and its kin, `GaussianNoise`: nothing when predicting, noise in a graph for training.
struct NoiseLayer: KerasLayerReader {
  let kind: Noise.Kind
  let amount: Double
  /// Keras's `noise_shape`; nil entries are the input's own lengths.
  let shape: [Int?]?
  /// The spatial axes that share a number.
  let spatialRank: Int
  let format: DataFormat

  init(_ config: LayerConfig, _ kind: Noise.Kind, spatialRank: Int = 0) {
    self.kind = kind
    self.spatialRank = spatialRank
    // Keras 1 calls them p and sigma.
    let keys = kind == .gaussianNoise ? ["stddev", "sigma"] : ["rate", "p"]
    amount = config.json(keys[0]) != nil ? config.double(keys[0], 0) : config.double(keys[1], 0)
    shape = kind == .dropout || kind == .alphaDropout ? config.json("noise_shape")?.arrayValue?.map(\.intValue) : nil
    format = spatialRank > 1 ? config.choice("data_format", .channelsLast) : .channelsLast
    config.ignore("rate", "p", "stddev", "sigma", "noise_shape", "data_format", "l1", "l2")
  }

  var masking: MaskRule { .passes }
  var isIdentity: Bool { true }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = try call.input()
    let rank = call.type(x).rank
    guard call.builder.isForTraining, amount > 0 else { return [KerasTensor(x)] }
    var shared: [Int] = []
    if spatialRank > 0 {
      guard rank == spatialRank + 2 else {
        throw KilnError(.badInput, "needs an input of rank \(spatialRank + 2), found \(call.type(x).message)")
      }
      shared = format == .channelsFirst ? Array(2..<rank) : Array(1..<rank - 1)
    } else if let shape {
      guard shape.count == rank else { throw KilnError(.badInput, "noise_shape has \(shape.count) axes, its input \(rank)") }
      shared = shape.indices.filter { shape[$0] == 1 && call.type(x).dims[$0].fixed != 1 }
    }
    let op = Noise(kind, amount: amount, shared: shared, stream: call.builder.nextNoise())
    return [KerasTensor(try call.add(op, [try call.floatInput()], "noise"))]
  }
}
