import GraphModule
import TensorModule

/// Builds what an expression means, for one call of the layer that it replaces.
final class ExpressionEvaluator {
  typealias Value = KerasTree<KerasTensor>

  private let call: LayerCall
  private let expression: LayerExpression
  /// Constants by name: the arguments of a Lambda, the configuration of another layer.
  private let constants: [(key: String, value: JSON)]
  private let input: Value
  private let inputs: [KerasTensor]
  /// Whether the two inputs are the targets and predictions of a loss.
  private let isLoss: Bool

  init(_ call: LayerCall, _ expression: LayerExpression, constants: [(key: String, value: JSON)], isLoss: Bool = false) throws {
    self.isLoss = isLoss
    self.call = call
    self.expression = expression
    self.constants = constants
    let given = call.arguments.count == 1 ? call.arguments[0] : .list(call.arguments)
    input = try given.map { KerasTensor(try call.autocast($0.value), mask: $0.mask) }
    inputs = input.leaves
  }

  /// The results of the whole expression.
  func results() throws -> [KerasTensor] {
    let value = try evaluate(expression.root)
    switch value {
    case .leaf(let tensor): return [KerasTensor(tensor.value)]
    case .constant, .dict: throw error("the result is no tensor", 0)
    case .list(let items):
      return try items.map {
        guard case .leaf(let tensor) = $0 else { throw error("a result is no tensor", 0) }
        return KerasTensor(tensor.value)
      }
    }
  }

  private func error(_ message: String, _ column: Int, _ code: KilnError.Code = .usage) -> KilnError {
    LayerExpression.error(message, at: column, in: expression.text, code)
  }

  // MARK: Values

  private func evaluate(_ expression: Expression) throws -> Value {
    switch expression {
    case .constant(let json): return .constant(json)
    case .list(let items): return joined(try items.map(evaluate))
    case .name(let name, let column):
      guard let value = try named(name) else { throw unknown(name, column) }
      return value
    case .attribute(let base, let name, let column): return try attribute(base, name, column)
    case .unary(let sign, let operand, let column): return try unary(sign, try evaluate(operand), column)
    case .binary(let sign, let left, let right, let column):
      return try binary(sign, try evaluate(left), try evaluate(right), column)
    case .call(let function, let positional, let named, let column):
      return try apply(function, try positional.map(evaluate), try named.map { ($0.name, try evaluate($0.value)) }, column)
    case .item(let base, let items, let column): return try item(try evaluate(base), items, column)
    }
  }

  /// A list, which is a constant when all its items are.
  private func joined(_ items: [Value]) -> Value {
    let constants = items.compactMap { item -> JSON? in if case .constant(let json) = item { json } else { nil } }
    return constants.count == items.count ? .constant(.array(constants)) : .list(items)
  }

  private func named(_ name: String) throws -> Value? {
    if isLoss {
      if name == "y_true" || !expression.others.isEmpty && name == expression.parameter { return .leaf(inputs[0]) }
      if name == "y_pred" || name == expression.others.first { return .leaf(inputs[1]) }
    }
    if name == expression.parameter || name == "x" || name == "inputs" { return input }
    if name.hasPrefix("x"), let index = Int(name.dropFirst()), inputs.indices.contains(index), String(index) == name.dropFirst() {
      return .leaf(inputs[index])
    }
    if let given = constants.first(where: { $0.key == name }) { return .constant(given.value) }
    if name == "mask" {
      guard let mask = call.mask else { return .constant(.null) }
      return .leaf(KerasTensor(mask))
    }
    return ExpressionEvaluator.numbers[name].map { .constant(.double($0)) }
  }

  private static let numbers: [String: Double] = [
    "pi": .pi, "e": 2.718281828459045, "inf": .infinity, "nan": .nan, "np.pi": .pi, "math.pi": .pi, "np.inf": .infinity,
    "math.e": 2.718281828459045, "np.e": 2.718281828459045, "np.nan": .nan,
  ]

  private func unknown(_ name: String, _ column: Int) -> KilnError {
    let own = isLoss ? ["y_true", "y_pred"] : ["x", "inputs"]
    let known = own + inputs.indices.map { "x\($0)" } + constants.map(\.key)
    return error("unknown name \(KilnError.quoted(name)) (there are \(known.joined(separator: ", ")), and functions)", column)
  }

  private func attribute(_ base: Expression, _ name: String, _ column: Int) throws -> Value {
    if let dotted = base.dotted {
      if let number = ExpressionEvaluator.numbers["\(dotted).\(name)"] { return .constant(.double(number)) }
      if ["tf", "np", "K", "tensorflow", "numpy"].contains(dotted), DType(name: name) != nil { return .constant(.string(name)) }
    }
    let value = try evaluate(base)
    guard case .leaf(let tensor) = value else { throw error("only a tensor has '\(name)'", column) }
    switch name {
    case "shape":
      return joined(
        try call.type(tensor.value).dims.map { dim in
          if let fixed = dim.fixed { return .constant(.int(fixed)) }
          return .leaf(KerasTensor(try call.tensor(of: KnownLengths(scalar: dim))))
        })
    case "dtype": return .constant(.string(call.type(tensor.value).dtype.name))
    case "ndim": return .constant(.int(call.type(tensor.value).rank))
    case "T": return try run("transpose", [value], [], column)
    default: throw error("a tensor has no '\(name)' here (shape, dtype, ndim, T)", column)
    }
  }

  // MARK: Operators

  private var operatorLibrary: FunctionLibrary { call.dialect.isKeras3 ? .keras : .tensorFlow }

  private static let operators: [String: String] = [
    "+": "add", "-": "subtract", "*": "multiply", "/": "divide", "//": "floor_divide", "%": "mod", "**": "power",
    "@": "matmul", "==": "equal", "!=": "not_equal", "<": "less", "<=": "less_equal", ">": "greater",
    ">=": "greater_equal", "&": "bitwise_and", "|": "bitwise_or", "^": "bitwise_xor", "<<": "left_shift", ">>": "right_shift",
  ]

  private func unary(_ sign: String, _ operand: Value, _ column: Int) throws -> Value {
    if case .constant(let json) = operand {
      switch (sign, json) {
      case ("+", .int), ("+", .double): return operand
      case ("-", .int(let number)) where number != .min: return .constant(.int(-number))
      case ("-", .double(let number)): return .constant(.double(-number))
      default: throw error("'\(sign)' has no meaning for this constant", column)
      }
    }
    if sign == "+" { return operand }
    return try run(sign == "-" ? "negative" : "bitwise_not", [operand], [], column, library: operatorLibrary)
  }

  private func binary(_ sign: String, _ left: Value, _ right: Value, _ column: Int) throws -> Value {
    if case .constant(let a) = left, case .constant(let b) = right {
      guard let result = ExpressionEvaluator.computed(sign, a, b) else {
        throw error("'\(sign)' has no meaning for these constants", column)
      }
      return .constant(result)
    }
    return try run(ExpressionEvaluator.operators[sign] ?? sign, [left, right], [], column, library: operatorLibrary)
  }

  /// Python's arithmetic on two numbers, and the sum of two lists.
  private static func computed(_ sign: String, _ a: JSON, _ b: JSON) -> JSON? {
    if sign == "+", let x = a.arrayValue, let y = b.arrayValue { return .array(x + y) }
    if case .int(let x) = a, case .int(let y) = b {
      func checked(_ result: (partialValue: Int, overflow: Bool)) -> JSON? { result.overflow ? nil : .int(result.partialValue) }
      switch sign {
      case "+": return checked(x.addingReportingOverflow(y))
      case "-": return checked(x.subtractingReportingOverflow(y))
      case "*": return checked(x.multipliedReportingOverflow(by: y))
      case "//", "%":
        guard y != 0, !(x == .min && y == -1) else { return nil }
        let quotient = x / y - (x % y != 0 && (x < 0) != (y < 0) ? 1 : 0)
        return .int(sign == "//" ? quotient : x - quotient * y)
      case "**":
        guard y >= 0, y < 64 else { break }
        var product = 1
        for _ in 0..<y {
          let (next, overflow) = product.multipliedReportingOverflow(by: x)
          if overflow { return nil }
          product = next
        }
        return .int(product)
      default: break
      }
    }
    guard let x = a.doubleValue, let y = b.doubleValue else { return nil }
    let function: ScalarFunction
    switch sign {
    case "+": function = .add
    case "-": function = .sub
    case "*": function = .mul
    case "/": function = .div
    case "//": function = .floorDiv
    case "%": function = .mod
    case "**": function = .pow
    case "==": return .bool(x == y)
    case "!=": return .bool(x != y)
    case "<": return .bool(x < y)
    case "<=": return .bool(x <= y)
    case ">": return .bool(x > y)
    case ">=": return .bool(x >= y)
    default: return nil
    }
    if y == 0, ["/", "//", "%"].contains(sign) { return nil }
    return .double(function.evaluate(x, y))
  }

  // MARK: Items

  private func item(_ base: Value, _ items: [Expression.Index], _ column: Int) throws -> Value {
    func number(_ expression: Expression?) throws -> JSON {
      guard let expression else { return .null }
      guard let json = call.builder.constant(try evaluate(expression)), json.intValue != nil || json.isNull else {
        throw error("an index must be an integer, a slice, ... or None", column)
      }
      return json
    }
    if case .leaf = base {
      let key = try items.map { item -> JSON in
        switch item {
        case .ellipsis: return .object(JSONObject([("class_name", .string("__ellipsis__"))]))
        case .value(let expression): return try number(expression)
        case .slice(let start, let end, let step):
          let config = JSONObject([("start", try number(start)), ("stop", try number(end)), ("step", try number(step))])
          return .object(JSONObject([("class_name", .string("__slice__")), ("config", .object(config))]))
        }
      }
      return try run("get_item", [base], [("key", .constant(.array(key)))], column)
    }
    let list: [Value]
    switch base {
    case .list(let items): list = items
    case .constant(.array(let items)): list = items.map { .constant($0) }
    default: throw error("only a tensor and a list have items", column)
    }
    guard items.count == 1, let first = items.first else { throw error("a list has one index", column) }
    switch first {
    case .value(let expression):
      guard let index = try number(expression).intValue else { throw error("an index of a list must be an integer", column) }
      let place = index < 0 ? index + list.count : index
      guard list.indices.contains(place) else { throw error("there are \(list.count) items", column) }
      return list[place]
    case .slice(let start, let end, let step):
      let range = Slice.Range(
        start: try number(start).intValue, end: try number(end).intValue, step: try number(step).intValue ?? 1)
      guard range.step != 0 else { throw error("a slice with step 0", column) }
      let place = range.resolved(list.count)
      return joined((0..<place.count).map { list[place.start + $0 * range.step] })
    case .ellipsis: return base
    }
  }

  // MARK: Functions

  private func apply(
    _ function: Expression, _ positional: [Value], _ named: [(String, Value)], _ column: Int
  ) throws -> Value {
    guard let name = function.dotted else { throw error("only functions with a name are called", column) }
    if let last = name.split(separator: ".").last, ["int", "float", "tuple", "list"].contains(last), positional.count == 1,
      case .constant(let json) = positional[0]
    {
      if last == "float", let number = json.doubleValue { return .constant(.double(number)) }
      if last == "int", let number = json.doubleValue.flatMap({ Int(exactly: $0.rounded(.towardZero)) }) { return .constant(.int(number)) }
      return positional[0]
    }
    if ["K.int_shape", "int_shape", "keras.backend.int_shape"].contains(name), let first = positional.first, case .leaf(let tensor) = first {
      return .constant(.array(call.type(tensor.value).dims.map { $0.fixed.map { .int($0) } ?? .null }))
    }
    guard let found = NamedFunction.find(name) else {
      if let reason = name.split(separator: ".").last.flatMap({ FunctionCatalog.refusals[String($0)] }) {
        throw error("the function \(KilnError.quoted(name)) is not supported (\(reason))", column)
      }
      throw error(
        "unknown function \(KilnError.quoted(name))" + (NamedFunction.nearest(to: name).map { " (nearest: \($0))" } ?? ""), column)
    }
    return try run(found, positional, named, column)
  }

  private func run(
    _ name: String, _ positional: [Value], _ named: [(String, Value)], _ column: Int, library: FunctionLibrary = .keras
  ) throws -> Value {
    guard let meaning = FunctionCatalog.meanings[name] else { throw error("'\(name)' has no meaning", column) }
    return try run(
      NamedFunction(library: library, function: name, name: name, meaning: meaning, parameters: []), positional, named, column)
  }

  private func run(
    _ function: NamedFunction, _ positional: [Value], _ named: [(String, Value)], _ column: Int
  ) throws -> Value {
    var positional = positional
    // concat(x, y): a list is meant.
    if NamedFunction.takesList.contains(function.name), positional.count > 1 {
      let tensors = positional.prefix { if case .leaf = $0 { true } else { false } }
      if tensors.count > 1 { positional = [.list(Array(tensors))] + positional.dropFirst(tensors.count) }
    }
    if let parameters = function.parameters.isEmpty ? nil : function.parameters {
      if let unknown = named.first(where: { !parameters.contains($0.0) && !NamedFunction.common.contains($0.0) }) {
        throw error("'\(function.function)' has no argument '\(unknown.0)' (it takes \(parameters.joined(separator: ", ")))", column)
      }
    }
    do {
      var arguments = named.map { (key: function.renames[$0.0] ?? $0.0, value: $0.1) }
      let parameters = function.parameters.map { function.renames[$0] ?? $0 }
      for (key, value) in function.defaults
      where !arguments.contains(where: { $0.key == key }) && positional.count <= parameters.firstIndex(of: key) ?? 0 {
        arguments.append((key, .constant(value)))
      }
      let functionCall = FunctionCall(
        call, function.library, function.function, positional: positional, named: arguments, parameters: parameters)
      let results = try function.meaning(functionCall)
      try functionCall.finish()
      let noted = LayerCall(around: call, arguments: positional, keywords: arguments)
      LengthArithmetic.note(function.name, noted, [], results)
      let trees = results.map { Value.leaf(KerasTensor($0)) }
      return trees.count == 1 ? trees[0] : .list(trees)
    } catch let problem as KilnError {
      throw error(problem.message, column, problem.code)
    }
  }
}
