import GraphModule
import TensorModule

/// What a rule looks for: a tree over ops whose leaves are captured values.
///
/// A name that occurs twice stands for one value. The operands of commutative functions match in either order.
package indirect enum Pattern: Sendable {
  /// Any value.
  case any(String)
  /// A constant.
  case constant(String)
  /// A constant whose elements are all one number, captured under the name.
  case splat(String)
  /// A constant whose elements are all this number, rounded to the constant's dtype.
  case number(Double)
  /// The result of a node with one result.
  case node(NodePattern)
  /// The first of these that fits.
  case oneOf([Pattern])
}

/// A node in a pattern.
package struct NodePattern: Sendable {
  package enum Operands: Sendable {
    /// These, in this order.
    case exactly([Pattern])
    /// These two, in either order.
    case eitherWay(Pattern, Pattern)
    /// These first; the node may have more.
    case first([Pattern])
    /// Every operand matches, whatever their number; captures are numbered from 0 (`x0`, `x1`, …).
    case every(String)
  }

  /// What a root is found by: an op's name, `elementwise.` and a function's name, or empty for any op.
  package var key: String
  /// What the pattern builds when it is a replacement.
  package var op: (any OpDefinition)?
  package var test: @Sendable (any OpDefinition) -> Bool
  package var operands: Operands
  package var capture: String?
  /// The node may have other consumers: it stays for them, and the rewrite only looks through it.
  package var isShared = false
}

extension Pattern: ExpressibleByStringLiteral, ExpressibleByFloatLiteral {
  package init(stringLiteral name: String) { self = .any(name) }
  package init(floatLiteral number: Double) { self = .number(number) }

  /// A node of an op type that passes a test.
  package static func op<Op: OpDefinition>(
    _: Op.Type, as capture: String? = nil, _ operands: NodePattern.Operands,
    where test: @escaping @Sendable (Op) -> Bool = { _ in true }
  ) -> Pattern {
    .node(
      NodePattern(
        key: Op.name, op: nil, test: { op in (op as? Op).map(test) ?? false }, operands: operands, capture: capture))
  }

  /// An elementwise node of one function; its parameters must be near those given, or are free when nil.
  package static func function(
    _ function: ScalarFunction, _ parameters: [Double]?, as capture: String? = nil, _ operands: [Pattern]
  ) -> Pattern {
    let test: @Sendable (any OpDefinition) -> Bool = { op in
      guard let op = op as? Elementwise, op.function == function else { return false }
      guard let parameters else { return true }
      return zip(op.parameters, parameters).allSatisfy { ($0 - $1).magnitude <= 1e-6 * Swift.max($1.magnitude, 1e-3) }
    }
    let list: NodePattern.Operands =
      function.isCommutative && operands.count == 2 ? .eitherWay(operands[0], operands[1]) : .exactly(operands)
    return .node(
      NodePattern(
        key: "elementwise." + function.rawValue, op: parameters.map { Elementwise(function, $0) }, test: test,
        operands: list, capture: capture))
  }

  /// An elementwise node of a function without parameters.
  package static func function(_ function: ScalarFunction, _ operands: [Pattern]) -> Pattern {
    self.function(function, [], as: nil, operands)
  }

  /// A node of any elementwise function that passes a test; its operands are captured as `x0`, `x1`, ….
  package static func elementwise(
    as capture: String, _ operands: NodePattern.Operands = .every("x"),
    where test: @escaping @Sendable (Elementwise) -> Bool = { _ in true }
  ) -> Pattern {
    .op(Elementwise.self, as: capture, operands, where: test)
  }

  /// A product or convolution; operands x and w, the others are free.
  package static func linear(
    as capture: String, _ x: Pattern = "x", _ w: Pattern = "w",
    where test: @escaping @Sendable (LinearOp) -> Bool = { $0.isLinear }
  ) -> Pattern {
    .node(
      NodePattern(
        key: "", op: nil, test: { LinearOp($0).map(test) ?? false }, operands: .first([x, w]), capture: capture))
  }

  /// The same node, which may have consumers outside the pattern.
  package var shared: Pattern {
    guard case .node(var node) = self else { return self }
    node.isShared = true
    return .node(node)
  }

  /// The same node under a name.
  package func named(_ name: String) -> Pattern {
    guard case .node(var node) = self else { return self }
    node.capture = name
    return .node(node)
  }

  // Functions that many rules name.
  package static func add(_ a: Pattern, _ b: Pattern) -> Pattern { function(.add, [a, b]) }
  package static func sub(_ a: Pattern, _ b: Pattern) -> Pattern { function(.sub, [a, b]) }
  package static func mul(_ a: Pattern, _ b: Pattern) -> Pattern { function(.mul, [a, b]) }
  package static func div(_ a: Pattern, _ b: Pattern) -> Pattern { function(.div, [a, b]) }
  package static func max(_ a: Pattern, _ b: Pattern) -> Pattern { function(.max, [a, b]) }
  package static func min(_ a: Pattern, _ b: Pattern) -> Pattern { function(.min, [a, b]) }
  package static func pow(_ a: Pattern, _ b: Pattern) -> Pattern { function(.pow, [a, b]) }
  package static func unary(_ f: ScalarFunction, _ x: Pattern) -> Pattern { function(f, [x]) }
}
