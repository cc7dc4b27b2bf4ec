import GraphModule
import TensorModule

/// Resizing images whose size, or whose wanted size, is known when the model runs: positions and weights are computed in the
/// graph, in float32 as TensorFlow does.
enum TFOpenResample {
  static func isOpen(_ call: TFCall, _ x: ValueID, _ target: [Dim]) throws -> Bool {
    let dims = call.type(x).dims
    guard dims.count == 4 else { throw call.wrong("needs images, found \(call.type(x).message)") }
    return (dims[1...2] + target).contains { $0.fixed == nil }
  }

  private static func number(_ call: TFCall, _ value: Double) throws -> ValueID { try call.scalar(value, .float32) }

  /// How far apart results lie in the operand.
  private static func scale(_ call: TFCall, _ input: Dim, _ output: Dim, _ alignCorners: Bool) throws -> ValueID {
    // Rounded once, however the division is done.
    func quotient(_ a: ValueID, _ b: ValueID) throws -> ValueID { try call.cast(try call.binary(.div, a, b), .float32) }
    func float(_ dim: Dim) throws -> ValueID { try call.scalar(size: dim, .float64) }
    let plain = try quotient(try float(input), try float(output))
    guard alignCorners else { return plain }
    let steps = try float(output - 1), zero = try call.scalar(0, .float64)
    let corners = try quotient(try float(input - 1), try call.binary(.max, steps, try call.scalar(1, .float64)))
    return try call.select(try call.binary(.greater, steps, zero), corners, plain)
  }

  private static func clipped(_ call: TFCall, _ place: ValueID, _ length: Dim) throws -> ValueID {
    let last = try call.scalar(size: length - 1, .float32)
    return try call.cast(try call.binary(.max, try call.binary(.min, place, last), try number(call, 0)), .int32)
  }

  /// A vector along an axis of images.
  private static func along(_ call: TFCall, _ vector: ValueID, _ axis: Int) throws -> ValueID {
    var dims = [Dim](repeating: 1, count: 4)
    dims[axis] = call.type(vector).dims[0]
    return try call.reshape(vector, dims)
  }

  /// The pixels next to each position; half-way positions are rounded up.
  static func nearestByCorners(_ call: TFCall, _ x: ValueID, _ target: [Dim]) throws -> ValueID {
    var x = x
    for axis in 1...2 {
      let length = call.type(x).dims[axis], count = target[axis - 1]
      let place = try call.binary(.mul, try TFOpCatalog.counted(call, count, .float32), try scale(call, length, count, true))
      let rounded = try call.unary(.floor, try call.binary(.add, place, try number(call, 0.5)))
      x = try call.add(Gather(axis: axis), [x, try clipped(call, rounded, length)], "gather")
    }
    return x
  }

  /// Four taps along each axis; see `TFResample.cubic`.
  static func cubic(_ call: TFCall, _ x: ValueID, _ target: [Dim], alignCorners: Bool, halfPixel: Bool) throws -> ValueID {
    let a = halfPixel ? -0.5 : -0.75
    func polynomial(_ x: ValueID, _ coefficients: [Double]) throws -> ValueID {
      try coefficients.dropFirst().reduce(number(call, coefficients[0])) { sum, coefficient in
        try call.binary(.add, try call.binary(.mul, sum, x), try number(call, coefficient))
      }
    }
    func inner(_ x: ValueID) throws -> ValueID { try polynomial(x, [a + 2, -(a + 3), 0, 1]) }
    func outer(_ x: ValueID) throws -> ValueID { try polynomial(x, [a, -5 * a, 8 * a, -4 * a]) }
    var x = x
    for axis in 1...2 {
      let length = call.type(x).dims[axis], count = target[axis - 1]
      let step = try scale(call, length, count, alignCorners)
      var place = try TFOpCatalog.counted(call, count, .float32)
      if halfPixel {
        let half = try number(call, 0.5)
        place = try call.binary(.sub, try call.binary(.mul, try call.binary(.add, place, half), step), half)
      } else {
        place = try call.binary(.mul, place, step)
      }
      let first = try call.unary(.floor, place)
      let part = try call.unary(.round, try call.binary(.mul, try call.binary(.sub, place, first), try number(call, 1024)))
      let share = try call.binary(.div, part, try number(call, 1024))
      let rest = try call.binary(.sub, try number(call, 1), share)
      var weights = [
        try outer(try call.binary(.add, share, try number(call, 1))), try inner(share), try inner(rest),
        try outer(try call.binary(.add, rest, try number(call, 1))),
      ]
      let places = try (0..<4).map { try call.binary(.add, first, try number(call, Double($0 - 1))) }
      let indices = try places.map { try clipped(call, $0, length) }
      if halfPixel {
        // What lies outside is left out and the rest weighted up.
        for tap in 0..<4 {
          let isInside = try call.binary(.equal, try call.cast(indices[tap], .float32), places[tap])
          weights[tap] = try call.select(isInside, weights[tap], try number(call, 0))
        }
        let sum = try weights.dropFirst().reduce(weights[0]) { try call.binary(.add, $0, $1) }
        weights = try weights.map { try call.binary(.div, $0, sum) }
      }
      let taps = try zip(indices, weights).map { index, weight in
        try call.binary(.mul, try call.add(Gather(axis: axis), [x, index], "gather"), try along(call, weight, axis))
      }
      x = try taps.dropFirst().reduce(taps[0]) { try call.binary(.add, $0, $1) }
    }
    return x
  }

  /// The share of each pixel in the span that a result covers, as a product with a matrix.
  static func area(_ call: TFCall, _ x: ValueID, _ target: [Dim], alignCorners: Bool) throws -> ValueID {
    guard !alignCorners else { throw call.unsupported("resizing by areas with aligned corners to open sizes") }
    var x = x
    for axis in 1...2 {
      let dims = call.type(x).dims, length = dims[axis], count = target[axis - 1]
      let step = try scale(call, length, count, false)
      let row = try call.expand(try TFOpCatalog.counted(call, count, .float32), 1)
      let pixel = try call.expand(try TFOpCatalog.counted(call, length, .float32), 0)
      let one = try number(call, 1)
      let start = try call.binary(.mul, row, step), end = try call.binary(.mul, try call.binary(.add, row, one), step)
      let covered = try call.binary(
        .sub, try call.binary(.min, try call.binary(.add, pixel, one), end), try call.binary(.max, pixel, start))
      let weights = try call.binary(.div, try call.binary(.max, covered, try number(call, 0)), step)
      let order = axis == 1 ? [1, 0, 2, 3] : [2, 0, 1, 3]
      let lines = try call.reshape(try call.transpose(x, order), [length, dims[0] * dims[3 - axis] * dims[3]])
      let mixed = try call.add(MatMul(), [weights, lines], "matmul")
      let back = try call.reshape(mixed, [count, dims[0], dims[3 - axis], dims[3]])
      x = try call.transpose(back, axis == 1 ? [1, 0, 2, 3] : [1, 2, 0, 3])
    }
    return x
  }
}
