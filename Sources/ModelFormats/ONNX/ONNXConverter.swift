import GraphModule
import TensorModule

/// Turns the nodes that wanted values need into a graph. Functions are inlined; walks over nodes are iterative.
final class ONNXConverter {
  let model: ONNXModel
  let builder: ImportBuilder
  let diagnostics: TFDiagnostics
  /// How many graphs and calls of functions are around.
  let depth: Int
  private let budget: Budget

  /// Limits that all converters of one model share.
  final class Budget {
    var nodes = 0
  }

  static let maximumDepth = 64

  init(_ model: ONNXModel, builder: ImportBuilder, diagnostics: TFDiagnostics) {
    self.model = model
    self.builder = builder
    self.diagnostics = diagnostics
    depth = 0
    budget = Budget()
  }

  /// A converter of a graph in an attribute, or of a function's body.
  init(inside outer: ONNXConverter, builder: ImportBuilder, diagnostics: TFDiagnostics? = nil) throws {
    guard outer.depth < ONNXConverter.maximumDepth else {
      throw KilnError(.badInput, "functions and graphs are nested deeper than \(ONNXConverter.maximumDepth) levels")
    }
    model = outer.model
    self.builder = builder
    self.diagnostics = diagnostics ?? outer.diagnostics
    depth = outer.depth + 1
    budget = outer.budget
  }

  /// Converts what the wanted names need, and binds the results in the scope.
  ///
  /// - Returns: the values; nil where a problem, which is noted, stands in the way.
  func run(_ nodes: [ONNXNode], _ scope: ONNXScope, wanted: [String]) throws -> [ONNXValue?] {
    budget.nodes += nodes.count
    guard budget.nodes <= ONNXGraph.maximumNodes else {
      throw KilnError(.badInput, "its functions and graphs come to more than \(ONNXGraph.maximumNodes) nodes")
    }
    for index in try order(nodes, scope, wanted) { convert(nodes[index], scope) }
    return try wanted.map { name in
      switch try scope.find(name) {
      case .value(let value): return value
      case .failed: return nil
      case .missing: throw KilnError(.badInput, "there is no value \(KilnError.quoted(name))")
      }
    }
  }

  /// The nodes that are needed, each after those that it reads.
  private func order(_ nodes: [ONNXNode], _ scope: ONNXScope, _ wanted: [String]) throws -> [Int] {
    var producers: [String: Int] = [:]
    for (index, node) in nodes.enumerated() {
      for output in node.outputs where !output.isEmpty {
        guard producers.updateValue(index, forKey: output) == nil, scope.values[output] == nil, !scope.isInitializer(output) else {
          throw KilnError(.badInput, "two nodes make the value \(KilnError.quoted(output))")
        }
      }
    }
    var order: [Int] = []
    // 1: waiting for its operands, 2: placed.
    var state = [UInt8](repeating: 0, count: nodes.count)
    var stack = wanted.reversed().compactMap { producers[$0] }
    while let top = stack.last {
      if state[top] == 2 {
        stack.removeLast()
        continue
      }
      let node = nodes[top]
      if state[top] == 1 {
        stack.removeLast()
        state[top] = 2
        order.append(top)
        continue
      }
      state[top] = 1
      for name in (node.inputs + node.captures).reversed() {
        guard let producer = producers[name] else { continue }
        if state[producer] == 1 {
          throw KilnError(.badInput, "nodes \(KilnError.quoted(nodes[producer].title)) and \(KilnError.quoted(node.title)) form a cycle")
        }
        if state[producer] == 0 { stack.append(producer) }
      }
    }
    return order
  }

  private func convert(_ node: ONNXNode, _ scope: ONNXScope) {
    let first = node.outputs.first { !$0.isEmpty } ?? node.name
    let title = scope.prefix + node.title
    let kind = node.domain.isEmpty ? node.op : "\(node.domain).\(node.op)"
    diagnostics.count(kind)
    func fail() { for output in node.outputs { scope.fail(output) } }
    do {
      var inputs: [ONNXValue?] = []
      for name in node.inputs {
        if name.isEmpty {
          inputs.append(nil)
          continue
        }
        switch try scope.find(name) {
        case .value(let value): inputs.append(value)
        case .failed: return fail()
        case .missing: throw KilnError(.badInput, "it reads \(KilnError.quoted(name)), which nothing makes")
        }
      }
      for name in node.captures { if case .failed = try scope.find(name) { return fail() } }
      let results: [ONNXValue]?
      if let function = model.functions[ONNXFunction.key(node.domain, node.op, node.overload)] {
        results = try inline(function, node, scope, inputs, title)
      } else {
        guard let version = scope.opsets[node.domain] else {
          throw KilnError(.badInput, "the file does not say the version of the operator set \(KilnError.quoted(node.domain))")
        }
        guard let reader = ONNXOpCatalog.reader(node.op, node.domain, version) else {
          diagnostics.unsupported(kind, title)
          return fail()
        }
        let call = ONNXCall(self, scope, node, scope.prefix + first, version, inputs)
        results = try call.finished(try call.results(by: reader))
      }
      guard let results else { return fail() }
      let wanted = node.outputs.lastIndex { !$0.isEmpty }.map { $0 + 1 } ?? 0
      guard results.count >= wanted else {
        throw KilnError(.unsupportedModel, "its output \(results.count + 1) is not supported")
      }
      for (output, value) in zip(node.outputs, results) where !output.isEmpty { scope.bind(output, value) }
    } catch let error as KilnError {
      diagnostics.add(error, kind, title)
      fail()
    } catch {
      diagnostics.add(KilnError(.internal, "\(error)"), kind, title)
      fail()
    }
  }

  /// Converts the body of a function in the place of a call.
  private func inline(
    _ function: ONNXFunction, _ node: ONNXNode, _ scope: ONNXScope, _ inputs: [ONNXValue?], _ title: String
  ) throws -> [ONNXValue]? {
    let key = ONNXFunction.key(function.domain, function.name, function.overload)
    guard !scope.calls.contains(key) else { throw KilnError(.badInput, "the function \(KilnError.quoted(function.name)) calls itself") }
    guard inputs.count <= function.inputs.count, node.outputs.count <= function.outputs.count else {
      throw KilnError(
        .badInput,
        "the function \(KilnError.quoted(function.name)) has \(function.inputs.count) inputs and \(function.outputs.count) outputs; \(inputs.count) and \(node.outputs.count) are given")
    }
    var attributes: [String: ONNXAttribute] = [:]
    for (name, value) in node.attributes {
      if case .reference(let outer) = value { attributes[name] = scope.attributes[outer] } else { attributes[name] = value }
    }
    let inner = ONNXScope(
      function, builder, opsets: function.opsets.isEmpty ? model.opsets : function.opsets, attributes: attributes, prefix: "\(title)/",
      calls: scope.calls + [key])
    for (index, name) in function.inputs.enumerated() {
      inner.bind(name, index < inputs.count ? inputs[index] ?? .absent : .absent)
    }
    let child = try ONNXConverter(inside: self, builder: builder)
    let values = try child.run(function.nodes, inner, wanted: function.outputs)
    let made = values.compactMap { $0 }
    return made.count == values.count ? made : nil
  }
}
