import GraphModule
import Synchronization
import TensorModule

/// A graph ready to run: plans for the input shapes met so far, sharing packed weights.
package final class PlanCache: Sendable {
  /// The graph that plans are made of: after the fuse and lower phases.
  package let graph: Graph
  package let options: PlanOptions
  package let pool: ThreadPool
  package let weights = WeightStore()
  /// How often plans made from now on will run, when that is known to be a few times.
  private let expectation = Mutex<Int?>(nil)

  private struct Entry {
    let executor: Executor
    var lastUse: Int
  }

  private struct State {
    var entries: [[Shape]: Entry] = [:]
    var clock = 0
  }

  private let limit: Int
  /// The graph in stages, when sizes depend on the data.
  private let staged: Result<StagedGraph, any Error>?
  private let state = Mutex(State())
  /// What predicts when the device has failed.
  private let onProcessor = Mutex<PlanCache?>(nil)
  // Held while a plan is made, so that two callers do not make the same one.
  private let building = Mutex(())

  /// - Parameters:
  ///   - limit: how many plans to keep; the one unused for longest goes first.
  package init(_ graph: Graph, options: PlanOptions = PlanOptions(), pool: ThreadPool, limit: Int = 16) {
    self.graph = graph
    self.options = options
    self.pool = pool
    self.limit = max(1, limit)
    let weights = weights
    staged = graph.hasDataSizes ? Result { try StagedGraph(graph, options, pool, weights) } : nil
  }

  /// Says how often each plan made from now on will run; nil, as at first, is many times.
  package func expect(runs: Int?) { expectation.withLock { $0 = runs } }

  /// The executor for inputs of these shapes, in the graph's order.
  ///
  /// - Throws: `KilnError` (`badInput`) when a shape does not fit.
  package func executor(_ shapes: [Shape]) throws -> Executor {
    guard options.device != nil else { return try ownExecutor(shapes) }
    if let processor = onProcessor.withLock({ $0 }) { return try processor.executor(shapes) }
    do { return try ownExecutor(shapes) } catch let error as KilnError { return try processor(after: error).executor(shapes) }
  }

  /// The plans of the processor alone, when that is what an error asks for.
  ///
  /// - Throws: the error, when the device did not fail, or must not be done without.
  package func processor(after error: KilnError) throws -> PlanCache {
    guard let device = options.device, device.fallBack(after: error) else { throw error }
    return onProcessor.withLock { processor in
      if let processor { return processor }
      var options = options
      options.device = nil
      let made = PlanCache(graph, options: options, pool: pool, limit: limit)
      processor = made
      return made
    }
  }

  private func ownExecutor(_ shapes: [Shape]) throws -> Executor {
    guard staged == nil else {
      throw KilnError(.unsupportedModel, "sizes in this model depend on the data, which needs plain predictions")
    }
    if let found = find(shapes) { return found }
    return try building.withLock { _ in
      if let found = find(shapes) { return found }
      var options = options
      options.expectedRuns = expectation.withLock { $0 } ?? options.expectedRuns
      let sliced = options.referenceOnly || options.device != nil ? nil : try BatchSlicing.sliced(graph, shapes: shapes)
      let plan = try PlanBuilder.plan(sliced ?? graph, shapes: shapes, options: options, weights: weights, pool: pool)
      let executor = Executor(plan, pool: pool)
      state.withLock { state in
        if state.entries.count >= limit, let oldest = state.entries.min(by: { $0.value.lastUse < $1.value.lastUse })?.key {
          state.entries[oldest] = nil
        }
        state.entries[shapes] = Entry(executor: executor, lastUse: state.clock)
      }
      return executor
    }
  }

  /// The outputs for inputs of the graph's dtypes, in its order.
  package func run(_ inputs: [Tensor]) throws -> [Tensor] {
    guard options.device != nil else { return try ownRun(inputs) }
    if let processor = onProcessor.withLock({ $0 }) { return try processor.run(inputs) }
    do { return try ownRun(inputs) } catch let error as KilnError { return try processor(after: error).run(inputs) }
  }

  private func ownRun(_ inputs: [Tensor]) throws -> [Tensor] {
    if let staged { return try staged.get().run(inputs) }
    return try ownExecutor(inputs.map(\.shape)).run(inputs)
  }

  /// Whether sizes depend on the data, so that there is no one plan for input shapes.
  package var hasDataSizes: Bool { staged != nil }

  /// The number of plans that are kept.
  package var count: Int { state.withLock { $0.entries.count } }

  private func find(_ shapes: [Shape]) -> Executor? {
    state.withLock { state in
      state.clock += 1
      guard let index = state.entries.index(forKey: shapes) else { return nil }
      state.entries.values[index].lastUse = state.clock
      return state.entries.values[index].executor
    }
  }
}
