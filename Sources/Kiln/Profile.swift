import GraphModule
import InferenceRuntime
import TensorModule

/// What one node of a plan did in a timed prediction.
public struct NodeProfile: Sendable {
  /// The name of the node's first result, and the layer path it came from.
  public let name: String
  public let scope: String
  /// Where the source file wants the node to run; empty when it does not say.
  public let device: String
  public let op: String
  /// The kernel; `alias` when nothing runs, `reference` for a node without a fast kernel.
  public let kernel: String
  public let outputType: String
  public let flops: Int
  /// Bytes of operands and results.
  public let bytes: Int
  /// In how many shares the node's work is split.
  public let parts: Int
  public let isInPlace: Bool
  /// The best time of all repeats.
  public let nanoseconds: Int
}

/// Where the time of a prediction goes.
public struct Profile: Sendable {
  public let nodes: [NodeProfile]
  /// Bytes of memory for intermediate results, and the least that any layout could do with.
  public let arenaBytes: Int
  public let arenaLowerBound: Int
  /// Bytes of weights in the kernels' own layouts.
  public let packedWeightBytes: Int
}

extension Model {
  /// Times each node over repeated predictions.
  ///
  /// - Parameter inputs: in the model's order.
  public func profile(_ inputs: [Tensor], repeats: Int = 10) throws -> Profile {
    guard inputs.count == self.inputs.count else {
      throw KilnError(.badInput, "the model has \(self.inputs.count) inputs, found \(inputs.count)")
    }
    let fitting = try zip(inputs, self.inputs).map { try InputConversion.fit($0, $1) } + initialState.tensors
    let executor = try plans.executor(fitting.map(\.shape))
    var best: [Int64] = []
    for _ in 0..<max(1, repeats) {
      let times = try executor.timedNodes(fitting)
      best = best.isEmpty ? times : zip(best, times).map { min($0, $1) }
    }
    let report = executor.plan.report
    return Profile(
      nodes: zip(report.nodes, best).map { node, time in
        NodeProfile(
          name: node.name, scope: node.scope, device: node.device, op: node.op, kernel: node.kernel, outputType: node.outputType,
          flops: node.flops, bytes: node.bytes, parts: node.parts, isInPlace: node.inPlace, nanoseconds: Int(time))
      },
      arenaBytes: report.arenaBytes, arenaLowerBound: report.arenaLowerBound, packedWeightBytes: plans.weights.byteCount)
  }
}
