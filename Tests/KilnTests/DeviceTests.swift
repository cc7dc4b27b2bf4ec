import GraphModule
import Kiln
import TensorModule
import Testing

/// Devices that a model's file names, and that are not here.
@Suite struct MissingDeviceTests {
  private func model(_ device: String) throws -> Model {
    var graph = Graph(name: "g")
    let x = try graph.addInput("x", TensorType(.float32, [2]))
    let y = try graph.addOne(Elementwise(.square), [x], name: "y", device: device)
    graph.outputs = [Graph.Output(name: "y", value: y)]
    return try Model(graph: graph)
  }

  @Test func nodesOfOtherDevicesRunHere() throws {
    let model = try model("/device:GPU:0")
    #expect(model.missingDevices == ["/device:GPU:0": 1])
    #expect(try model.predict(try Tensor([1, 3] as [Float], shape: [2])).floats == [1, 9])
    let profile = try model.profile([try Tensor([1, 3] as [Float], shape: [2])], repeats: 1)
    #expect(profile.nodes.map(\.device) == ["/device:GPU:0"])
  }

  @Test(arguments: ["", "/cpu:0", "/job:localhost/task:0"]) func theProcessorIsHere(_ device: String) throws {
    #expect(try model(device).missingDevices.isEmpty)
  }
}
