/// The lengths of a tensor's axes, outermost first. An empty shape is a scalar.
public typealias Shape = [Int]

/// The largest rank that Kiln handles.
public let maximumRank = 8

/// The product of sizes that may come from a file, or nil on overflow or when one is negative.
/// Every size computation over untrusted numbers goes through here.
public func checkedProduct(_ factors: some Sequence<Int>) -> Int? {
  var product = 1
  for factor in factors {
    guard factor >= 0 else { return nil }
    let (next, overflow) = product.multipliedReportingOverflow(by: factor)
    if overflow { return nil }
    product = next
  }
  return product
}

extension Array where Element == Int {
  /// The number of elements of a tensor of this shape. The shape must be one that was checked when it was made.
  public var elementCount: Int { reduce(1, *) }

  /// Row-major strides in elements.
  public var rowMajorStrides: [Int] {
    var strides = [Int](repeating: 1, count: count)
    for axis in indices.dropLast().reversed() { strides[axis] = strides[axis + 1] * self[axis + 1] }
    return strides
  }

  /// `[2,3,4]`, the one way in which shapes are printed.
  public var shapeText: String { "[" + map(String.init).joined(separator: ",") + "]" }
}
