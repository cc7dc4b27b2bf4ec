import GraphModule
import TensorModule

/// Groups elementwise nodes that feed each other into one `ElementwiseChain`, so that they run as one loop.
///
/// A group is a root and every elementwise node above it whose only reader is in the group, has the root's dims (a
/// smaller one would be computed again for each element that it broadcasts to), and the root's dtype. Roots must be tried
/// from the end of the graph: then a node that is still alone is one that no group behind it could take in.
enum ElementwiseChainPass {
  static let maximumInputs = 16
  static let maximumSteps = 32

  /// The chain rooted at a slot, or nil.
  static func draft(
    _ root: Int, in workspace: Workspace
  ) throws -> (draft: Draft, result: ValueID, consumed: [Int])? {
    guard isMember(root, of: nil, in: workspace) else { return nil }
    let members = collect(root, in: workspace)
    guard members.count >= 2 else { return nil }
    return try build(root, members, in: workspace)
  }

  /// Whether a node can be a step: float in, the same float out.
  private static func isMember(_ slot: Int, of type: TensorType?, in workspace: Workspace) -> Bool {
    let node = workspace.node(slot)
    guard node.outputs.count == 1, let op = node.op as? Elementwise, !op.function.isPredicate, !op.function.isSpecial, op.function != .select,
      op.function != .identity
    else { return false }
    let result = workspace.type(of: node.outputs[0])
    return result.dtype.isFloat && node.inputs.allSatisfy { workspace.type(of: $0).dtype == result.dtype }
      && (type == nil || result == type)
  }

  /// The group of a root, root first; consumers come before producers.
  private static func collect(_ root: Int, in workspace: Workspace) -> [Int] {
    let type = workspace.type(of: workspace.node(root).outputs[0])
    var members = [root]
    var inputs = Set(workspace.node(root).inputs.filter { workspace.splat($0) == nil })
    var grew = true
    while grew {
      grew = false
      for member in members {
        for input in workspace.node(member).inputs {
          guard let slot = workspace.producer(of: input), !members.contains(slot), !workspace.isOutput(input),
            workspace.users(of: input).allSatisfy(members.contains), isMember(slot, of: type, in: workspace),
            members.count < maximumSteps
          else { continue }
          var wider = inputs
          wider.remove(input)
          wider.formUnion(workspace.node(slot).inputs.filter { workspace.splat($0) == nil })
          guard wider.count <= maximumInputs else { continue }
          inputs = wider
          members.append(slot)
          grew = true
        }
      }
    }
    return members
  }

  private static func build(
    _ root: Int, _ members: [Int], in workspace: Workspace
  ) throws -> (draft: Draft, result: ValueID, consumed: [Int])? {
    var order: [Int] = []
    func place(_ slot: Int) {
      if order.contains(slot) { return }
      for input in workspace.node(slot).inputs {
        if let producer = workspace.producer(of: input), members.contains(producer) { place(producer) }
      }
      order.append(slot)
    }
    place(root)
    var inputs: [ValueID] = []
    var stepOf: [ValueID: Int] = [:]
    var steps: [ElementwiseChain.Step] = []
    for slot in order {
      let node = workspace.node(slot)
      guard let op = node.op as? Elementwise else { return nil }
      let operands: [ElementwiseChain.Operand] = node.inputs.map { input in
        if let step = stepOf[input] { return .step(step) }
        if let number = workspace.splat(input), workspace.type(of: input).rank <= workspace.type(of: node.outputs[0]).rank,
          number.isFinite
        {
          return .constant(number)
        }
        if let index = inputs.firstIndex(of: input) { return .input(index) }
        inputs.append(input)
        return .input(inputs.count - 1)
      }
      stepOf[node.outputs[0]] = steps.count
      steps.append(ElementwiseChain.Step(function: op.function, parameters: op.parameters, operands: operands))
    }
    guard !inputs.isEmpty, inputs.count <= maximumInputs else { return nil }
    guard workspace.haveOneDevice(members) else { return nil }
    var draft = Draft(workspace, root: root, consumed: members)
    let result = try draft.add(ElementwiseChain(inputCount: inputs.count, steps: steps), inputs)
    guard workspace.type(of: result) == workspace.type(of: workspace.node(root).outputs[0]) else { return nil }
    return (draft, result, members)
  }
}
