import GraphModule
import TensorModule

/// Arithmetic on known integers that may be expressions over symbols.
protocol DimArithmetic {}

extension DimArithmetic {
  /// floor(a / b) for a positive number b, or where the division is exact.
  static func quotient(_ a: Dim, _ b: Dim) -> Dim? {
    if let y = b.fixed {
      guard y != 0 else { return nil }
      if y > 0 { return a.floorDivided(by: y) }
      guard let x = a.fixed else { return nil }
      return Dim(Int((Double(x) / Double(y)).rounded(.down)))
    }
    return a == b ? 1 : a.exactlyDivided(by: b)
  }

  /// Whether every term is positive: such an expression over lengths is not negative.
  static func isLength(_ dim: Dim) -> Bool { dim.constant >= 0 && dim.terms.allSatisfy { $0.coefficient > 0 } }

  static func extreme(_ a: Dim, _ b: Dim, larger: Bool) -> Dim? {
    let difference = a - b
    if let fixed = difference.fixed { return (fixed >= 0) == larger ? a : b }
    if isLength(difference) { return larger ? a : b }
    if isLength(b - a) { return larger ? b : a }
    return nil
  }

  static func compare(_ x: [DimTensor], _ holds: (Int) -> Bool) throws -> [DimTensor]? {
    guard let results = try binary(x, { a, b in (a - b).fixed.map { Dim(holds($0) ? 1 : 0) } }) else { return nil }
    return results.map { DimTensor(.bool, $0.shape, $0.elements) }
  }

  static func binary(_ x: [DimTensor], _ function: (Dim, Dim) -> Dim?) throws -> [DimTensor]? {
    guard x.count == 2 else { return nil }
    let shape: Shape
    if x[0].shape == x[1].shape { shape = x[0].shape } else if x[0].elements.count == 1, x[0].shape.count <= x[1].shape.count {
      shape = x[1].shape
    } else if x[1].elements.count == 1, x[1].shape.count <= x[0].shape.count {
      shape = x[0].shape
    } else {
      return nil
    }
    guard let count = checkedProduct(shape) else { return nil }
    var elements: [Dim] = []
    for index in 0..<count {
      let (left, right) = (x[0].elements, x[1].elements)
      guard let value = function(left.count == 1 ? left[0] : left[index], right.count == 1 ? right[0] : right[index]) else { return nil }
      elements.append(value)
    }
    return [DimTensor(x[0].dtype, shape, elements)]
  }
}
