import TensorModule

extension ReferenceTensor {
  /// The elements in another arrangement: the element at coordinates (i, j, …) of `shape` is this tensor's element
  /// `offsets[0][i] + offsets[1][j] + …`, or `fill` (0, false or an empty string) where one of them is negative.
  package func arranged(_ shape: Shape, _ offsets: [[Int]], fill: Double = 0) -> ReferenceTensor {
    if shape.contains(0) { return ReferenceTensor(dtype, shape, dtype == .string ? .strings([]) : dtype.isFloat ? .floats([]) : .integers([])) }
    var sources = [0]
    for axis in offsets {
      var next: [Int] = []
      next.reserveCapacity(sources.count * axis.count)
      for base in sources { for offset in axis { next.append(base < 0 || offset < 0 ? -1 : base + offset) } }
      sources = next
    }
    func pick<Element>(_ values: [Element], _ fill: Element) -> [Element] { sources.map { $0 < 0 ? fill : values[$0] } }
    let storage: Storage =
      switch self.storage {
      case .floats(let values): .floats(pick(values, fill))
      case .integers(let values): .integers(pick(values, DType.int64.clamping(fill)))
      case .strings(let values): .strings(pick(values, ""))
      }
    return ReferenceTensor(dtype, shape, storage)
  }

  /// Integers, wrapped to the width of their dtype.
  package static func wrapping(_ values: [Int64], _ dtype: DType, _ shape: Shape) throws -> ReferenceTensor {
    ReferenceTensor(try Tensor(integers: values, dtype: dtype, shape: shape))
  }

  /// The elements that `sources` lists, under `shape`.
  package func picked(_ shape: Shape, _ sources: [Int]) -> ReferenceTensor {
    let storage: Storage =
      switch self.storage {
      case .floats(let values): .floats(sources.map { values[$0] })
      case .integers(let values): .integers(sources.map { values[$0] })
      case .strings(let values): .strings(sources.map { values[$0] })
      }
    return ReferenceTensor(dtype, shape, storage)
  }
}
