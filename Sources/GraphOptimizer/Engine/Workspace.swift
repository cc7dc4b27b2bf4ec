import GraphModule
import TensorModule

/// A graph under rewriting: nodes in a linked list that is always in topological order, with producers and users kept
/// up to date, so that a rewrite costs what it touches.
///
/// Slot numbers are never used again; a removed slot stays dead. Results keep their `ValueID` when their node is
/// replaced, so consumers need not change.
package final class Workspace {
  struct Slot {
    var node: Node
    var isAlive = true
    var next = -1
    var previous = -1
    /// The index of the original node whose place this one has; ties are possible, order within them is the list's.
    var label: Int
  }

  /// Values, types and constants; its node list is not used.
  private(set) var graph: Graph
  private(set) var slots: [Slot] = []
  private(set) var first = -1
  private(set) var last = -1
  private(set) var count = 0
  private var producers: [Int]
  private var userLists: [[Int]]
  private var outputUses: [Int]
  private var splats: [ValueID: Double?] = [:]
  /// Bytes of constants made so far, less those whose last use went away with them.
  var constantGrowth = 0
  private let scratch: ScratchFile?
  /// Bytes from which a constant is put into the scratch file.
  private static let large = 256 << 10

  init(_ source: consuming Graph, scratch: ScratchFile? = nil) {
    graph = source
    self.scratch = scratch
    producers = [Int](repeating: -1, count: graph.values.count)
    userLists = [[Int]](repeating: [], count: graph.values.count)
    outputUses = [Int](repeating: 0, count: graph.values.count)
    for output in graph.outputs { outputUses[output.value.index] += 1 }
    let nodes = graph.nodes
    graph.nodes = []
    for (index, node) in nodes.enumerated() { link(node, label: index, before: -1) }
  }

  /// The graph as it stands.
  func finished() -> Graph {
    var result = graph
    result.nodes = []
    result.nodes.reserveCapacity(count)
    var slot = first
    while slot >= 0 {
      result.nodes.append(slots[slot].node)
      slot = slots[slot].next
    }
    return result
  }

  // MARK: Questions

  func node(_ slot: Int) -> Node { slots[slot].node }
  func type(of id: ValueID) -> TensorType { graph.type(of: id) }

  /// The slot of the node that makes a value, or nil for inputs and constants.
  func producer(of id: ValueID) -> Int? { producers[id.index] >= 0 ? producers[id.index] : nil }

  /// The slots of the nodes that read a value, once per operand.
  func users(of id: ValueID) -> [Int] { userLists[id.index] }

  func isOutput(_ id: ValueID) -> Bool { outputUses[id.index] > 0 }
  func constant(_ id: ValueID) -> Tensor? { graph.constants[id] }
  func isUnused(_ id: ValueID) -> Bool { userLists[id.index].isEmpty && outputUses[id.index] == 0 }

  /// Whether nothing needs a node. One that finds sizes is kept here; it goes when the finished graph is compacted.
  func isDead(_ node: Node) -> Bool { node.outputs.allSatisfy(isUnused) && !graph.mayFindSizes(node) }

  /// The number that all elements of a constant are, or nil. An empty constant has none.
  func splat(_ id: ValueID) -> Double? {
    guard let tensor = graph.constants[id] else { return nil }
    if let known = splats[id] { return known }
    let number = tensor.splat
    splats[id] = .some(number)
    return number
  }

  /// Whether a node comes before another, as far as their labels tell.
  func precedes(_ a: Int, _ b: Int) -> Bool { (slots[a].label, a) < (slots[b].label, b) }

  // MARK: Changes

  /// Enters a value; nothing makes or reads it yet.
  func declare(_ name: String, _ type: TensorType) -> ValueID {
    let id = graph.declare(name, type)
    grow()
    return id
  }

  func addConstant(_ name: String, _ tensor: Tensor) -> ValueID {
    let id = graph.addConstant(name, tensor)
    grow()
    return id
  }

  /// Makes a result that nothing produces any more a constant.
  func makeConstant(_ id: ValueID, _ tensor: Tensor) { graph.replaceConstant(id, with: tensor) }

  /// Lets go of constants that nothing reads any more, so that what is made of them can take their memory.
  func dropUnused(_ ids: some Sequence<ValueID>) {
    for id in ids where isUnused(id) {
      guard let tensor = graph.constants[id] else { continue }
      tensor.releaseMapping()
      graph.removeConstant(id)
    }
  }

  /// Gives a convolution its readers' strides.
  ///
  /// - Returns: the nodes that stand there now.
  func apply(_ change: StridePass.Change, at slot: Int) throws -> [Node] {
    var node = slots[slot].node
    let result = node.outputs[0]
    let label = slots[slot].label
    var made: [Node] = []
    node.op = change.conv
    if let (place, slice) = change.residual {
      let part = declare("\(graph[result].name)/\(Slice.name)", try slice.infer([type(of: node.inputs[place])])[0])
      made.append(Node(op: slice, inputs: [node.inputs[place]], outputs: [part], scope: node.scope, device: node.device))
      node.inputs[place] = part
    }
    made.append(node)
    let following = slots[slot].next
    unlink(slot)
    graph.setType(change.type, of: result)
    for node in made { link(node, label: label, before: following) }
    for (slot, op) in change.readers {
      guard let op else {
        replaceUses(of: slots[slot].node.outputs[0], with: result)
        unlink(slot)
        continue
      }
      slots[slot].node.op = op
      made.append(slots[slot].node)
    }
    return made
  }

  /// Puts large constants into the scratch file. One that finds no room there stays in memory.
  func settle(_ ids: [ValueID]) {
    guard let scratch else { return }
    for id in ids {
      guard let tensor = graph.constants[id], tensor.dtype != .string, !tensor.isDeferred, tensor.byteCount >= Workspace.large,
        let kept = try? scratch.keep(tensor)
      else { continue }
      tensor.releaseMapping()
      graph.replaceConstant(id, with: kept)
    }
  }

  private func grow() {
    producers.append(-1)
    userLists.append([])
    outputUses.append(0)
  }

  /// Puts a node before another (at the end for −1).
  @discardableResult
  func link(_ node: Node, label: Int, before place: Int) -> Int {
    let index = slots.count
    let previous = place < 0 ? last : slots[place].previous
    slots.append(Slot(node: node, next: place, previous: previous, label: label))
    if previous >= 0 { slots[previous].next = index } else { first = index }
    if place >= 0 { slots[place].previous = index } else { last = index }
    for output in node.outputs { producers[output.index] = index }
    for input in node.inputs { userLists[input.index].append(index) }
    count += 1
    return index
  }

  /// Takes a node out of the list and of its operands' users.
  func unlink(_ index: Int) {
    let slot = slots[index]
    if slot.previous >= 0 { slots[slot.previous].next = slot.next } else { first = slot.next }
    if slot.next >= 0 { slots[slot.next].previous = slot.previous } else { last = slot.previous }
    slots[index].isAlive = false
    for input in slot.node.inputs { removeUser(index, of: input) }
    for output in slot.node.outputs where producers[output.index] == index { producers[output.index] = -1 }
    count -= 1
  }

  private func removeUser(_ slot: Int, of id: ValueID) {
    if let place = userLists[id.index].firstIndex(of: slot) { userLists[id.index].remove(at: place) }
  }

  /// Makes every reader of a value, and the graph's outputs, read another.
  func replaceUses(of old: ValueID, with new: ValueID) {
    guard old != new else { return }
    for user in userLists[old.index] {
      for place in slots[user].node.inputs.indices where slots[user].node.inputs[place] == old {
        slots[user].node.inputs[place] = new
      }
    }
    userLists[new.index] += userLists[old.index]
    userLists[old.index] = []
    if outputUses[old.index] > 0 {
      for place in graph.outputs.indices where graph.outputs[place].value == old { graph.outputs[place].value = new }
      outputUses[new.index] += outputUses[old.index]
      outputUses[old.index] = 0
    }
  }

  /// Removes a node that nothing reads, and what it alone kept alive.
  ///
  /// - Returns: the removed nodes, consumers first.
  func removeDead(from slot: Int) -> [Node] {
    var removed: [Node] = []
    var pending = [slot]
    while let next = pending.popLast() {
      guard slots[next].isAlive, isDead(slots[next].node) else { continue }
      let node = slots[next].node
      unlink(next)
      removed.append(node)
      pending += node.inputs.compactMap(producer)
    }
    return removed
  }
}

extension Tensor {
  /// The number that every element is (bit for bit), or nil; strings and empty tensors have none.
  package var splat: Double? {
    let size = dtype.byteCount
    guard count > 0, size > 0 else { return nil }
    // The sample keeps a large constant from being computed for this.
    let sample = sample
    if zip(sample, sample.dropFirst(size)).contains(where: !=) { return nil }
    if count > 1, memcmp(address, address + size, byteCount - size) != 0 { return nil }
    let head = Tensor(dtype: dtype, shape: [1], address: address, owner: self)
    return head.doubles[0]
  }
}

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

extension Workspace {
  /// Whether no two of the nodes name different devices.
  func haveOneDevice(_ slots: [Int]) -> Bool {
    var device = ""
    for slot in slots {
      let own = node(slot).device
      if own.isEmpty || own == device { continue }
      guard device.isEmpty || DeviceName.agree(device, own) else { return false }
      device = own
    }
    return true
  }
}
