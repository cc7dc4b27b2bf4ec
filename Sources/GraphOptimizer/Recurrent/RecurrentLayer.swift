import GraphModule
import TensorModule

/// The first of several layers in the body of one loop: a cell whose input is a slice, and whose output the rest of the body reads.
///
/// The layer can run over the whole sequence before the loop, which then takes the layer's outputs as slices. Where steps are masked, what the
/// rest computes from the output may only be looked at where the step counts.
struct RecurrentLayer {
  var found: RecurrentBody.Found
  /// The loop without the layer; its last sliced operand is the layer's outputs, time first.
  var rest: Loop

  /// Nil when there is no such layer.
  ///
  /// - Parameter mayRunOn: whether the layer may run after the loop's condition has become false.
  init?(_ loop: Loop, mayRunOn: (RecurrentBody.Found) -> Bool) {
    guard loop.sliced > 0, loop.maxTrips == nil else { return nil }
    let body = RecurrentBody(loop)
    for found in body.cells() {
      guard loop.condition == nil || mayRunOn(found), let rest = RecurrentLayer.rest(loop, body, found) else { continue }
      self.found = found
      self.rest = rest
      return
    }
    return nil
  }

  private static func rest(_ loop: Loop, _ body: RecurrentBody, _ found: RecurrentBody.Found) -> Loop? {
    let states = [found.h] + (found.c.map { [$0] } ?? [])
    let newH = body.next(found.h).value
    guard !body.reader.graph.inputs.contains(newH) else { return nil }
    var graph = loop.body
    let output = graph.declareInput("layer", graph.type(of: newH))
    for index in graph.nodes.indices {
      graph.nodes[index].inputs = graph.nodes[index].inputs.map { $0 == newH ? output : $0 }
    }
    graph.outputs = loop.body.outputs.enumerated().filter { !states.contains($0.offset) }.map(\.element)
    for index in graph.outputs.indices where graph.outputs[index].value == newH { graph.outputs[index].value = output }
    let producers = graph.producers()
    func reached(_ start: ValueID) -> Set<ValueID> {
      var seen: Set<ValueID> = []
      var stack = [start]
      while let id = stack.popLast() {
        guard seen.insert(id).inserted, let producer = producers[id] else { continue }
        stack += graph.nodes[producer].inputs
      }
      return seen
    }
    let own = Set(states.map { body.carried[$0] })
    var isRead = false
    for (place, item) in graph.outputs.enumerated() {
      let needed = reached(item.value)
      guard needed.isDisjoint(with: own) else { return nil }
      guard needed.contains(output) else { continue }
      isRead = true
      guard let mask = found.mask else { continue }
      let original = loop.body.outputs.indices.filter { !states.contains($0) }[place]
      guard let parts = body.masked(body.outputs[original]), parts.mask == mask, !reached(parts.other == newH ? output : parts.other).contains(output) else { return nil }
    }
    guard isRead else { return nil }
    var copy = loop
    if var condition = loop.condition {
      let inputs = states.map { condition.inputs[1 + $0] }
      guard condition.nodes.allSatisfy({ $0.inputs.allSatisfy { !inputs.contains($0) } }), !condition.outputs.contains(where: { inputs.contains($0.value) })
      else { return nil }
      condition.setInputs(condition.inputs.filter { !inputs.contains($0) })
      copy.condition = condition
    }
    let captures = loop.body.inputs[(1 + loop.carried + loop.sliced)...]
    graph.setInputs([loop.body.inputs[0]] + body.carried.filter { !own.contains($0) } + body.sliced + [output] + captures)
    copy.carried -= states.count
    copy.sliced += 1
    copy.body = graph.compacted()
    return copy
  }
}
