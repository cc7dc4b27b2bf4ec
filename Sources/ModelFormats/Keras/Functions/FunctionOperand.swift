import GraphModule
import TensorModule

/// An argument of a function that takes tensors: a value of the graph, or numbers from the configuration.
enum FunctionOperand {
  case value(ValueID)
  case numbers(NumberArray)

  var value: ValueID? { if case .value(let value) = self { value } else { nil } }
}

/// Numbers as a configuration holds them: a Python number, nested lists, or a `__numpy__` array.
struct NumberArray {
  var values: [Double]
  var shape: Shape
  /// Given by an array; nil for Python numbers, which take the dtype of the tensors that they meet.
  var dtype: DType?
  /// What a Python number is: bool, int64 or float32.
  var kind: DType

  /// How many elements a constant may have.
  static let maximumCount = 1 << 24

  /// The dtype among values without one.
  var ownDType: DType { dtype ?? (kind == .int64 ? .int32 : kind) }

  /// Nil when the value is no number and no regular nested list of numbers.
  init?(_ json: JSON) {
    if let inner = json["config"]?["value"] ?? json["value"] {
      guard var array = NumberArray(inner) else { return nil }
      let name = json["config"]?["dtype"]?.stringValue ?? json["dtype"]?.stringValue
      array.dtype = name.flatMap { DType(name: $0) } ?? (array.kind == .int64 ? .int64 : array.kind)
      self = array
      return
    }
    shape = []
    var level = [json]
    while let first = level.first, let width = first.arrayValue?.count {
      guard shape.count < maximumRank, level.allSatisfy({ $0.arrayValue?.count == width }),
        let total = checkedProduct([level.count, width]), total <= NumberArray.maximumCount
      else { return nil }
      shape.append(width)
      level = level.flatMap { $0.arrayValue ?? [] }
    }
    values = []
    values.reserveCapacity(level.count)
    kind = .bool
    for item in level {
      if let flag = item.boolValue {
        values.append(flag ? 1 : 0)
      } else if case .int(let number) = item {
        values.append(Double(number))
        if kind == .bool { kind = .int64 }
      } else if let number = item.doubleValue {
        values.append(number)
        kind = .float32
      } else if let number = ["inf": Double.infinity, "-inf": -Double.infinity, "nan": Double.nan][
        item.stringValue?.lowercased() ?? ""]
      {
        values.append(number)
        kind = .float32
      } else {
        return nil
      }
    }
    guard checkedProduct(shape) == values.count else { return nil }
    if values.isEmpty { kind = .float32 }
    dtype = nil
  }
}

/// How Keras 3 and TensorFlow find the dtype of a function of several operands.
enum Promotion {
  /// The dtype that holds both, by Keras 3's rules.
  static func joined(_ a: DType, _ b: DType) -> DType {
    if a == b { return a }
    if a == .bool { return b }
    if b == .bool { return a }
    if a.isFloat != b.isFloat { return a.isFloat ? a : b }
    if a.isFloat {
      if a == .float64 || b == .float64 { return .float64 }
      return .float32
    }
    if a == .uint8 || b == .uint8 {
      let other = a == .uint8 ? b : a
      return other == .int8 ? .int16 : other
    }
    let order: [DType] = [.int8, .int16, .int32, .int64]
    return order[max(order.firstIndex(of: a) ?? 0, order.firstIndex(of: b) ?? 0)]
  }
}
