import TensorModule

/// Where training puts noise on a value; predicting leaves it as it is.
///
/// Graphs for training have these in the place of Keras's dropout and noise layers. A trainer replaces them by `random` and
/// arithmetic; anything else sees an identity.
package struct Noise: OpDefinition {
  package static let name = "noise"
  package static let summary =
    "x as it is; training drops or disturbs its elements: dropout with rate `amount`, or Gaussian noise; one number for all of the axes `shared`"

  package enum Kind: String, Sendable, CaseIterable {
    /// Zeros in the place of a share `amount` of the elements, the others times 1 / (1 − amount).
    case dropout
    /// Times normal numbers of mean 1 and deviation √(amount / (1 − amount)).
    case gaussianDropout = "gaussian_dropout"
    /// Plus normal numbers of deviation `amount`.
    case gaussianNoise = "gaussian_noise"
    /// Keras's `AlphaDropout`, which keeps mean and variance of what SELU gives.
    case alphaDropout = "alpha_dropout"
  }

  package var kind: Kind
  package var amount: Double
  /// The axes along which all elements share a random number.
  package var shared: [Int]
  /// Tells the model's noises apart.
  package var stream: Int

  package init(_ kind: Kind, amount: Double, shared: [Int] = [], stream: Int) {
    self.kind = kind
    self.amount = amount
    self.shared = shared
    self.stream = stream
  }

  package var attributes: Attributes {
    [("kind", .word(kind.rawValue)), ("amount", .float(amount)), ("shared", .ints(shared)), ("stream", .int(stream))]
  }

  package init(from reader: inout AttributeReader) throws {
    kind = try reader.choice("kind")
    amount = try reader.float("amount")
    shared = try reader.ints("shared")
    stream = try reader.int("stream")
  }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    try Expect.float(inputs[0], Self.name, "the operand")
    try Axes.check(shared, of: inputs[0], Self.name)
    let limit = kind == .gaussianNoise ? Double.greatestFiniteMagnitude : 1
    try Expect.that(amount >= 0 && (amount < limit || limit > 1 && amount <= limit || kind == .dropout && amount == 1), Self.name, "the amount \(amount) is out of range")
    return inputs
  }

  package func reference(_ inputs: [ReferenceTensor], _ outputs: [TensorType]) throws -> [ReferenceTensor] { inputs }

  package func flops(_ inputs: [TensorType], _ outputs: [TensorType]) -> Int { 0 }

  package static var examples: [OpExample] {
    Kind.allCases.map { OpExample(Noise($0, amount: 0.25, stream: 1), [TensorType(.float32, [3, 17])]) } + [
      OpExample(Noise(.dropout, amount: 0.5, shared: [1], stream: 0), [TensorType(.float32, [2, 5, 3])]),
      OpExample(Noise(.dropout, amount: 0.5, stream: 0), [TensorType(.float32, [0, 3])]),
      OpExample(Noise(.gaussianNoise, amount: 2, stream: 0), [TensorType(.float64, [1])]),
    ]
  }
}
