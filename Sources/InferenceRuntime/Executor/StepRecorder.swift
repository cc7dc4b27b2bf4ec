import CKernels

/// Notes how long the steps of a plan take, and those of the plans inside it (loops, branches, slices of a batch).
///
/// A workspace that has a recorder runs timed; one recorder serves one prediction at a time.
package final class StepRecorder {
  /// What one thread did of one node.
  package struct Event: Sendable {
    /// The node, by its index in `rows`.
    package var row: Int
    /// Nanoseconds of a monotonic clock.
    package var begin: Int64
    package var end: Int64
    /// 0 is the thread that predicts.
    package var thread: Int
  }

  package enum Place: String, Sendable {
    case cpu, gpu
    /// Between them.
    case transfer
  }

  /// One node, summed over all its runs in the prediction.
  package struct Row: Sendable {
    package var node: PlanReport.NodeEntry
    /// How often its plan ran: more than once in loops and slices, 0 in branches not taken.
    package var runs: Int
    /// Its own time, without the nodes inside it.
    package var nanoseconds: Int
    /// How many loops and branches it lies in.
    package var depth: Int
    package var place = Place.cpu
  }

  let plan: Plan
  /// In the order of `Workspace.nested`.
  let nested: [StepRecorder]
  private let keepsEvents: Bool
  private var runs = 0
  private var steps: [Int64]
  private var hosts: [Int64]
  /// By host action: the nodes of a run on a device.
  private var devices: [Int: [Int64]] = [:]
  private var stepEvents: [kiln_event] = []
  private var hostEvents: [(host: Int, begin: Int64, end: Int64)] = []

  init(_ plan: Plan, keepsEvents: Bool) {
    self.plan = plan
    self.keepsEvents = keepsEvents
    nested = plan.hostActions.flatMap(\.nestedPlans).map { StepRecorder($0.plan, keepsEvents: keepsEvents) }
    steps = [Int64](repeating: 0, count: plan.stepCount)
    hosts = [Int64](repeating: 0, count: plan.hostActions.count)
  }

  /// Runs the plan once with the addresses in the workspace, and notes times.
  func run(_ workspace: Workspace, _ pool: ThreadPool) throws {
    runs += 1
    for segment in plan.segments {
      if segment.host >= 0, case .device(let step) = plan.hostActions[Int(segment.host)] {
        let (host, begin) = (Int(segment.host), kiln_pool_now())
        let time = try step.timedRun(workspace)
        hosts[host] += time.transfers
        devices[host] = devices[host].map { zip($0, time.nodes).map { $0 + $1 } } ?? time.nodes
        if keepsEvents { hostEvents.append((host, begin, kiln_pool_now())) }
      } else if segment.host >= 0 {
        let begin = kiln_pool_now()
        try plan.hostActions[Int(segment.host)].run(workspace, pool)
        let end = kiln_pool_now()
        hosts[Int(segment.host)] += end - begin
        if keepsEvents { hostEvents.append((Int(segment.host), begin, end)) }
      } else {
        runSteps(segment, workspace, pool)
      }
    }
  }

  private func runSteps(_ segment: Plan.Segment, _ workspace: Workspace, _ pool: ThreadPool) {
    let (first, count) = (Int(segment.firstStep), Int(segment.stepCount))
    let room = keepsEvents ? (first..<first + count).reduce(0) { $0 + Int(plan.steps[$1].parts) } : 0
    var events = [kiln_event](repeating: kiln_event(), count: room)
    var made: Int32 = 0
    steps.withUnsafeMutableBufferPointer { times in
      guard let base = times.baseAddress else { return }
      func execute(_ log: UnsafeMutablePointer<kiln_event_log>?) {
        kiln_execute_timed(
          plan.steps + first, segment.stepCount, plan.operands, workspace.bases, pool.handle, base + first, log)
      }
      if !keepsEvents { return execute(nil) }
      events.withUnsafeMutableBufferPointer { buffer in
        var log = kiln_event_log(events: buffer.baseAddress, capacity: Int32(clamping: room), count: 0)
        execute(&log)
        made = min(log.count, log.capacity)
      }
    }
    for var event in events.prefix(Int(made)) {
      event.step += segment.firstStep
      stepEvents.append(event)
    }
  }

  /// All nodes, those of a loop or branch behind it.
  package var rows: [Row] { collected().rows }

  /// Whose `row` is an index in `rows`, by their beginnings.
  package var events: [Event] { collected().events.sorted { ($0.begin, $1.end) < ($1.begin, $0.end) } }

  private func collected() -> (rows: [Row], events: [Event]) {
    var (rows, events) = ([Row](), [Event]())
    collect(depth: 0, &rows, &events)
    return (rows, events)
  }

  /// - Returns: the time of all nodes, with what lies inside them.
  @discardableResult
  private func collect(depth: Int, _ rows: inout [Row], _ events: inout [Event]) -> Int64 {
    // Copies to outputs belong to no node.
    var rowOfStep = [Int?](repeating: nil, count: steps.count)
    var rowOfHost = [Int?](repeating: nil, count: hosts.count)
    let inner = plan.hostActions.map(\.nestedPlans.count)
    let total = steps.reduce(0, +) + hosts.reduce(0, +)
    for entry in plan.report.nodes {
      for (node, time) in zip(entry.deviceNodes, devices[entry.host] ?? []) {
        rows.append(Row(node: node, runs: runs, nanoseconds: Int(time), depth: depth, place: .gpu))
      }
      let row = rows.count
      for step in entry.steps { rowOfStep[step] = row }
      var own = steps[entry.steps].reduce(0, +)
      rows.append(Row(node: entry, runs: runs, nanoseconds: 0, depth: depth, place: entry.kernel == PlanReport.deviceKernel ? .transfer : .cpu))
      if hosts.indices.contains(entry.host) {
        rowOfHost[entry.host] = row
        own = hosts[entry.host]
        let first = inner[..<entry.host].reduce(0, +)
        for part in nested[first..<first + inner[entry.host]] { own -= part.collect(depth: depth + 1, &rows, &events) }
        if inner[entry.host] > 0 { (rows[row].node.flops, rows[row].node.bytes) = (0, 0) }
      }
      rows[row].nanoseconds = Int(max(0, own))
    }
    events += stepEvents.compactMap { event in
      rowOfStep[Int(event.step)].map { Event(row: $0, begin: event.begin, end: event.end, thread: Int(event.thread)) }
    }
    events += hostEvents.compactMap { event in
      rowOfHost[event.host].map { Event(row: $0, begin: event.begin, end: event.end, thread: 0) }
    }
    return total
  }
}
