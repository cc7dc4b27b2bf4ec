import GraphModule
import TensorModule

/// Turns the nodes that given outputs need into a graph. Calls of functions are inlined; walks are iterative.
final class TFConverter {
  enum Source {
    case output(TFOutput)
    case value(TFValue)
  }

  let model: TFModel
  let diagnostics: TFDiagnostics
  let builder: TFBuilder
  /// How many bodies of loops and branches are around.
  let depth: Int
  private(set) var frames: [TFFrame]
  private var children: [TFOutput: TFFrame] = [:]
  /// Finished nodes; nil where a problem stands in the way.
  private(set) var results: [TFKey: [TFValue]?] = [:]
  /// Loops of TensorFlow 1 by the nodes that decide whether they go on.
  var loops: [TFKey: TFLoopFrame] = [:]
  /// Conditions of TensorFlow 1 by a node in which their sides come together.
  var branches: [TFKey: TFCondition] = [:]
  /// Outputs that stand for another tensor, which only a value tells: of a branch on a constant.
  private var redirects: [TFOutput: (frame: TFFrame, reference: TFReference)] = [:]
  /// Outputs that have a value already.
  var bound: [TFOutput: TFValue] = [:]
  /// Bound values that something asked for.
  private(set) var read: Set<ObjectIdentifier> = []
  /// Placeholders whose rank nobody knows, with their names.
  var shapeless: [TFOutput: String] = [:]
  private var totalNodes = 0
  var conditions = TFConditions()
  private let budget: TFBudget
  /// What was asked for in each frame, and the nodes that it needs.
  private var roots: [Int: [TFReference]] = [:]
  private var reachedNodes: [Int: Set<Int>] = [:]

  /// A converter of the whole graph.
  init(_ model: TFModel, builder: TFBuilder, diagnostics: TFDiagnostics) throws {
    self.model = model
    self.builder = builder
    self.diagnostics = diagnostics
    depth = 0
    frames = [try TFFrame(graph: model.graph.nodes)]
    budget = TFBudget()
  }

  /// A converter of a function's body, or of a part of a frame, inside another.
  init(inside outer: TFConverter, frame: TFFrame, builder: TFBuilder, diagnostics: TFDiagnostics) throws {
    guard outer.depth < TFFrame.maximumDepth else {
      throw KilnError(.badInput, "loops and branches are nested deeper than \(TFFrame.maximumDepth) levels")
    }
    model = outer.model
    self.diagnostics = diagnostics
    self.builder = builder
    depth = outer.depth + 1
    frames = [frame]
    budget = outer.budget
  }

  /// A converter of a part of a frame of another: what it converts is its own, what has a value there is not.
  init(continuing outer: TFConverter, builder: TFBuilder, diagnostics: TFDiagnostics) throws {
    guard outer.depth < TFFrame.maximumDepth else {
      throw KilnError(.badInput, "loops and branches are nested deeper than \(TFFrame.maximumDepth) levels")
    }
    model = outer.model
    self.diagnostics = diagnostics
    self.builder = builder
    depth = outer.depth + 1
    frames = outer.frames
    children = outer.children
    bound = outer.bound
    conditions = outer.conditions
    budget = outer.budget
  }

  var root: TFFrame { frames[0] }

  // MARK: Finding what an operand is

  static let transparent: Set<String> = [
    "Identity", "StopGradient", "PreventGradient", "CheckNumerics", "CheckNumericsV2", "Snapshot", "RefIdentity", "EnsureShape",
    "PlaceholderWithDefault", "IdentityN", "Switch", "RefSwitch", "DebugIdentity", "DebugIdentityV2", "DebugIdentityV3",
    "DisableCopyOnRead", "Copy", "CopyHost", "LoopCond", "MutexV2", "GuaranteeConst", "TensorArrayCloseV3", "PartitionedCallIdentity",
  ]

  /// The output that an operand is, through nodes that only pass values on and through calls.
  func locate(_ frame: TFFrame, _ reference: TFReference) throws -> Source {
    var (frame, reference) = (frame, reference)
    for _ in 0..<TFGraph.maximumNodes {
      if let argument = frame.argument(named: reference.node) {
        switch frame.arguments {
        case .values(let values):
          guard values.indices.contains(argument) else { throw missing(frame, reference) }
          return .value(values[argument])
        case .call(let outer, let node, let offset):
          let inputs = outer.nodes[node].inputs
          guard inputs.indices.contains(argument + offset) else {
            throw KilnError(
              .badInput,
              "node \(KilnError.quoted(outer.path(node))) gives \(inputs.count) inputs to the function \(KilnError.quoted(frame.function?.name ?? ""))")
          }
          (frame, reference) = (outer, inputs[argument + offset])
          continue
        case .none: throw missing(frame, reference)
        }
      }
      guard let position = frame.node(named: reference.node) else { throw missing(frame, reference) }
      let node = frame.nodes[position]
      let key = TFKey(frame: frame.id, node: position)
      let called = try function(of: node)
      var index = reference.index
      if let argument = reference.argument {
        let found =
          called.map { function in function.outputs.firstIndex { $0.name == argument }.map { $0 + reference.index } ?? reference.index }
          ?? TFOutputNames.index(node, argument, reference.index)
        guard let found else {
          throw KilnError(.badInput, "op '\(node.op)' (node \(KilnError.quoted(frame.path(position)))) has no output \(KilnError.quoted(argument))")
        }
        index = found
      }
      let output = TFOutput(key: key, index: index)
      if let value = bound[output] {
        read.insert(ObjectIdentifier(value))
        return .value(value)
      }
      if let redirect = redirects[output] {
        (frame, reference) = redirect
      } else if let called {
        (frame, reference) = try result(index, of: call(called, frame, position, offset: 0))
      } else if TFConverter.transparent.contains(node.op) {
        let input = node.op == "IdentityN" ? index : 0
        guard node.inputs.indices.contains(input) else { throw missing(frame, reference) }
        reference = node.inputs[input]
      } else {
        return .output(output)
      }
    }
    throw KilnError(.badInput, "nodes around \(KilnError.quoted(frame.prefix + reference.node)) form a cycle")
  }

  private func missing(_ frame: TFFrame, _ reference: TFReference) -> KilnError {
    let place = frame.function.map { "function \(KilnError.quoted($0.name)): " } ?? ""
    return KilnError(.badInput, "\(place)there is no tensor \(KilnError.quoted(reference.description))")
  }

  /// The function that a node calls.
  func function(of node: TFNode) throws -> TFFunction? {
    if node.op == "PartitionedCall" || node.op == "StatefulPartitionedCall" || node.op == "RemoteCall" {
      guard case .function(let name)? = node.attributes["f"], let function = model.graph.functions[name] else {
        throw KilnError(.badInput, "node \(KilnError.quoted(node.name)) calls a function that the file does not have")
      }
      return function
    }
    return model.graph.functions[node.op]
  }

  /// The frame of a call; `place` tells the branches of one node apart.
  func call(_ function: TFFunction, _ frame: TFFrame, _ node: Int, offset: Int, place: Int = 0) throws -> TFFrame {
    let key = TFOutput(key: TFKey(frame: frame.id, node: node), index: place)
    if let known = children[key] { return known }
    var around: TFFrame? = frame
    while let open = around {
      if open.function?.name == function.name {
        throw KilnError(.badInput, "function \(KilnError.quoted(function.name)) calls itself")
      }
      if case .call(let outer, _, _) = open.arguments { around = outer } else { around = nil }
    }
    totalNodes += function.nodes.count
    guard totalNodes <= TFGraph.maximumNodes else {
      throw KilnError(.badInput, "its calls of functions come to more than \(TFGraph.maximumNodes) nodes")
    }
    guard frames.count <= TFFrame.maximumCalls else {
      throw KilnError(.badInput, "its functions are called more than \(TFFrame.maximumCalls) times")
    }
    let child = try TFFrame(
      id: frames.count, function, prefix: frame.path(node) + "/", arguments: .call(frame, node: node, offset: offset),
      attributes: frame.nodes[node].attributes, depth: frame.depth + 1)
    frames.append(child)
    children[key] = child
    return child
  }

  /// What a function's output is in its frame.
  func result(_ index: Int, of frame: TFFrame) throws -> (TFFrame, TFReference) {
    guard let function = frame.function, function.outputs.indices.contains(index),
      let reference = function.results[function.outputs[index].name]
    else {
      throw KilnError(.badInput, "function \(KilnError.quoted(frame.function?.name ?? "")) has no output \(index)")
    }
    return (frame, reference)
  }

  // MARK: Walking

  /// Converts what the references need.
  ///
  /// - Returns: the values; nil where a problem, which is noted, stands in the way.
  func values(_ references: [(frame: TFFrame, reference: TFReference)]) throws -> [TFValue?] {
    for (frame, reference) in references { roots[frame.id, default: []].append(reference) }
    reachedNodes = [:]
    return try references.map { frame, reference in
      var tries = 0
      while true {
        switch try locate(frame, reference) {
        case .value(let value): return value
        case .output(let output):
          if let made = results[output.key] { return try pick(made, output) }
          try run(output.key)
          // A branch on a constant leads elsewhere now.
          tries += 1
          guard tries < 10_000 else { throw KilnError(.badInput, "branches lead to branches without end") }
        }
      }
    }
  }

  /// The nodes of a frame that what was asked for may need.
  func reached(_ frame: TFFrame) -> Set<Int> {
    if let known = reachedNodes[frame.id] { return known }
    let starts = (roots[frame.id] ?? []) + (frame.function.map { Array($0.results.values) } ?? [])
    var stack = starts.compactMap { frame.node(named: $0.node) }
    var seen: Set<Int> = []
    while let top = stack.popLast() {
      guard seen.insert(top).inserted else { continue }
      stack += frame.nodes[top].inputs.compactMap { frame.node(named: $0.node) }
    }
    reachedNodes[frame.id] = seen
    return seen
  }

  private func pick(_ made: [TFValue]?, _ output: TFOutput) throws -> TFValue? {
    guard let made else { return nil }
    guard made.indices.contains(output.index) else {
      let frame = frames[output.key.frame]
      throw KilnError(
        .badInput,
        "op '\(frame.nodes[output.key.node].op)' (node \(KilnError.quoted(frame.path(output.key.node)))) has no output \(output.index)")
    }
    return made[output.index]
  }

  /// Converts one node and all that it needs.
  private func run(_ start: TFKey) throws {
    var stack = [start]
    var open: Set<TFKey> = []
    while let top = stack.last {
      if results[top] != nil {
        stack.removeLast()
        open.remove(top)
        continue
      }
      try budget.spend()
      let waiting = try needs(top).filter { results[$0] == nil }
      if waiting.isEmpty {
        results[top] = .some(convert(top))
        continue
      }
      open.insert(top)
      if let cycle = waiting.first(where: open.contains) {
        let names = open.map { frames[$0.frame].path($0.node) }.sorted().prefix(8).map { KilnError.quoted($0) }
        _ = cycle
        throw KilnError(.badInput, "nodes \(names.joined(separator: ", ")) form a cycle")
      }
      stack += waiting
    }
  }

  /// The nodes that must be finished before `key`; asked again after each round.
  private func needs(_ key: TFKey) throws -> [TFKey] {
    let frame = frames[key.frame]
    let node = frame.nodes[key.node]
    if let special = try TFControlFlow.needs(self, key, frame, node) { return special }
    if let dropout = try TFDropout(self, frame, node) {
      let waiting = try dropout.needs(self)
      if try !waiting.isEmpty || dropout.mask(self) != nil { return waiting }
    }
    if let atrous = try TFAtrous(self, frame, node) {
      let waiting = try atrous.needs(self)
      if !waiting.isEmpty || atrous.fits(self) { return waiting }
    }
    return try keys(frame, node.inputs)
  }

  func keys(_ frame: TFFrame, _ references: some Sequence<TFReference>) throws -> [TFKey] {
    try references.compactMap { reference in
      if case .output(let output) = try locate(frame, reference) { output.key } else { nil }
    }
  }

  /// A finished operand; nil when a problem stands in the way.
  func value(_ frame: TFFrame, _ reference: TFReference) throws -> TFValue? {
    switch try locate(frame, reference) {
    case .value(let value): return value
    case .output(let output):
      guard let made = results[output.key] else { throw KilnError(.internal, "\(reference) is not converted yet") }
      return try pick(made, output)
    }
  }

  /// Lets go of everything: values and the closures that make them hold the converter.
  func close() {
    results = [:]
    bound = [:]
    redirects = [:]
    loops = [:]
    builder.close()
  }

  /// Enters the results of a node that was converted with another.
  func finish(_ key: TFKey, _ values: [TFValue]) { results[key] = .some(values) }

  /// Lets an output stand for another tensor.
  func redirect(_ output: TFOutput, to frame: TFFrame, _ reference: TFReference) {
    redirects[output] = (frame, reference)
  }

  private func convert(_ key: TFKey) -> [TFValue]? {
    let frame = frames[key.frame]
    let node = frame.nodes[key.node]
    let path = frame.path(key.node)
    diagnostics.count(node.op)
    do {
      if TFControlFlow.ops.contains(node.op) { return try TFControlFlow.convert(self, key, frame, node) }
      if let name = shapeless[TFOutput(key: key, index: 0)] {
        throw KilnError(.badInput, "the file does not say the shape of the input \(KilnError.quoted(name))", hint: "--input-shape \(name)=1,…")
      }
      guard let reader = TFOpCatalog.readers[node.op] else {
        diagnostics.unsupported(node.op, path)
        return nil
      }
      if let dropout = try TFDropout(self, frame, node), try dropout.needs(self).isEmpty, let mask = try dropout.mask(self) {
        return [.constant(mask, builder, name: path)]
      }
      if let atrous = try TFAtrous(self, frame, node), try atrous.needs(self).isEmpty, atrous.fits(self) {
        return try atrous.convert(self, path)
      }
      let operands = try node.inputs.map { try value(frame, $0) }
      let inputs = operands.compactMap { $0 }
      guard inputs.count == operands.count else { return nil }
      let call = TFCall(self, frame, node, path, inputs)
      if let known = try? TFShapeArithmetic.evaluate(call) {
        return known.enumerated().map { index, elements in
          TFValue.known(elements, builder, name: index == 0 ? path : "\(path):\(index)") {
            if let made = try call.sizes(elements, output: index) { return made }
            let made = try call.named(TFNumbers.apply(call, reader))
            guard made.indices.contains(index) else { throw call.wrong("has no output \(index)") }
            return try made[index].materialised()
          }
        }
      }
      let made = try call.named(TFNumbers.apply(call, reader))
      TFShapeArithmetic.trace(call, made)
      return made
    } catch let error as KilnError {
      diagnostics.add(error, node.op, path)
      return nil
    } catch {
      diagnostics.add(KilnError(.internal, "\(error)"), node.op, path)
      return nil
    }
  }
}
