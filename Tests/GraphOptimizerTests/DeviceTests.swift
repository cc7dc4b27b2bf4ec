import GraphModule
import GraphOptimizer
import TensorModule
import Testing

/// Nodes that belong on different devices stay apart, and what becomes of others stays on theirs.
@Suite struct DeviceTests {
  /// x · σ(x) with a device for each node.
  private func graph(_ sigmoid: String, _ product: String) throws -> Graph {
    var graph = Graph(name: "g")
    let x = try graph.addInput("x", TensorType(.float32, [2, 3]))
    let s = try graph.addOne(Elementwise(.sigmoid), [x], name: "s", device: sigmoid)
    let y = try graph.addOne(Elementwise(.mul), [x, s], name: "y", device: product)
    graph.outputs = [Graph.Output(name: "y", value: y)]
    return graph
  }

  @Test(arguments: [("/gpu:0", "/gpu:0", "/gpu:0"), ("/gpu:0", "", "/gpu:0"), ("", "/cpu:0", "/cpu:0"), ("", "", "")])
  func fusedNodesKeepTheirDevice(_ sigmoid: String, _ product: String, _ expected: String) throws {
    let result = try Optimizer.run(try graph(sigmoid, product), .all).graph
    #expect(result.nodes.map { ($0.op as? Elementwise)?.function } == [.silu])
    #expect(result.nodes.map(\.device) == [expected])
  }

  @Test func differentDevicesStayApart() throws {
    let result = try Optimizer.run(try graph("/gpu:0", "/gpu:1"), .all).graph
    #expect(result.nodes.map(\.device) == ["/gpu:0", "/gpu:1"])
    #expect(result.deviceCounts == ["/gpu:0": 1, "/gpu:1": 1])
  }

  @Test func equalNodesOfDifferentDevicesStayApart() throws {
    var graph = Graph(name: "g")
    let x = try graph.addInput("x", TensorType(.float32, [2, 3]))
    for device in ["/gpu:0", "/gpu:1", "/gpu:1"] {
      let y = try graph.addOne(Elementwise(.sin), [x], name: "y", device: device)
      graph.outputs.append(Graph.Output(name: "y\(graph.outputs.count)", value: y))
    }
    #expect(try Optimizer.run(graph, .all).graph.nodes.count == 2)
  }
}
