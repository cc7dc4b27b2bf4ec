import GPURuntime
import Kiln
import ModelFormats
import TensorModule
import Testing

/// Devices that a TensorFlow graph names for its nodes, and rules over them.
@Suite struct PlacedNodeTests {
  private static let folder = "\(FixtureCase.root)/fixtures/tensorflow-containers/tf2.21_placed_nodes"

  private func places(_ options: DeviceOptions) throws -> [String: String] {
    var device = options
    (device.ignoresCost, device.acceptsProcessors) = (true, true)
    let graph = try ModelImporter.read(path: "\(Self.folder)/model.pb").graph
    let model = try Model(graph: graph, options: .init(threads: 1, device: device))
    let x = try NumPyFile.read(npy: "\(Self.folder)/input_0.npy")
    let expected = try NumPyFile.read(npy: "\(Self.folder)/expected_0.npy")
    let difference = try TensorDifference.between(try model.predict(x), expected, Tolerance(absolute: 1e-5, relative: 1e-5))
    #expect(difference.outside == 0, "\(difference.maximumAbsolute)")
    return Dictionary(
      try model.profile([x], repeats: 1).nodes.filter { $0.place != "transfer" }.map { ("\($0.op) \($0.name)", $0.place) }) { first, _ in first }
  }

  private var hasDevice: Bool { (try? GPUDevice.chosen()) != nil }

  @Test func theFileDecides() throws {
    guard hasDevice else { return }
    // The product's tanh is another device's, so they are not one node; all else may be.
    let places = try places(DeviceOptions(.auto))
    #expect(places.filter { $0.value == "cpu" }.count == 1, "\(places)")
    #expect(places.filter { $0.key.hasPrefix("matmul") }.allSatisfy { $0.value == "gpu" }, "\(places)")
    #expect(places.contains { $0.key.contains("tanh") && $0.value == "cpu" }, "\(places)")
  }

  @Test func rulesComeFirst() throws {
    guard hasDevice else { return }
    let mixed = try places(DeviceOptions(.auto, placements: [("first", .gpu), ("y", .cpu)]))
    #expect(mixed.contains { $0.key.contains("tanh") && $0.value == "gpu" }, "\(mixed)")
    #expect(mixed.contains { $0.key == "matmul y" && $0.value == "cpu" }, "\(mixed)")
    // What must run on the GPU as a whole does not ask the file.
    #expect(try places(DeviceOptions(.gpu)).allSatisfy { $0.value == "gpu" })
  }

  @Test func rulesThatMatchNothing() throws {
    let graph = try ModelImporter.read(path: "\(Self.folder)/model.pb").graph
    for (scope, isThere) in [("first", true), ("f?rst", true), ("first/product", true), ("y", true), ("third", false), ("firs", false)] {
      let options = DeviceOptions(.auto, placements: [(scope, .cpu)])
      if isThere {
        _ = try Model(graph: graph, options: .init(device: options))
      } else {
        let error = #expect(throws: KilnError.self) { try Model(graph: graph, options: .init(device: options)) }
        #expect(error?.message == "the placement '\(scope)=cpu' matches no node of the model")
      }
    }
  }
}
