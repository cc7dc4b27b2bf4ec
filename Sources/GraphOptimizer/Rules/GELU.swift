import GraphModule
import TensorModule

/// x · Φ(x) in its spellings.
enum GELURules {
  static let all = [exact, approximate]
  private static let close = Exactness.tolerance(Tolerance(absolute: 2e-6, relative: 1e-4))

  /// ½ · x · f in every grouping of the two products.
  private static func half(_ f: Pattern) -> Pattern {
    .oneOf([
      .mul(.mul("x", 0.5).shared, f), .mul("x", .mul(f, 0.5)), .mul(.mul("x", f), 0.5),
    ])
  }

  /// The same for a witness.
  private static func half(_ w: inout WitnessBuilder, _ x: ValueID, _ f: ValueID) throws -> ValueID {
    let number = try w.scalar(0.5)
    switch w.size(0...2) {
    case 0: return try w.add(.mul, try w.add(.mul, number, x), f)
    case 1: return try w.add(.mul, x, try w.add(.mul, number, f))
    default: return try w.add(.mul, try w.add(.mul, x, f), number)
    }
  }

  private static let exact = Rule(
    "gelu-from-erf", "½ · x · (1 + erf(x / √2)) → gelu(x)",
    find: half(
      .oneOf([
        .add(1.0, .unary(.erf, .mul("x", .number(0.5.squareRoot())))),
        .unary(.erfc, .mul("x", .number(-0.5.squareRoot()))),
        .unary(.erfc, .mul(.unary(.neg, "x"), .number(0.5.squareRoot()))),
      ])), replace: .unary(.gelu, "x"), when: { $0["x"].dtype.isFloat }, exactness: close, mayDiffer: .nan,
    phase: .simplify,
    witness: { w in
      let x = try w.input(w.matrix())
      let f: ValueID
      switch w.size(0...1) {
      case 0:
        f = try w.add(.add, try w.add(.erf, try w.add(.mul, x, try w.scalar(0.5.squareRoot()))), try w.scalar(1))
      default: f = try w.add(.erfc, try w.add(.mul, x, try w.scalar(-0.5.squareRoot())))
      }
      return try half(&w, x, f)
    },
    refusals: [
      { w in
        let x = try w.input(w.matrix())
        let f = try w.add(.add, try w.add(.erf, try w.add(.mul, x, try w.scalar(0.5))), try w.scalar(1))
        return try half(&w, x, f)
      }
    ])

  private static let root = (2 / Double.pi).squareRoot()
  private static let cube = Pattern.oneOf([.pow("x", 3.0), .mul("x", .unary(.square, "x")), .mul("x", .pow("x", 2.0))])
  private static let bracket = Pattern.add(1.0, .mul(.unary(.square, "x"), 0.044715))

  private static let approximate = Rule(
    "gelu-from-tanh", "½ · x · (1 + tanh(√(2/π) · (x + 0.044715 · x³))) → gelu_tanh(x)",
    find: half(
      .add(
        1.0,
        .unary(
          .tanh,
          .oneOf([
            .mul(.number(root), .add("x", .mul(0.044715, cube))), .mul(.number(root), .mul("x", bracket)),
            .mul(.mul("x", .number(root)), bracket), .mul(.mul(bracket, .number(root)), "x"),
          ])))), replace: .unary(.geluTanh, "x"), when: { $0["x"].dtype.isFloat }, exactness: close,
    mayDiffer: [.nan], phase: .simplify,
    witness: { w in
      let x = try w.input(w.matrix())
      let argument: ValueID
      let factor = try w.scalar(root)
      let small = try w.scalar(0.044715)
      if w.size(0...1) == 0 {
        let cube =
          w.size(0...1) == 0 ? try w.add(.pow, x, try w.scalar(3)) : try w.add(.mul, try w.add(.square, x), x)
        argument = try w.add(.mul, factor, try w.add(.add, x, try w.add(.mul, small, cube)))
      } else {
        let bracket = try w.add(.add, try w.scalar(1), try w.add(.mul, small, try w.add(.square, x)))
        argument = try w.add(.mul, try w.add(.mul, factor, x), bracket)
      }
      return try half(&w, x, try w.add(.add, try w.scalar(1), try w.add(.tanh, argument)))
    },
    refusals: [
      { w in
        let x = try w.input(w.matrix())
        let cube = try w.add(.mul, try w.scalar(0.05), try w.add(.pow, x, try w.scalar(3)))
        let argument = try w.add(.mul, try w.scalar(root), try w.add(.add, x, cube))
        return try half(&w, x, try w.add(.add, try w.scalar(1), try w.add(.tanh, argument)))
      }
    ])
}
