import TensorModule

/// What is known of a value before it is computed: its dtype and its dims.
package struct TensorType: Hashable, Sendable, CustomStringConvertible {
  package var dtype: DType
  package var dims: [Dim]

  package init(_ dtype: DType, _ dims: [Dim]) {
    self.dtype = dtype
    self.dims = dims
  }

  package init(_ dtype: DType, shape: Shape) { self.init(dtype, shape.map { Dim($0) }) }

  package var rank: Int { dims.count }

  /// The shape, when every dim is a number.
  package var shape: Shape? {
    let fixed = dims.compactMap(\.fixed)
    return fixed.count == dims.count ? fixed : nil
  }

  /// The number of elements as a dim.
  package var elementCount: Dim { dims.reduce(1, *) }

  /// An axis counted from the end when negative, or nil when it is out of range.
  package func axis(_ axis: Int) -> Int? {
    let positive = axis < 0 ? axis + rank : axis
    return dims.indices.contains(positive) ? positive : nil
  }

  package func with(dtype: DType) -> TensorType { TensorType(dtype, dims) }

  package func substituting(_ bindings: [String: Int]) -> TensorType {
    TensorType(dtype, dims.map { $0.substituting(bindings) })
  }

  /// `float32[batch,28,28,1]`: the text form.
  package var description: String { dtype.name + "[" + dims.map(\.description).joined(separator: ",") + "]" }

  /// `float32[?,28,28,1]`: how messages print a type.
  package var message: String {
    dtype.name + "[" + dims.map { $0.fixed.map(String.init) ?? "?" }.joined(separator: ",") + "]"
  }
}
