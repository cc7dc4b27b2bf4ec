import GraphModule
import TensorModule

/// The `Merge` nodes of one condition of TensorFlow 1, and what its sides read of what is around it.
struct TFCondition {
  let merges: [(node: Int, merge: TFConditions.Merge)]
  /// Outputs of nodes inside that stand for a tensor outside.
  let boundary: [(output: TFOutput, reference: TFReference)]

  /// All merges on the predicate of `key` that are needed and do not depend on each other.
  init(_ converter: TFConverter, _ key: TFKey, _ frame: TFFrame, _ first: TFConditions.Merge) throws {
    var merges = [(node: key.node, merge: first)]
    let around = try converter.conditions.sides(frame, key.node, key.frame)
    let needed = converter.reached(frame)
    var before = [TFCondition.before(frame, key.node)]
    for (index, node) in frame.nodes.enumerated() where node.op.hasSuffix("Merge") && index != key.node && needed.contains(index) {
      let other = TFKey(frame: key.frame, node: index)
      guard converter.results[other] == nil, converter.bound[TFOutput(key: other, index: 0)] == nil,
        let merge = try converter.conditions.merge(converter, other), merge.predicate == first.predicate,
        try converter.conditions.sides(frame, index, key.frame) == around
      else { continue }
      let own = TFCondition.before(frame, index)
      guard !merges.contains(where: { own.contains($0.node) }), !before.contains(where: { $0.contains(index) }) else { continue }
      merges.append((index, merge))
      before.append(own)
    }
    self.merges = merges
    boundary = try TFCondition.boundary(converter, key, frame, merges.map(\.merge))
  }

  /// The nodes that a node depends on.
  private static func before(_ frame: TFFrame, _ start: Int) -> Set<Int> {
    var seen: Set<Int> = []
    var stack = frame.nodes[start].inputs.compactMap { frame.node(named: $0.node) }
    while let top = stack.popLast() {
      guard seen.insert(top).inserted else { continue }
      stack += frame.nodes[top].inputs.compactMap { frame.node(named: $0.node) }.filter { !seen.contains($0) }
    }
    return seen
  }

  private static func boundary(
    _ converter: TFConverter, _ key: TFKey, _ frame: TFFrame, _ merges: [TFConditions.Merge]
  ) throws -> [(output: TFOutput, reference: TFReference)] {
    guard let predicate = merges.first?.predicate else { return [] }
    var found: [(output: TFOutput, reference: TFReference)] = []
    var seen: Set<TFOutput> = []
    var walked: Set<Int> = []
    var stack = merges.flatMap(\.sides)
    while let reference = stack.popLast() {
      guard let position = frame.node(named: reference.node) else { continue }
      let node = frame.nodes[position]
      func output(_ index: Int) -> TFOutput { TFOutput(key: TFKey(frame: key.frame, node: position), index: index) }
      if node.op.hasSuffix("Switch"), node.inputs.count == 2, converter.conditions.origin(frame, node.inputs[1]) == predicate {
        if seen.insert(output(0)).inserted { found += [(output(0), node.inputs[0]), (output(1), node.inputs[0])] }
        continue
      }
      let guards = try converter.conditions.sides(frame, position, key.frame)
      if guards[predicate.description] == nil, !node.inputs.isEmpty {
        if reference.argument == nil, seen.insert(output(reference.index)).inserted { found.append((output(reference.index), reference)) }
        continue
      }
      if walked.insert(position).inserted { stack += node.inputs }
    }
    return found
  }

  /// The nodes that must be finished before the condition is converted.
  func needs(_ converter: TFConverter, _ frame: TFFrame) throws -> [TFKey] { try converter.keys(frame, boundary.map(\.reference)) }

  /// Adds the branch; the results of `key`, those of the other merges are entered too.
  func convert(_ converter: TFConverter, _ key: TFKey, _ frame: TFFrame, _ selector: TFValue) throws -> [TFValue]? {
    var outside: [TFOutput: TFValue] = [:]
    for (output, reference) in boundary {
      guard let value = try converter.value(frame, reference) else { return nil }
      outside[output] = value
    }
    let sides = (0...1).map { side -> TFBranch.Part in
      { builder, diagnostics in
        let child = try TFConverter(continuing: converter, builder: builder, diagnostics: diagnostics)
        child.bound.merge(outside) { _, new in new }
        return try child.values(merges.map { (frame, $0.merge.input(side)) })
      }
    }
    let branch = TFBranch(
      name: frame.path(key.node), selector: selector, sides: sides, resultNames: merges.map { frame.path($0.node) })
    let found = TFDiagnostics()
    let results = try branch.build(converter.builder, found)
    converter.diagnostics.merge(found)
    guard let results else { return nil }
    for (index, value) in results.enumerated().dropFirst() { converter.finish(TFKey(frame: key.frame, node: merges[index].node), [value]) }
    return [results[0]]
  }
}
