import TensorModule

/// A word, number or sign of an expression.
private enum Token: Equatable {
  case number(JSON)
  case text(String)
  case name(String)
  case sign(String)
  case end
}

/// Reads expressions by the binding power of their operators, which are Python's.
struct ExpressionParser {
  private let text: String
  private let tokens: [(token: Token, column: Int)]
  private var position = 0
  private var depth = 0

  static let maximumLength = 1 << 14
  static let maximumDepth = 64

  init(_ text: String) throws {
    self.text = text
    guard text.utf8.count <= ExpressionParser.maximumLength else {
      throw KilnError(.usage, "the expression is longer than \(ExpressionParser.maximumLength) bytes")
    }
    tokens = try ExpressionParser.tokens(text)
  }

  private func error(_ message: String, at column: Int? = nil) -> KilnError {
    LayerExpression.error(message, at: column ?? tokens[position].column, in: text)
  }

  // MARK: Words

  private static let signs = [
    "...", "**", "//", "==", "!=", "<=", ">=", "<<", ">>", "+", "-", "*", "/", "%", "@", "<", ">", "&", "|", "^", "~", "(",
    ")", "[", "]", ",", ":", "=", ".",
  ]

  private static func tokens(_ text: String) throws -> [(token: Token, column: Int)] {
    let characters = Array(text)
    var result: [(token: Token, column: Int)] = []
    var at = 0
    func isName(_ character: Character) -> Bool { character == "_" || (character.isASCII && (character.isLetter || character.isNumber)) }
    func isDigit(_ index: Int) -> Bool { index < characters.count && characters[index].isASCII && characters[index].isNumber }
    while at < characters.count {
      let start = at
      let character = characters[at]
      if character == " " || character == "\t" || character == "\n" {
        at += 1
      } else if isDigit(at) || (character == "." && isDigit(at + 1)) {
        while isDigit(at) || (at < characters.count && characters[at] == ".") { at += 1 }
        if at < characters.count, characters[at] == "e" || characters[at] == "E" {
          at += 1
          if at < characters.count, characters[at] == "+" || characters[at] == "-" { at += 1 }
          while isDigit(at) { at += 1 }
        }
        let word = String(characters[start..<at])
        guard at == characters.count || !isName(characters[at]) else {
          throw LayerExpression.error("a number runs into a name", at: at, in: text)
        }
        if let number = Int(word) {
          result.append((.number(.int(number)), start))
        } else if let number = Double(word.hasSuffix(".") ? word + "0" : word) {
          result.append((.number(.double(number)), start))
        } else {
          throw LayerExpression.error("no number", at: start, in: text)
        }
      } else if isName(character) {
        while at < characters.count, isName(characters[at]) { at += 1 }
        result.append((.name(String(characters[start..<at])), start))
      } else if character == "'" || character == "\"" {
        at += 1
        while at < characters.count, characters[at] != character { at += 1 }
        guard at < characters.count else { throw LayerExpression.error("text without its closing quote", at: start, in: text) }
        result.append((.text(String(characters[start + 1..<at])), start))
        at += 1
      } else if let sign = signs.first(where: { characters[at...].starts(with: Array($0)) }) {
        result.append((.sign(sign), start))
        at += sign.count
      } else {
        throw LayerExpression.error("a sign without a meaning", at: start, in: text)
      }
    }
    return result + [(.end, characters.count)]
  }

  private var next: Token { tokens[position].token }

  private mutating func take(_ sign: String) -> Bool {
    guard next == .sign(sign) else { return false }
    position += 1
    return true
  }

  private mutating func expect(_ sign: String) throws {
    guard take(sign) else { throw error("expected '\(sign)'") }
  }

  // MARK: Expressions

  /// The whole text: an expression, or several with commas between, perhaps after `lambda NAME:`.
  mutating func whole() throws -> (parameters: [String], root: Expression) {
    var parameters = ["x"]
    if next == .name("lambda") {
      position += 1
      guard case .name(let name) = next else { throw error("expected a name") }
      parameters = [name]
      position += 1
      while take(",") {
        guard case .name(let name) = next else { throw error("expected a name") }
        parameters.append(name)
        position += 1
      }
      try expect(":")
    }
    let root = try tuple(until: .end)
    guard next == .end else { throw error("expected an operator or the end") }
    return (parameters, root)
  }

  /// An expression, or a list where a comma follows.
  private mutating func tuple(until end: Token) throws -> Expression {
    let first = try expression(0)
    guard next == .sign(",") else { return first }
    var items = [first]
    while take(",") {
      if next == end { break }
      items.append(try expression(0))
    }
    return .list(items)
  }

  private static let powers: [String: Int] = [
    "==": 1, "!=": 1, "<": 1, "<=": 1, ">": 1, ">=": 1, "|": 2, "^": 3, "&": 4, "<<": 5, ">>": 5, "+": 6, "-": 6, "*": 7,
    "/": 7, "//": 7, "%": 7, "@": 7, "**": 9,
  ]
  private static let unaryPower = 8

  private mutating func expression(_ minimum: Int) throws -> Expression {
    depth += 1
    defer { depth -= 1 }
    guard depth <= ExpressionParser.maximumDepth else {
      throw error("nested deeper than \(ExpressionParser.maximumDepth) levels")
    }
    var left = try operand()
    while case .sign(let sign) = next, let power = ExpressionParser.powers[sign], power >= minimum {
      let column = tokens[position].column
      position += 1
      // ** binds from the right, and less than a sign after it.
      let right = try expression(sign == "**" ? ExpressionParser.unaryPower : power + 1)
      if power == 1, case .sign(let another) = next, ExpressionParser.powers[another] == 1 {
        throw error("comparisons in a row have no meaning for tensors")
      }
      left = .binary(sign, left, right, at: column)
    }
    return left
  }

  private mutating func operand() throws -> Expression {
    let column = tokens[position].column
    var result: Expression
    switch next {
    case .number(let number):
      position += 1
      result = .constant(number)
    case .text(let text):
      position += 1
      result = .constant(.string(text))
    case .name(let name):
      position += 1
      result =
        switch name {
        case "True", "true": .constant(.bool(true))
        case "False", "false": .constant(.bool(false))
        case "None", "none": .constant(.null)
        default: .name(name, at: column)
        }
    case .sign("-"), .sign("+"), .sign("~"):
      guard case .sign(let sign) = next else { throw error("expected an operand") }
      position += 1
      return .unary(sign, try expression(ExpressionParser.unaryPower), at: column)
    case .sign("("):
      position += 1
      if take(")") { result = .list([]) } else {
        result = try tuple(until: .sign(")"))
        try expect(")")
      }
    case .sign("["):
      position += 1
      var items: [Expression] = []
      while next != .sign("]") {
        items.append(try expression(0))
        if !take(",") { break }
      }
      try expect("]")
      result = .list(items)
    default: throw error("expected an operand")
    }
    while case .sign(let sign) = next {
      let column = tokens[position].column
      if sign == "." {
        position += 1
        guard case .name(let name) = next else { throw error("expected a name") }
        position += 1
        result = .attribute(result, name, at: column)
      } else if sign == "(" {
        position += 1
        result = try arguments(of: result, column)
      } else if sign == "[" {
        position += 1
        result = try index(of: result, column)
      } else {
        break
      }
    }
    return result
  }

  private mutating func arguments(of function: Expression, _ column: Int) throws -> Expression {
    var positional: [Expression] = []
    var named: [(name: String, value: Expression)] = []
    while next != .sign(")") {
      if case .name(let name) = next, tokens[position + 1].token == .sign("=") {
        guard !named.contains(where: { $0.name == name }) else { throw error("the argument '\(name)' is given twice") }
        position += 2
        named.append((name, try expression(0)))
      } else {
        guard named.isEmpty else { throw error("arguments by position stand before those by name") }
        positional.append(try expression(0))
      }
      if !take(",") { break }
    }
    try expect(")")
    return .call(function, positional, named, at: column)
  }

  private mutating func index(of base: Expression, _ column: Int) throws -> Expression {
    var items: [Expression.Index] = []
    while next != .sign("]") {
      if take("...") {
        items.append(.ellipsis)
      } else {
        func bound() throws -> Expression? {
          [.sign(":"), .sign(","), .sign("]")].contains(next) ? nil : try expression(0)
        }
        let first = try bound()
        if take(":") {
          let end = try bound()
          items.append(.slice(first, end, take(":") ? try bound() : nil))
        } else if let first {
          items.append(.value(first))
        } else {
          throw error("expected an index")
        }
      }
      if !take(",") { break }
    }
    try expect("]")
    guard !items.isEmpty else { throw error("expected an index", at: column + 1) }
    return .item(base, items, at: column)
  }
}
