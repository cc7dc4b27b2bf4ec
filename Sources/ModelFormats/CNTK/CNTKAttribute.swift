import TensorModule

/// A value in one of CNTK's dictionaries.
indirect enum CNTKAttribute: Sendable {
  case none
  case bool(Bool)
  /// Integers of both kinds; numbers that are really negative come as such.
  case int(Int)
  case float(Double)
  case text(String)
  case shape(CNTKShape)
  case axis(CNTKAxis)
  case list([CNTKAttribute])
  case dictionary([String: CNTKAttribute])
  case array(CNTKArray)

  /// How messages name the kind.
  var kind: String {
    switch self {
    case .none: "nothing"
    case .bool: "a flag"
    case .int: "an integer"
    case .float: "a number"
    case .text: "a text"
    case .shape: "a shape"
    case .axis: "an axis"
    case .list: "a list"
    case .dictionary: "a dictionary"
    case .array: "an array"
    }
  }

  var text: String? { if case .text(let text) = self { text } else { nil } }
  var int: Int? { if case .int(let value) = self { value } else { nil } }
  var list: [CNTKAttribute]? { if case .list(let items) = self { items } else { nil } }
  var dictionary: [String: CNTKAttribute]? { if case .dictionary(let entries) = self { entries } else { nil } }
}

/// A shape in CNTK's order: the first axis runs fastest. NumPy's shape is the reverse.
struct CNTKShape: Sendable, Hashable {
  /// A length that was left to be inferred.
  static let inferred = -1
  /// A length that the data give.
  static let free = -3

  var dims: [Int]

  /// The lengths in NumPy's order.
  var rowMajor: [Int] { dims.reversed() }

  /// The shape in NumPy's order, when every length is known.
  func fixed() throws -> Shape {
    guard dims.count <= maximumRank, dims.allSatisfy({ $0 >= 0 }), let count = checkedProduct(dims), count <= 1 << 40 else {
      throw KilnError(.badInput, "has the impossible shape \(rowMajor.shapeText)")
    }
    return Shape(rowMajor)
  }
}

/// An axis of a variable: one of its shape's, counted from the fastest, or a dynamic one, by its name.
struct CNTKAxis: Sendable, Hashable {
  /// Indices that stand for something else than one axis of the shape.
  static let dynamic = Int(Int32.max)
  static let allStatic = Int(Int32.max) - 1
  static let unknown = Int(Int32.max) - 2
  static let end = Int(Int32.max) - 3
  static let all = Int(Int32.max) - 4

  static let batchName = "defaultBatchAxis"
  static let sequenceName = "defaultDynamicAxis"

  var index: Int
  var name: String
  var isOrdered: Bool

  var isStatic: Bool { index < CNTKAxis.all }
  var isBatch: Bool { index == CNTKAxis.dynamic && !isOrdered }
  var isSequence: Bool { index == CNTKAxis.dynamic && isOrdered }
}
