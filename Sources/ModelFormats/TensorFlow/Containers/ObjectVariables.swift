import CGraphSchemas
import TensorModule

/// Which stored tensor goes into which variable by the objects of a SavedModel, as TensorFlow 2 itself loads: a function names the
/// objects that it captures, and the checkpoint the tensors of an object, found by the same path of names from the root.
struct ObjectVariables {
  /// Objects by the node whose value a call hands to what the function captured.
  private let objects: [String: Int]
  private let children: [[(name: String, object: Int)]]

  private static let storedGraph = "_CHECKPOINTABLE_OBJECT_GRAPH"

  init(_ proto: Tf__SavedObjectGraph?, _ graph: TFGraph) throws {
    guard let proto else {
      (objects, children) = ([:], [])
      return
    }
    var captures: [String: [Int]] = [:]
    for entry in Repeated.messages(proto.concrete_functions, proto.n_concrete_functions) {
      guard let value = entry.pointee.value?.pointee else { continue }
      captures[try Repeated.text(entry.pointee.key)] = Repeated.values(value.bound_inputs, value.n_bound_inputs).map { Int($0) }
    }
    var found: [String: Int] = [:]
    for node in graph.nodes {
      guard case .function(let name)? = node.attributes["f"], let captured = captures[name], captured.count <= node.inputs.count else { continue }
      for (input, object) in zip(node.inputs.suffix(captured.count), captured) { found[input.node] = object }
    }
    objects = found
    children = try Repeated.messages(proto.nodes, proto.n_nodes).map { node in
      try Repeated.messages(node.pointee.children, node.pointee.n_children).map {
        (try Repeated.text($0.pointee.local_name), Int($0.pointee.node_id))
      }
    }
  }

  /// The stored tensors of variables, by their node.
  ///
  /// - Throws: `KilnError` (`badInput`) when the checkpoint's description of objects is damaged.
  func sources(_ store: VariableStore) throws -> [String: String] {
    guard !objects.isEmpty, store.contains(ObjectVariables.storedGraph),
      let bytes = try store.tensor(ObjectVariables.storedGraph, slice: nil).strings.first?.bytes
    else { return [:] }
    do {
      let keys = try bytes.withUnsafeBytes { bytes in
        let message = try ParsedMessage<Tf__TrackableObjectGraph>(bytes, kiln_tf_trackable_object_graph(), what: "description of objects")
        return try message.withFields { try self.keys($0) }
      }
      return objects.compactMapValues { keys[$0] }
    } catch let error as KilnError { throw error.inside(ObjectVariables.storedGraph) }
  }

  /// The tensor that holds the value of each object: both graphs are walked side by side.
  private func keys(_ stored: borrowing Tf__TrackableObjectGraph) throws -> [Int: String] {
    let nodes = Repeated.messages(stored.nodes, stored.n_nodes)
    guard !nodes.isEmpty, !children.isEmpty else { return [:] }
    var keys: [Int: String] = [:]
    var partners = [0: 0]
    var queue = [0]
    while let object = queue.popLast(), let partner = partners[object] {
      let node = nodes[partner].pointee
      for tensor in Repeated.messages(node.attributes, node.n_attributes) where try Repeated.text(tensor.pointee.name) == "VARIABLE_VALUE" {
        keys[object] = try Repeated.text(tensor.pointee.checkpoint_key)
      }
      var places: [String: Int] = [:]
      for child in Repeated.messages(node.children, node.n_children) {
        places[try Repeated.text(child.pointee.local_name)] = Int(child.pointee.node_id)
      }
      for child in children[object] {
        guard children.indices.contains(child.object), partners[child.object] == nil, let place = places[child.name] else { continue }
        guard nodes.indices.contains(place) else { throw KilnError(.badInput, "object \(partner) has a child that is not there") }
        partners[child.object] = place
        queue.append(child.object)
      }
    }
    return keys
  }
}
