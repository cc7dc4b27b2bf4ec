import TensorModule

/// An expression of `--replace-layer`.
indirect enum Expression {
  /// A number, text, true, false or none.
  case constant(JSON)
  case name(String, at: Int)
  case list([Expression])
  case unary(String, Expression, at: Int)
  case binary(String, Expression, Expression, at: Int)
  case call(Expression, [Expression], [(name: String, value: Expression)], at: Int)
  case attribute(Expression, String, at: Int)
  case item(Expression, [Index], at: Int)

  /// One part of `x[…]`.
  enum Index {
    case value(Expression)
    case slice(Expression?, Expression?, Expression?)
    case ellipsis
  }

  /// `tf.nn.relu` as text, when the expression is a name with dots.
  var dotted: String? {
    switch self {
    case .name(let name, _): name
    case .attribute(let base, let name, _): base.dotted.map { "\($0).\(name)" }
    default: nil
    }
  }
}

/// An expression of `--replace-layer` with what errors about it need.
struct LayerExpression {
  let text: String
  /// The name that the layer's input has in the expression, beside `x` and `inputs`.
  let parameter: String
  /// The names of a lambda's further parameters.
  let others: [String]
  let root: Expression

  /// - Throws: `KilnError` (`usage`) that says where the text goes wrong.
  init(_ text: String) throws {
    self.text = text
    var parser = try ExpressionParser(text)
    let (parameters, root) = try parser.whole()
    self.root = root
    parameter = parameters.first ?? "x"
    others = Array(parameters.dropFirst())
  }

  /// The function's name when the whole is one function of the input alone: `tf.nn.relu(x)` is `relu`.
  var functionOfInput: String? {
    guard case .call(let function, let positional, let named, _) = root, positional.count == 1, named.isEmpty,
      case .name(let name, _) = positional[0], [parameter, "x", "inputs"].contains(name)
    else { return nil }
    guard let path = function.dotted?.split(separator: "."), let last = path.last,
      path.count == 1 && !LayerExpression.ambiguous.contains(String(last)) || LayerExpression.activationModules.contains(path.dropLast().joined(separator: "."))
    else { return nil }
    return String(last)
  }

  /// Functions that `keras.ops` computes in another way than a layer that has them for its activation.
  private static let ambiguous: Set = ["gelu", "hard_sigmoid"]
  /// Where activations are under the names that layers have for them.
  private static let activationModules: Set = ["activations", "keras.activations", "tf.keras.activations"]

  /// An error about a place in the text, in one line.
  static func error(_ message: String, at column: Int, in text: String, _ code: KilnError.Code = .usage) -> KilnError {
    let characters = Array(text)
    let place = min(max(column, 0), characters.count)
    let before = String(characters[max(0, place - 12)..<place])
    let after = String(characters[place..<min(characters.count, place + 12)])
    let context =
      after.isEmpty
      ? "at the end, after \(KilnError.quoted(before))"
      : "at column \(place + 1), before \(KilnError.quoted(after))" + (before.isEmpty ? "" : " and after \(KilnError.quoted(before))")
    return KilnError(code, "\(message) \(context)")
  }
}
