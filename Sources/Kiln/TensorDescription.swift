import GraphModule
@_exported import TensorModule

/// An input or output of a model: its name and its type before the shapes are known.
public struct TensorDescription: Sendable, Hashable {
  public let name: String
  /// The name in the source framework, when that differs: a TensorFlow placeholder behind a signature's key.
  public let alias: String?
  public let dtype: DType
  /// The length of each axis; nil where the caller decides (the batch, a sequence).
  public let dims: [Int?]
  /// What the first axis counts: the name of its free length, the same for all inputs and outputs that must be equally long.
  public let counted: String?
  /// `[batch,28,28,1]`: the dims with the names of the free ones.
  public let shapeText: String

  /// The input whose sequences' lengths it takes, of models that know lengths; left out, all are as long as that input's second axis.
  public let lengthsOf: String?

  /// The name of the input that takes the lengths of this one's sequences; the model may do without it.
  public let lengthsInput: String?

  /// Whether its texts are serialized `tf.train.Example` messages, which the model parses.
  public let holdsExamples: Bool

  /// - Parameter isBatched: the first axis counts samples although its length is known.
  init(_ name: String, _ type: TensorType, alias: String? = nil, isBatched: Bool = false, holdsExamples: Bool = false, lengthsOf: String? = nil, lengthsInput: String? = nil) {
    self.name = name
    self.lengthsOf = lengthsOf
    self.lengthsInput = lengthsInput
    self.alias = alias
    self.holdsExamples = holdsExamples
    dtype = type.dtype
    dims = type.dims.enumerated().map { $0 == 0 && isBatched ? nil : $1.fixed }
    counted = type.dims.first.flatMap { isBatched ? "batch" : $0.plainSymbol }
    shapeText = "[" + type.dims.map(\.description).joined(separator: ",") + "]"
  }

  /// Where a graph's metadata has the alias of an input.
  static func aliasKey(_ name: String) -> String { "alias of \(name)" }

  /// Where a graph's metadata has the input with the lengths of an input's sequences.
  static func lengthsKey(_ name: String) -> String { "lengths of \(name)" }

  /// The names that mean this one; TensorFlow's may have its output's number.
  public var names: [String] { [name, alias].compactMap { $0 }.flatMap { [$0, $0 + ":0"] } }

  /// Whether a caller's name means this one.
  public func isCalled(_ name: String) -> Bool { names.contains(name) }

  /// `float32[?,28,28,1]`, as messages print it.
  public var typeText: String { dtype.name + "[" + dims.map { $0.map(String.init) ?? "?" }.joined(separator: ",") + "]" }
}
