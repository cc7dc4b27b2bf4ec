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
  /// Where it ran: `cpu`, `gpu`, or `transfer` between them.
  public let place: String
  public let op: String
  /// The kernel; `alias` when nothing runs, `reference` for a node without a fast kernel.
  public let kernel: String
  /// Why that kernel.
  public let reason: String
  public let outputType: String
  /// Operations of all runs.
  public let flops: Int
  /// Bytes of operands and results of all runs.
  public let bytes: Int
  /// In how many shares the node's work is split.
  public let parts: Int
  public let isInPlace: Bool
  /// How often it ran: more than once in a loop, or in slices of a batch.
  public let runs: Int
  /// How many loops and branches it lies in.
  public let depth: Int
  /// The best time of all repeats, without nodes inside it.
  public let nanoseconds: Int
}

/// What one thread did of one node, when a trace was asked for.
public struct ThreadEvent: Sendable {
  /// An index in the profile's nodes.
  public let node: Int
  /// 0 is the thread that predicts.
  public let thread: Int
  /// Since the prediction began.
  public let begin: Int
  public let end: Int
}

/// Where the time of a prediction goes.
public struct Profile: Sendable {
  /// In the plan's order, those of a loop or branch behind it.
  public let nodes: [NodeProfile]
  /// Of the fastest repeat, by their beginnings; empty unless asked for.
  public let events: [ThreadEvent]
  /// Bytes of memory for intermediate results, what packing the largest first would take, and the most that is alive at
  /// a time, which no layout could do without.
  public let arenaBytes: Int
  public let arenaGreedyBytes: Int
  public let arenaLowerBound: Int
  /// Bytes of weights in the kernels' own layouts.
  public let packedWeightBytes: Int
  /// Billions of float32 operations a second that the model's threads reach together in registers.
  public let peakGigaflops: Double
}

extension Model {
  /// Times each node over repeated predictions.
  ///
  /// - Parameters:
  ///   - inputs: in the model's order.
  ///   - keepsEvents: also when each thread did what, in the fastest repeat.
  public func profile(_ inputs: [Tensor], repeats: Int = 10, keepsEvents: Bool = false) throws -> Profile {
    guard inputs.count == self.inputs.count else {
      throw KilnError(.badInput, "the model has \(self.inputs.count) inputs, found \(inputs.count)")
    }
    let fitting = try zip(inputs, self.inputs).map { try InputConversion.fit($0, $1) } + initialState.tensors
    let executor = try plans.executor(fitting.map(\.shape))
    var best: [StepRecorder.Row] = []
    var fastest: (time: Int, events: [StepRecorder.Event]) = (.max, [])
    for _ in 0..<max(1, repeats) {
      let recorder = try executor.timed(fitting, keepsEvents: keepsEvents)
      let rows = recorder.rows
      let time = rows.reduce(0) { $0 + $1.nanoseconds }
      if keepsEvents, time < fastest.time { fastest = (time, recorder.events) }
      if best.isEmpty { best = rows } else {
        for index in best.indices { best[index].nanoseconds = min(best[index].nanoseconds, rows[index].nanoseconds) }
      }
    }
    let report = executor.plan.report
    let start = fastest.events.first?.begin ?? 0
    return Profile(
      nodes: best.map { row in
        let node = row.node
        return NodeProfile(
          name: node.name, scope: node.scope, device: node.device, place: row.place.rawValue, op: node.op, kernel: node.kernel, reason: node.reason,
          outputType: node.outputType, flops: node.flops * row.runs, bytes: node.bytes * row.runs, parts: node.parts,
          isInPlace: node.inPlace, runs: row.runs, depth: row.depth, nanoseconds: row.nanoseconds)
      },
      events: fastest.events.map {
        ThreadEvent(node: $0.row, thread: $0.thread, begin: Int($0.begin - start), end: Int($0.end - start))
      },
      arenaBytes: report.arenaBytes + (executor.plan.deviceProgram?.arenaBytes ?? 0), arenaGreedyBytes: report.arenaGreedyBytes, arenaLowerBound: report.arenaLowerBound,
      packedWeightBytes: plans.weights.byteCount + (gpu?.weightBytes ?? 0), peakGigaflops: try Machine.peakGigaflops(plans.pool))
  }
}
