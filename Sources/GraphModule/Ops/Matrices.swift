import TensorModule

/// An op without attributes over square float matrices.
package protocol SquareMatrixOp: OpDefinition {
  init()
  /// The results' types for operands that are square.
  func results(_ matrices: TensorType) -> [TensorType]
}

extension SquareMatrixOp {
  package var attributes: Attributes { [] }

  package init(from reader: inout AttributeReader) throws { self.init() }

  package func infer(_ inputs: [TensorType]) throws -> [TensorType] {
    try Expect.count(inputs, 1...1, Self.name)
    try Matrices.check(inputs[0], Self.name, square: true)
    return results(inputs[0])
  }
}

/// Helpers for ops over the matrices that the last two axes of their operands hold.
enum Matrices {
  /// The longest side that is factorised: the work grows with its cube.
  static let maximumSide = 8192

  /// Throws unless the operand holds float matrices.
  static func check(_ type: TensorType, _ op: String, _ operand: String = "the operand", square: Bool = false) throws {
    try Expect.float(type, op, operand)
    try Expect.rank(type, 2...maximumRank, op, operand)
    for dim in type.dims.suffix(2) {
      try Expect.that((dim.fixed ?? 0) <= maximumSide, op, "\(operand) \(type.message) is too large")
    }
    if square { try Expect.equal(type.dims[type.rank - 2], type.dims[type.rank - 1], op, "rows and columns of \(type.message)") }
  }

  /// The type of matrices of another shape, or (without columns) of vectors.
  static func type(_ like: TensorType, _ rows: Dim, _ columns: Dim? = nil) -> TensorType {
    TensorType(like.dtype, like.dims.dropLast(2) + [rows] + (columns.map { [$0] } ?? []))
  }

  /// The smaller of both sides; a symbol's where one of them is not known.
  static func smaller(_ type: TensorType, _ op: String) throws -> Dim {
    let (rows, columns) = (type.dims[type.rank - 2], type.dims[type.rank - 1])
    if rows == columns { return rows }
    guard let a = rows.fixed, let b = columns.fixed else {
      throw KilnError(.badInput, "op '\(op)': the matrices of \(type.message) must have known sides")
    }
    return Dim(min(a, b))
  }

  /// Every matrix of an operand.
  static func each(_ x: ReferenceTensor) -> [Matrix] {
    let (rows, columns) = (x.shape[x.shape.count - 2], x.shape[x.shape.count - 1])
    let size = rows * columns
    let values = x.numbers
    return (0..<x.shape.dropLast(2).reduce(1, *)).map {
      Matrix(rows, columns, Array(values[$0 * size..<($0 + 1) * size]))
    }
  }

  static func tensor(_ type: TensorType, _ op: String, _ parts: [[Double]]) throws -> ReferenceTensor {
    ReferenceTensor(type.dtype, try Expect.shape(type, op), numbers: parts.flatMap { $0 })
  }
}

/// A dense matrix of Doubles, row by row.
struct Matrix {
  let rows: Int
  let columns: Int
  var values: [Double]

  init(_ rows: Int, _ columns: Int, _ values: [Double]) {
    self.rows = rows
    self.columns = columns
    self.values = values
  }

  static func identity(_ size: Int) -> Matrix {
    var result = Matrix(size, size, [Double](repeating: 0, count: size * size))
    for index in 0..<size { result[index, index] = 1 }
    return result
  }

  subscript(_ row: Int, _ column: Int) -> Double {
    get { values[row * columns + column] }
    set { values[row * columns + column] = newValue }
  }

  var transposed: Matrix {
    Matrix(columns, rows, (0..<columns).flatMap { column in (0..<rows).map { values[$0 * columns + column] } })
  }

  /// Turns two columns by an angle: (p, q) becomes (c·p − s·q, s·p + c·q).
  mutating func rotate(_ p: Int, _ q: Int, _ c: Double, _ s: Double) {
    for row in 0..<rows {
      let (x, y) = (self[row, p], self[row, q])
      self[row, p] = c * x - s * y
      self[row, q] = s * x + c * y
    }
  }
}
