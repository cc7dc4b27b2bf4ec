import GraphModule
import TensorModule

/// A band of diagonals of matrices and how a tensor [..., diagonals, longest] holds it, as `MatrixDiagV2` and `V3` have it.
struct TFBand {
  /// From the lowest diagonal to the highest; 0 is the main one, positive ones are above.
  let lower: Int
  let upper: Int
  let rows: Int
  let columns: Int
  private let alignsAboveLeft: Bool
  private let alignsBelowLeft: Bool

  /// - Parameter k: the operand that says the diagonals: one number or two.
  init(_ call: TFCall, k: Int, rows: Int, columns: Int) throws {
    (lower, upper) = try TFBand.range(call, k)
    (self.rows, self.columns) = (rows, columns)
    let inside = lower > -rows || lower == 0, above = upper < columns || upper == 0
    guard inside, above else { throw call.wrong("diagonals \(lower) to \(upper) lead out of \(rows) x \(columns) matrices") }
    // V2 has no attribute and begins every diagonal at the left.
    let align = try call.text("align", call.op.hasSuffix("V3") ? "RIGHT_LEFT" : "LEFT_LEFT")
    switch align {
    case "LEFT_LEFT": (alignsAboveLeft, alignsBelowLeft) = (true, true)
    case "LEFT_RIGHT": (alignsAboveLeft, alignsBelowLeft) = (true, false)
    case "RIGHT_LEFT": (alignsAboveLeft, alignsBelowLeft) = (false, true)
    case "RIGHT_RIGHT": (alignsAboveLeft, alignsBelowLeft) = (false, false)
    default: throw call.wrong("attribute 'align' is \(KilnError.quoted(align))")
    }
  }

  static func range(_ call: TFCall, _ index: Int) throws -> (lower: Int, upper: Int) {
    let numbers = try call.integers(index, "a diagonal")
    guard let first = numbers.first, let last = numbers.last, numbers.count <= 2, first <= last, first > -1 << 20, last < 1 << 20 else {
      throw call.wrong("needs one diagonal or a range, found \(numbers)")
    }
    return (first, last)
  }

  var count: Int { upper - lower + 1 }
  var longest: Int { max(min(rows + min(upper, 0), columns - max(lower, 0)), 0) }

  private func length(_ diagonal: Int) -> Int { max(min(rows + min(diagonal, 0), columns - max(diagonal, 0)), 0) }

  /// How far from the left the elements of a diagonal begin.
  private func offset(_ diagonal: Int) -> Int {
    let left = diagonal >= 0 && alignsAboveLeft || diagonal <= 0 && alignsBelowLeft
    return left ? 0 : longest - length(diagonal)
  }

  /// For each element of a matrix, its place in the diagonals [count, longest]; −1 outside the band.
  var placesInDiagonals: [Int] {
    (0..<rows * columns).map { index in
      let (row, column) = (index / columns, index % columns)
      let diagonal = column - row
      guard (lower...upper).contains(diagonal) else { return -1 }
      return (upper - diagonal) * longest + offset(diagonal) + min(row, column)
    }
  }

  /// For each element of the diagonals, its place in the matrix; −1 for padding.
  var placesInMatrix: [Int] {
    (0..<count * longest).map { index in
      let diagonal = upper - index / longest
      let step = index % longest - offset(diagonal)
      guard (0..<length(diagonal)).contains(step) else { return -1 }
      return (step + max(-diagonal, 0)) * columns + step + max(diagonal, 0)
    }
  }
}

extension TFOpCatalog {
  /// Matrices with the given diagonals, and padding elsewhere.
  static func diagonalMatrix(_ call: TFCall) throws -> ValueID {
    var x = try call.x(0)
    var (rows, columns) = (try call.integer(2, "a size"), try call.integer(3, "a size"))
    let (lower, upper) = try TFBand.range(call, 1)
    if lower == 0, upper == 0, rows < 0, columns < 0 { return try matrixDiagonal(call, x, 0, nil, try call.x(4)) }
    let longest = try call.length(x, -1)
    if lower == upper { x = try call.expand(x, call.type(x).rank - 1) }
    let (leastRows, leastColumns) = (longest - min(upper, 0), longest + max(lower, 0))
    if rows < 0, columns < 0 {
      rows = max(leastRows, leastColumns)
      columns = rows
    }
    if rows < 0 { rows = leastRows }
    if columns < 0 { columns = leastColumns }
    let band = try limited(call, k: 1, rows, columns)
    guard rows >= leastRows, columns >= leastColumns, band.longest == longest, try call.length(x, -2) == band.count else {
      throw call.wrong("diagonals \(call.type(x).message) do not fit \(rows) x \(columns) matrices")
    }
    return try placed(call, x, band.placesInDiagonals, [rows, columns], try call.x(4))
  }

  /// The diagonals of matrices.
  static func diagonalPart(_ call: TFCall) throws -> ValueID {
    let x = try call.x(0)
    let band = try limited(call, k: 1, try call.length(x, -2), try call.length(x, -1))
    let shape = band.lower == band.upper ? [band.longest] : [band.count, band.longest]
    return try placed(call, x, band.placesInMatrix, shape, try call.x(2))
  }

  /// Matrices with other diagonals.
  static func diagonalSet(_ call: TFCall) throws -> ValueID {
    let x = try call.x(0)
    let (rows, columns) = (try call.length(x, -2), try call.length(x, -1))
    let band = try limited(call, k: 2, rows, columns)
    var values = try call.x(1)
    if band.lower == band.upper { values = try call.expand(values, call.type(values).rank - 1) }
    guard try call.length(values, -1) == band.longest, try call.length(values, -2) == band.count else {
      throw call.wrong("diagonals \(call.type(values).message) do not fit \(call.type(x).message)")
    }
    return try placed(call, values, band.placesInDiagonals, [rows, columns], x)
  }

  private static func limited(_ call: TFCall, k: Int, _ rows: Int, _ columns: Int) throws -> TFBand {
    guard rows >= 0, columns >= 0, let count = checkedProduct([rows, columns]), count <= 1 << 24 else { throw call.wrong("its matrices are too large") }
    return try TFBand(call, k: k, rows: rows, columns: columns)
  }
}
