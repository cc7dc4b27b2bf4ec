import GraphModule
import TensorModule

/// What an optimizer run does.
package struct OptimizerOptions: Sendable {
  package var phases: Set<Phase>
  /// Rules that do not fire, by name.
  package var disabledRules: Set<String> = []
  /// Stop after this many firings; for bisecting.
  package var maximumSteps: Int?
  /// How many bytes of constants rules may add in all.
  package var constantBudget = 64 << 20
  /// Where large constants that rules make are kept, so that they take no memory until they are read; memory without it.
  package var scratch: ScratchFile?
  /// Keep the text of what was replaced and by what.
  package var explains = false
  /// Run the verifier after every firing and check that the measure falls; for tests.
  package var verifies = false

  package init(phases: Set<Phase> = Set(Phase.allCases)) { self.phases = phases }

  /// What an import does: the result is right for every machine.
  package static let portable = OptimizerOptions(phases: [.canonicalise, .simplify, .foldConstants])
  /// Everything, as at load.
  package static let all = OptimizerOptions()
}

/// What fired, in order.
package struct OptimizerTrace: Sendable {
  package struct Firing: Sendable {
    package var rule: String
    package var phase: Phase
    /// The scope and the name of the value at which the rule fired.
    package var scope: String
    package var value: String
    /// Lines of the text form; empty unless the options ask for them.
    package var before: [String]
    package var after: [String]
  }

  package var firings: [Firing] = []
  /// False when `maximumSteps` ended the run.
  package var isComplete = true

  /// The number of firings by rule.
  package var counts: [String: Int] { firings.reduce(into: [:]) { $0[$1.rule, default: 0] += 1 } }
}

/// Rewrites graphs by rules until none fires. Deterministic: the same graph and options give the same result.
package enum Optimizer {
  /// The optimized graph, compacted, and what fired.
  ///
  /// - Parameters:
  ///   - source: the graph; a caller that does not need it any more gives it away, and its constants' memory with it.
  ///   - rules: the rules to use besides the built-in passes.
  /// - Throws: `KilnError`: `usage` for the name of a rule that does not exist, `internal` when a rule breaks its promises.
  package static func run(
    _ source: consuming Graph, _ options: OptimizerOptions = .all, rules: [Rule] = RuleCatalog.rules
  ) throws -> (graph: Graph, trace: OptimizerTrace) {
    // Nothing else holds the graph, so that constants that fold away give their memory back.
    var graph = consume source
    if !options.disabledRules.isEmpty {
      let names = Set(rules.map(\.name) + RuleCatalog.names)
      for name in options.disabledRules.sorted() where !names.contains(name) {
        throw KilnError(
          .usage, "there is no optimizer rule \(KilnError.quoted(name))", hint: "'kconv explain' lists the rules that fired")
      }
    }
    if !graph.states.isEmpty {
      let (lifted, initial) = graph.liftingStates()
      let result = try run(lifted, options, rules: rules)
      return (result.graph.loweringStates(initial), result.trace)
    }
    let isWanted = SizePass.applies(to: graph) && !options.disabledRules.contains(BuiltIn.staticSizes.rawValue)
    // A graph in which a shape cannot be right is left as it is, and fails when it runs.
    let sizes = isWanted ? (try? SizePass.run(graph)) : nil
    guard graph.hasControlFlow || sizes != nil else { return try runRules(consume graph, options, rules) }
    var trace = OptimizerTrace()
    if let sizes {
      trace.firings = sizes.changes.map { firing(.staticSizes, $0, in: graph) }
    }
    graph = sizes?.graph ?? graph
    if !graph.hasControlFlow {
      let result = try runRules(graph, options, rules)
      trace.firings += result.trace.firings
      trace.isComplete = result.trace.isComplete
      return (result.graph, trace)
    }
    for round in 0..<maximumRounds {
      var remaining: OptimizerOptions {
        var copy = options
        copy.maximumSteps = options.maximumSteps.map { max(0, $0 - trace.firings.count) }
        return copy
      }
      func add(_ other: OptimizerTrace) {
        trace.firings += other.firings
        trace.isComplete = trace.isComplete && other.isComplete
      }
      var isDone = true
      if !options.disabledRules.contains(BuiltIn.controlFlow.rawValue), trace.isComplete {
        let made = try ControlFlowPass.run(graph) { subgraph in
          let inner = try run(subgraph, remaining, rules: rules)
          add(inner.trace)
          return inner.graph
        }
        trace.firings += made.changes.map { firing(.controlFlow, $0, in: graph) }
        graph = made.graph
        isDone = made.changes.isEmpty
      }
      if !options.disabledRules.contains(BuiltIn.recurrentLoops.rawValue), options.phases.contains(BuiltIn.recurrentLoops.phase), trace.isComplete {
        let made = try RecurrentLoopPass.run(graph)
        trace.firings += made.changes.map { firing(.recurrentLoops, $0, in: graph) }
        graph = made.graph
        isDone = isDone && made.changes.isEmpty
      }
      if isDone && round > 0 { break }
      let outer = try runRules(graph, remaining, rules)
      graph = outer.graph
      add(outer.trace)
      if !graph.hasControlFlow { break }
    }
    return (graph, trace)
  }

  /// How often loops and branches are looked at again after the rules ran around them.
  private static let maximumRounds = 4

  private static func firing(_ pass: BuiltIn, _ node: Node, in graph: Graph) -> OptimizerTrace.Firing {
    OptimizerTrace.Firing(
      rule: pass.rawValue, phase: pass.phase, scope: node.scope, value: node.outputs.first.map { graph[$0].name } ?? "",
      before: [], after: [])
  }

  private static func runRules(
    _ graph: consuming Graph, _ options: OptimizerOptions, _ rules: [Rule]
  ) throws -> (graph: Graph, trace: OptimizerTrace) {
    var session = Session(graph, options, rules)
    try session.run()
    return (session.workspace.finished().compacted(), session.trace)
  }
}

/// One run.
struct Session {
  let workspace: Workspace
  let options: OptimizerOptions
  private let rules: [SharedRule]
  private(set) var trace = OptimizerTrace()
  private var phase = Phase.canonicalise
  private var active: [(key: String, rule: SharedRule)] = []
  private var byFunction: [ScalarFunction: [SharedRule]] = [:]
  private var byOp: [String: [SharedRule]] = [:]
  private var builtIns: Set<BuiltIn> = []
  private var expressions: [ExpressionKey: Int] = [:]
  private var constantKeys: [ValueID: ConstantKey] = [:]
  private var measure: Measure?
  /// Whether nothing changed since no rule of the phases before fired any more: only those of this phase can.
  private var isSettled = false

  init(_ graph: consuming Graph, _ options: OptimizerOptions, _ rules: [Rule]) {
    workspace = Workspace(graph, scratch: options.scratch)
    self.options = options
    self.rules = rules.filter { !options.disabledRules.contains($0.name) }.map(SharedRule.init)
  }

  mutating func run() throws {
    if options.verifies { measure = Measure(workspace) }
    for phase in Phase.allCases where options.phases.contains(phase) {
      guard !isSettled || rules.contains(where: { $0.rule.phase == phase }) || BuiltIn.allCases.contains(where: { $0.phase == phase }) else { continue }
      self.phase = phase
      select()
      repeat { while try sweep() {} } while try moveStrides() || chain()
      if !trace.isComplete { return }
      isSettled = true
    }
  }

  /// Collects the rules of this phase and of those before it.
  private mutating func select() {
    active = rules.filter { $0.rule.phase <= phase && options.phases.contains($0.rule.phase) }.map { ($0.rule.rootKey, $0) }
    byFunction = [:]
    byOp = [:]
    builtIns = Set(
      BuiltIn.allCases.filter {
        $0.phase <= phase && options.phases.contains($0.phase) && !options.disabledRules.contains($0.rawValue)
      })
  }

  /// The rules that may be rooted at an op, in catalogue order.
  private mutating func candidates(_ op: any OpDefinition) -> [SharedRule] {
    if let op = op as? Elementwise {
      if let known = byFunction[op.function] { return known }
      let keys = ["", Elementwise.name, "\(Elementwise.name).\(op.function.rawValue)"]
      let found = active.filter { keys.contains($0.key) }.map(\.rule)
      byFunction[op.function] = found
      return found
    }
    if let known = byOp[op.opName] { return known }
    let found = active.filter { $0.key.isEmpty || $0.key == op.opName }.map(\.rule)
    byOp[op.opName] = found
    return found
  }

  /// Visits every node in order once.
  ///
  /// - Returns: whether anything fired and there may be more to do.
  private mutating func sweep() throws -> Bool {
    let before = trace.firings.count
    if !isSettled {
      expressions.removeAll(keepingCapacity: true)
      if builtIns.contains(.commonSubexpressions) { try shareConstants() }
    }
    var slot = workspace.first
    while slot >= 0 && trace.isComplete { slot = try visit(slot) ?? workspace.slots[slot].next }
    return trace.isComplete && trace.firings.count > before
  }

  /// Tries everything on one node.
  ///
  /// - Returns: the slot to go on at when something fired (−1 at the end), or nil.
  private mutating func visit(_ slot: Int) throws -> Int? {
    let node = workspace.node(slot)
    let following = workspace.slots[slot].next
    if isSettled { return try visitSettled(slot, node, following) }
    if builtIns.contains(.deadCode), workspace.isDead(node) {
      guard begin() else { return -1 }
      let removed = workspace.removeDead(from: slot)
      try fired(BuiltIn.deadCode.rawValue, node, before: removed.reversed(), after: [])
      return following
    }
    if builtIns.contains(.commonSubexpressions), let resume = try shareExpression(slot, node, following) { return resume }
    if builtIns.contains(.constantFolding), let resume = try foldConstant(slot, node, following) { return resume }
    if node.outputs.count == 1 {
      for rule in candidates(node.op) {
        if let resume = try apply(rule, slot, following) { return resume }
      }
    }
    return nil
  }

  /// Moves strides into convolutions, from the last node to the first, so that they move on through residuals.
  ///
  /// - Returns: whether any was moved.
  private mutating func moveStrides() throws -> Bool {
    guard builtIns.contains(.stridesBack) else { return false }
    let before = trace.firings.count
    var slot = workspace.last
    while slot >= 0 && trace.isComplete {
      let previous = workspace.slots[slot].previous
      if let change = StridePass.change(slot, in: workspace) {
        guard begin() else { break }
        let old = workspace.node(slot)
        let readers = change.readers.map { workspace.node($0.slot) }
        let after = try workspace.apply(change, at: slot)
        try fired(BuiltIn.stridesBack.rawValue, old, before: [old] + readers, after: after)
      }
      slot = previous
    }
    if trace.firings.count > before { isSettled = false }
    return trace.isComplete && trace.firings.count > before
  }

  /// Tries what is new in this phase.
  private mutating func visitSettled(_ slot: Int, _ node: Node, _ following: Int) throws -> Int? {
    var resume: Int?
    if phase == BuiltIn.constantFolding.phase, builtIns.contains(.constantFolding) { resume = try foldConstant(slot, node, following) }
    if resume == nil, node.outputs.count == 1 {
      for rule in candidates(node.op) where rule.rule.phase == phase {
        resume = try apply(rule, slot, following)
        if resume != nil { break }
      }
    }
    guard let resume else { return nil }
    unsettle(before: resume)
    return resume
  }

  /// Has everything tried again from `slot` on, after a rule fired; the nodes before it are known to have no equal among them.
  private mutating func unsettle(before slot: Int) {
    isSettled = false
    expressions.removeAll(keepingCapacity: true)
    guard builtIns.contains(.commonSubexpressions) else { return }
    var earlier = workspace.first
    while earlier >= 0, earlier != slot {
      let key = ExpressionKey(workspace.node(earlier))
      if expressions[key] == nil { expressions[key] = earlier }
      earlier = workspace.slots[earlier].next
    }
  }

  /// Makes chains, from the last node to the first.
  ///
  /// - Returns: whether any was made.
  private mutating func chain() throws -> Bool {
    guard builtIns.contains(.elementwiseChain) else { return false }
    let before = trace.firings.count
    var slot = workspace.last
    while slot >= 0 && trace.isComplete {
      if let group = try ElementwiseChainPass.draft(slot, in: workspace),
        let made = try commit(
          BuiltIn.elementwiseChain.rawValue, slot, group.result, group.draft, group.consumed, workspace.slots[slot].next),
        made >= 0
      {
        slot = workspace.slots[made].previous
      } else {
        slot = workspace.slots[slot].previous
      }
    }
    if trace.firings.count > before { isSettled = false }
    return trace.isComplete && trace.firings.count > before
  }

  private mutating func apply(_ shared: SharedRule, _ slot: Int, _ following: Int) throws -> Int? {
    var resume: Int?
    _ = try shared.find.firstMatch(at: slot, in: workspace) { match in
      let rule = shared.rule
      guard rule.guardTest(match) else { return false }
      var draft = Draft(workspace, root: slot, consumed: match.consumed)
      let result: ValueID?
      do { result = try rule.rewrite(match, &draft) } catch let error as KilnError {
        // An op refuses the types: the rule does not fit here.
        if error.code == .internal { throw error }
        return false
      }
      guard let result, workspace.type(of: result) == match.result else { return false }
      resume = try commit(rule.name, slot, result, draft, match.consumed, following)
      return resume != nil
    }
    return resume
  }

  /// Puts a draft in the place of a node.
  ///
  /// - Returns: the slot to go on at, or nil when the constants would take more than their budget.
  private mutating func commit(
    _ rule: String, _ root: Int, _ result: ValueID, _ draft: Draft, _ consumed: [Int], _ following: Int
  ) throws -> Int? {
    let growth = constantGrowth(draft, consumed)
    guard growth <= 0 || workspace.constantGrowth + growth <= options.constantBudget else {
      workspace.dropUnused(draft.constants)
      return nil
    }
    guard begin() else { return -1 }
    workspace.constantGrowth += max(growth, 0)
    let node = workspace.node(root)
    let old = node.outputs[0]
    let before = options.explains ? consumed.sorted(by: workspace.precedes).map(workspace.node) : []
    let isNew = draft.nodes.contains { $0.outputs[0] == result }
    let label = workspace.slots[root].label
    var resume = following
    var after: [Node] = []
    if isNew {
      for var new in draft.nodes {
        new.inputs = new.inputs.map { $0 == result ? old : $0 }
        if new.outputs[0] == result { new.outputs = [old] }
        after.append(new)
      }
    } else {
      after = draft.nodes
    }
    for (index, new) in after.enumerated() {
      let linked = workspace.link(new, label: label, before: root)
      if index == 0 { resume = linked }
    }
    if !isNew { workspace.replaceUses(of: old, with: result) }
    workspace.unlink(root)
    for slot in consumed where slot != root && workspace.slots[slot].isAlive { _ = workspace.removeDead(from: slot) }
    for input in node.inputs { if let producer = workspace.producer(of: input) { _ = workspace.removeDead(from: producer) } }
    workspace.dropUnused(Set(consumed.flatMap { workspace.node($0).inputs }))
    workspace.settle(draft.constants)
    while resume >= 0 && !workspace.slots[resume].isAlive { resume = workspace.slots[resume].next }
    try fired(rule, node, before: before, after: after, constants: draft.constants)
    return resume
  }

  /// Bytes that the draft's constants take, less those of constants that only the replaced nodes read.
  private func constantGrowth(_ draft: Draft, _ consumed: [Int]) -> Int {
    var growth = draft.constants.reduce(0) { $0 + (workspace.constant($1)?.byteCount ?? 0) }
    if growth == 0 { return 0 }
    for id in Set(consumed.flatMap { workspace.node($0).inputs }) {
      guard let tensor = workspace.constant(id), workspace.users(of: id).allSatisfy(consumed.contains) else { continue }
      growth -= tensor.byteCount
    }
    return growth
  }

  // MARK: Built-in passes

  /// Makes equal constants one.
  private mutating func shareConstants() throws {
    var known: [ConstantKey: [ValueID]] = [:]
    for id in workspace.graph.constants.keys.sorted(by: { $0.index < $1.index }) where !workspace.isUnused(id) {
      guard let tensor = workspace.constant(id) else { continue }
      let key = constantKeys[id] ?? ConstantKey(tensor)
      // An import keeps little of the file in memory; a model that is about to run needs its weights.
      if constantKeys[id] == nil, options.scratch != nil { tensor.releaseMapping() }
      constantKeys[id] = key
      if let same = known[key]?.first(where: { workspace.constant($0) == tensor }) {
        guard begin() else { return }
        workspace.replaceUses(of: id, with: same)
        try fired(
          BuiltIn.commonSubexpressions.rawValue, nil, value: workspace.graph[id].name, before: [], after: [],
          constants: [same], sharesOnly: true)
      } else {
        known[key, default: []].append(id)
      }
    }
  }

  private mutating func shareExpression(_ slot: Int, _ node: Node, _ following: Int) throws -> Int? {
    let key = ExpressionKey(node)
    guard let earlier = expressions[key], earlier != slot, workspace.slots[earlier].isAlive,
      ExpressionKey(workspace.node(earlier)) == key
    else {
      expressions[key] = slot
      return nil
    }
    let other = workspace.node(earlier)
    guard zip(node.outputs, other.outputs).allSatisfy({ workspace.type(of: $0) == workspace.type(of: $1) }) else { return nil }
    guard begin() else { return -1 }
    for (old, new) in zip(node.outputs, other.outputs) { workspace.replaceUses(of: old, with: new) }
    workspace.unlink(slot)
    try fired(BuiltIn.commonSubexpressions.rawValue, node, before: [node], after: [other])
    return following
  }

  private mutating func foldConstant(_ slot: Int, _ node: Node, _ following: Int) throws -> Int? {
    guard let tensors = ConstantFolder.fold(node, in: workspace) else { return nil }
    var growth = tensors.reduce(0) { $0 + $1.byteCount }
    for id in Set(node.inputs) where workspace.users(of: id).allSatisfy({ $0 == slot }) {
      growth -= workspace.constant(id)?.byteCount ?? 0
    }
    guard growth <= 0 || workspace.constantGrowth + growth <= options.constantBudget else { return nil }
    guard begin() else { return -1 }
    workspace.constantGrowth += max(growth, 0)
    workspace.unlink(slot)
    for (id, tensor) in zip(node.outputs, tensors) { workspace.makeConstant(id, tensor) }
    workspace.dropUnused(Set(node.inputs))
    workspace.settle(node.outputs)
    try fired(BuiltIn.constantFolding.rawValue, node, before: [node], after: [], constants: node.outputs)
    return following
  }

  // MARK: Trace

  /// Whether another firing is allowed.
  private mutating func begin() -> Bool {
    if let limit = options.maximumSteps, trace.firings.count >= limit { trace.isComplete = false }
    return trace.isComplete
  }

  private mutating func fired(
    _ rule: String, _ node: Node?, value: String = "", before: [Node], after: [Node], constants: [ValueID] = [],
    sharesOnly: Bool = false
  ) throws {
    let graph = workspace.graph
    var firing = OptimizerTrace.Firing(
      rule: rule, phase: phase, scope: node?.scope ?? "", value: node.map { graph[$0.outputs[0]].name } ?? value,
      before: [], after: [])
    if options.explains {
      firing.before = before.map { TextForm.line($0, in: graph) }
      if sharesOnly { firing.before = ["const \(value)"] }
      firing.after = constants.map { "const \(graph[$0].name): \(graph.type(of: $0))" } + after.map { TextForm.line($0, in: graph) }
    }
    trace.firings.append(firing)
    guard options.verifies else { return }
    let now = Measure(workspace)
    do { try Verifier.verify(workspace.finished()) } catch let error as KilnError {
      throw KilnError(.internal, "rule '\(rule)' broke the graph: \(error.line)")
    }
    if let measure, !sharesOnly, !(now < measure) {
      throw KilnError(.internal, "rule '\(rule)' at '\(firing.value)' did not lower the measure: \(measure) to \(now)")
    }
    measure = now
  }
}
