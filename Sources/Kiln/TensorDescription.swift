import GraphModule
@_exported import TensorModule

/// An input or output of a model: its name and its type before the shapes are known.
public struct TensorDescription: Sendable, Hashable {
  public let name: String
  public let dtype: DType
  /// The length of each axis; nil where the caller decides (the batch, a sequence).
  public let dims: [Int?]
  /// `[batch,28,28,1]`: the dims with the names of the free ones.
  public let shapeText: String

  init(_ name: String, _ type: TensorType) {
    self.name = name
    dtype = type.dtype
    dims = type.dims.map(\.fixed)
    shapeText = "[" + type.dims.map(\.description).joined(separator: ",") + "]"
  }

  /// `float32[?,28,28,1]`, as messages print it.
  public var typeText: String { dtype.name + "[" + dims.map { $0.map(String.init) ?? "?" }.joined(separator: ",") + "]" }
}
