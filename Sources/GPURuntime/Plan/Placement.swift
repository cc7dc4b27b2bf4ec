import GraphModule
import InferenceRuntime
import TensorModule

/// Where the nodes of a scope are to run, as `--place 'SCOPE=cpu'` says.
package struct PlacementRule: Hashable, Sendable {
  /// A scope's or value's path; `*` stands for any text.
  package var scope: String
  package var isDevice: Bool

  package init(scope: String, isDevice: Bool) {
    self.scope = scope
    self.isDevice = isDevice
  }
}

/// Decides which nodes run on the device.
struct Placement {
  let graph: Graph
  let candidates: [NodeCandidate]
  let options: GPUBackend.Options
  let device: GPUDevice

  init(_ graph: Graph, _ candidates: [NodeCandidate], _ options: GPUBackend.Options, _ device: GPUDevice) {
    self.graph = graph
    self.candidates = candidates
    self.options = options
    self.device = device
  }

  /// One for each node.
  ///
  /// - Throws: `KilnError` (`unsupportedModel`) when all must run there and some cannot.
  func choose() throws -> [Bool] {
    let refused = graph.nodes.indices.compactMap { index -> String? in
      guard case .refused(let reason) = candidates[index] else { return nil }
      return "\(KilnError.quoted(name(index))) (\(graph.nodes[index].op.opName)): \(reason)"
    }
    if options.isStrict, !refused.isEmpty {
      throw KilnError(
        .unsupportedModel, "\(refused.count) of \(graph.nodes.count) nodes cannot run on the GPU: " + refused.prefix(8).joined(separator: "; ")
          + (refused.count > 8 ? "; …" : ""), hint: "--device auto runs them on the processor")
    }
    return graph.nodes.indices.map { index in
      if case .runs = candidates[index] { true } else { false }
    }
  }

  private func name(_ index: Int) -> String { graph.nodes[index].outputs.first.map { graph[$0].name } ?? "" }
}
