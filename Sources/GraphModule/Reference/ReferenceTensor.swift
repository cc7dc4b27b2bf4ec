import TensorModule

/// A tensor of the reference backend: floats in Double whatever their dtype (values of the 16-bit dtypes are rounded
/// where a `cast` makes them), integers and bool in Int64.
package struct ReferenceTensor: Sendable {
  package enum Storage: Sendable {
    case floats([Double])
    case integers([Int64])
    case strings([ByteString])
  }

  package var dtype: DType
  package var shape: Shape
  package var storage: Storage

  package init(_ dtype: DType, _ shape: Shape, _ storage: Storage) {
    self.dtype = dtype
    self.shape = shape
    self.storage = storage
  }

  /// Numbers of any dtype: floats are kept, integers truncated and wrapped to the dtype, bool is (x ≠ 0).
  package init(_ dtype: DType, _ shape: Shape, numbers: [Double]) {
    self.init(
      dtype, shape,
      dtype.isFloat
        ? .floats(numbers) : .integers(numbers.map { dtype == .bool ? ($0 != 0 ? 1 : 0) : dtype.clamping($0) }))
  }

  package init(_ tensor: Tensor) {
    dtype = tensor.dtype
    shape = tensor.shape
    storage =
      switch tensor.dtype {
      case .string: .strings(tensor.strings)
      case let dtype where dtype.isFloat: .floats(tensor.doubles)
      default: .integers(tensor.integers)
      }
  }

  /// The tensor, rounded to its dtype.
  package func tensor() throws -> Tensor {
    switch storage {
    case .floats(let values): try Tensor(converting: values, to: dtype, shape: shape)
    case .integers(let values): try Tensor(integers: values, dtype: dtype, shape: shape)
    case .strings(let values): Tensor(strings: values, shape: shape)
    }
  }

  package var count: Int { shape.elementCount }

  /// Every element as a Double; NaN for strings.
  package var numbers: [Double] {
    switch storage {
    case .floats(let values): values
    case .integers(let values): values.map(Double.init)
    case .strings(let values): values.map { _ in .nan }
    }
  }

  /// Every element as an Int64; floats truncated.
  package var integers: [Int64] {
    switch storage {
    case .floats(let values): values.map { DType.int64.clamping($0) }
    case .integers(let values): values
    case .strings(let values): values.map { _ in 0 }
    }
  }

  /// The same elements under another shape.
  package func reshaped(_ shape: Shape) -> ReferenceTensor { ReferenceTensor(dtype, shape, storage) }

  /// A tensor of `shape` whose element at flat index i is this tensor's element `source(i)`; nil takes `fill`.
  package func gathered(_ shape: Shape, fill: Double = 0, _ source: (Int) -> Int?) -> ReferenceTensor {
    let indices = (0..<shape.elementCount).map(source)
    let storage: Storage =
      switch self.storage {
      case .floats(let values): .floats(indices.map { $0.map { values[$0] } ?? fill })
      case .integers(let values): .integers(indices.map { $0.map { values[$0] } ?? DType.int64.clamping(fill) })
      case .strings(let values): .strings(indices.map { $0.map { values[$0] } ?? "" })
      }
    return ReferenceTensor(dtype, shape, storage)
  }

  /// The coordinates of a flat index in `shape`.
  package static func coordinates(_ index: Int, _ shape: Shape) -> [Int] {
    var rest = index
    var out = [Int](repeating: 0, count: shape.count)
    for axis in shape.indices.reversed() {
      out[axis] = rest % max(shape[axis], 1)
      rest /= max(shape[axis], 1)
    }
    return out
  }

  /// The flat index in `from` of the element that broadcasts to flat index `index` of `to`.
  package static func broadcastIndex(_ index: Int, from: Shape, to: Shape) -> Int {
    let at = coordinates(index, to)
    let strides = from.rowMajorStrides
    let offset = to.count - from.count
    return from.indices.reduce(0) { $0 + (from[$1] == 1 ? 0 : at[$1 + offset] * strides[$1]) }
  }

  /// This tensor broadcast to `shape`.
  package func broadcast(to shape: Shape) -> ReferenceTensor {
    if shape == self.shape { return self }
    // An axis of a tensor without elements may be too long to walk along.
    if shape.contains(0) { return arranged(shape, []) }
    let strides = self.shape.rowMajorStrides
    let added = shape.count - self.shape.count
    return arranged(
      shape,
      shape.indices.map { axis in
        (0..<shape[axis]).map { axis < added || self.shape[axis - added] == 1 ? 0 : $0 * strides[axis - added] }
      })
  }
}
