import GraphModule
import InferenceRuntime
import TensorModule

/// The values of a graph that lie in memory which stays on the device.
struct ResidentValues {
  struct Place: Hashable {
    /// An index in `memories`.
    var memory: Int
    var offset: Int
  }

  private(set) var inputs: [ValueID: Place] = [:]
  /// Complete once the graph is bridged.
  private(set) var outputs: [ValueID: Place] = [:]
  private(set) var memories: [GPUMemory] = []
  private var wanted: [(position: Int, place: Place)] = []

  init(_ graph: Graph, _ residents: DeviceResidents) throws {
    for (index, place) in residents.inputs.sorted(by: { $0.key < $1.key }) where graph.inputs.indices.contains(index) {
      inputs[graph.inputs[index]] = try self.place(place)
    }
    for (index, place) in residents.outputs.sorted(by: { $0.key < $1.key }) where graph.outputs.indices.contains(index) {
      wanted.append((index, try self.place(place)))
    }
  }

  private mutating func place(_ given: DevicePlace) throws -> Place {
    guard let memory = given.memory as? GPUMemory else { throw KilnError(.internal, "a resident lies on another device") }
    if let known = memories.firstIndex(where: { $0 === memory }) { return Place(memory: known, offset: given.offset) }
    memories.append(memory)
    return Place(memory: memories.count - 1, offset: given.offset)
  }

  /// Copies what nodes of the processor read of residents, or make for them, by nodes of the device, and leaves the residents
  /// out of what the graph takes and gives.
  mutating func bridge(_ graph: inout Graph, _ onDevice: inout [Bool]) throws {
    let producers = graph.producers()
    var copies: [ValueID: ValueID] = [:]
    func copied(_ value: ValueID) throws -> ValueID {
      if let made = copies[value] { return made }
      let made = try graph.addOne(Elementwise(.identity), [value], name: "\(graph[value].name)/copy")
      onDevice.append(true)
      copies[value] = made
      return made
    }
    for index in graph.nodes.indices where !onDevice[index] {
      for (place, input) in graph.nodes[index].inputs.enumerated() where inputs[input] != nil { graph.nodes[index].inputs[place] = try copied(input) }
    }
    for (position, place) in wanted {
      let value = graph.outputs[position].value
      let isMade = producers[value].map { onDevice[$0] } ?? false
      if isMade, outputs[value] == nil { outputs[value] = place } else {
        // A value has one place.
        copies[value] = nil
        outputs[try copied(value)] = place
      }
    }
    let (lent, positions) = (inputs, Set(wanted.map(\.position)))
    graph.setInputs(graph.inputs.filter { lent[$0] == nil })
    graph.outputs = graph.outputs.indices.filter { !positions.contains($0) }.map { graph.outputs[$0] }
  }
}
