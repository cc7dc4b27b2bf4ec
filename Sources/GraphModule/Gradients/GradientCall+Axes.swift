import TensorModule

extension GradientCall {
  /// The shape with one axis of another length.
  private func replacing(_ shape: Shape, _ axis: Int, _ length: Int) -> Shape {
    var copy = shape
    copy[axis] = length
    return copy
  }

  /// x moved along an axis by the transpose of a linear map: result[i] = Σ over (source, weight) of j with source i: weight · x[j].
  ///
  /// - Parameters:
  ///   - sources: for each position of x's axis the positions of the result's that it took, with their weights.
  func transposedMap(_ x: ValueID, axis: Int, length: Int, _ sources: [[(source: Int, weight: Double)]]) throws -> ValueID {
    let shape = try self.shape(x)
    let repeats = length > 0 ? shape[axis] / length : 0
    let isRepetition = repeats > 0 && repeats * length == shape[axis]
      && sources.enumerated().allSatisfy { $1.count == 1 && $1[0].source == $0 / repeats && $1[0].weight == 1 }
    if isRepetition {
      var split = shape
      split.replaceSubrange(axis...axis, with: [length, repeats])
      return try sum(try reshape(x, split), axes: [axis + 1])
    }
    var matrix = [Double](repeating: 0, count: shape[axis] * length)
    for (row, list) in sources.enumerated() { for (source, weight) in list { matrix[row * length + source] += weight } }
    let map = constant(try Tensor(converting: matrix, to: type(x).dtype, shape: [shape[axis], length]))
    let last = shape.count - 1
    let forth = shape.indices.filter { $0 != axis } + [axis]
    let moved = try transpose(x, forth)
    let rows = forth.dropLast().reduce(1) { $0 * shape[$1] }
    let product = try add(MatMul(), [try reshape(moved, [rows, shape[axis]]), map])
    let result = try reshape(product, forth.dropLast().map { shape[$0] } + [length])
    let back = shape.indices.map { $0 < axis ? $0 : $0 == axis ? last : $0 - 1 }
    return try transpose(result, back)
  }

  /// Rows of updates added up by index: result [count, rest...] of indices [picks] and updates [picks, rest...].
  func scatterAdd(_ updates: ValueID, _ indices: ValueID, count: Int) throws -> ValueID {
    let shape = try self.shape(updates)
    let zeros = try fill(0, TensorType(type(updates).dtype, shape: [count] + shape.dropFirst()))
    return try add(Scatter(.add), [zeros, try reshape(indices, [shape[0], 1]), updates])
  }

  /// x [rows..., k] put at places [rows..., k] of a last axis of `length`, zeros elsewhere.
  func scatterLast(_ x: ValueID, _ places: ValueID, length: Int) throws -> ValueID {
    let shape = try self.shape(x)
    let (rows, k) = (shape.dropLast().reduce(1, *), shape[shape.count - 1])
    let flat = try offset(try reshape(places, [rows, k]), by: (0..<rows).map { $0 * length }, [rows, 1])
    let sums = try scatterAdd(try reshape(x, [rows * k]), try reshape(flat, [rows * k]), count: rows * length)
    return try reshape(sums, shape.dropLast() + [length])
  }

  /// Indices with constant numbers added, as int64.
  func offset(_ indices: ValueID, by numbers: [Int], _ shape: Shape) throws -> ValueID {
    let wide = type(indices).dtype == .int64 ? indices : try add(Cast(.int64), [indices])
    if numbers.allSatisfy({ $0 == 0 }) { return wide }
    return try binary(.add, wide, constant(try Tensor(integers: numbers.map { Int64($0) }, dtype: .int64, shape: shape)))
  }
}
