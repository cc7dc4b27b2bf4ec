import GraphModule

/// An order of a graph's nodes that goes to and fro between processor and device as seldom as it can.
struct Schedule {
  struct Run {
    var isDevice: Bool
    var nodes: [Int]
  }

  private(set) var runs: [Run]

  init(_ graph: Graph, _ onDevice: [Bool]) {
    let first = Self.order(graph, onDevice, startsOnDevice: true)
    let second = Self.order(graph, onDevice, startsOnDevice: false)
    runs = first.count <= second.count ? first : second
  }

  /// Takes all nodes that are ready on one side, then all that are on the other, in turn.
  private static func order(_ graph: Graph, _ onDevice: [Bool], startsOnDevice: Bool) -> [Run] {
    let producers = graph.producers()
    var missing = [Int](repeating: 0, count: graph.nodes.count)
    var readers = [[Int]](repeating: [], count: graph.nodes.count)
    for (index, node) in graph.nodes.enumerated() {
      for maker in Set(node.inputs.compactMap { producers[$0] }) {
        missing[index] += 1
        readers[maker].append(index)
      }
    }
    var ready: [Bool: [Int]] = [true: [], false: []]
    for index in missing.indices where missing[index] == 0 { ready[onDevice[index], default: []].append(index) }
    var runs: [Run] = []
    var side = startsOnDevice
    while ready.values.contains(where: { !$0.isEmpty }) {
      var taken: [Int] = []
      while let next = ready[side]?.popFirst() {
        taken.append(next)
        for reader in readers[next] {
          missing[reader] -= 1
          if missing[reader] == 0 { ready[onDevice[reader], default: []].insertSorted(reader) }
        }
      }
      if !taken.isEmpty { runs.append(Run(isDevice: side, nodes: taken)) }
      side.toggle()
    }
    return runs
  }

  /// The device's runs with what crosses to and from the processor.
  ///
  /// - Parameter held: values that are on the device before the first run.
  func deviceRuns(_ graph: Graph, held: Set<ValueID> = [], lowering: (Int) -> GPULowering?) -> [DeviceRunNodes] {
    var hostReads = Set(graph.outputs.map(\.value))
    for run in runs where !run.isDevice { for index in run.nodes { hostReads.formUnion(graph.nodes[index].inputs) } }
    var onDevice = held
    return runs.filter(\.isDevice).map { run in
      var inputs: [ValueID] = []
      var outputs: [ValueID] = []
      for index in run.nodes {
        let node = graph.nodes[index]
        for input in node.inputs where graph.constants[input] == nil && onDevice.insert(input).inserted { inputs.append(input) }
        for output in node.outputs {
          onDevice.insert(output)
          if hostReads.contains(output) { outputs.append(output) }
        }
      }
      let nodes = run.nodes.compactMap { index in lowering(index).map { (index: index, lowering: $0) } }
      return DeviceRunNodes(nodes: nodes, inputs: inputs, outputs: outputs)
    }
  }
}

extension [Int] {
  fileprivate mutating func popFirst() -> Int? { isEmpty ? nil : removeFirst() }

  fileprivate mutating func insertSorted(_ value: Int) {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if self[middle] < value { low = middle + 1 } else { high = middle }
    }
    insert(value, at: low)
  }
}
