import GraphModule
import GraphTestSupport
import InferenceRuntime
import TensorModule
import TestSupport
import Testing

/// Times of nodes, those inside loops and branches too.
@Suite struct RecorderTests {
  @Test(arguments: [1, 2]) func loopsShowTheirNodes(threads: Int) throws {
    var random = TestRandom(named: "recorder")
    let (graph, feed) = try ControlFlowTests.recurrence(&random, conditional: true)
    let pool = ThreadPool.shared(threads)
    let plan = try PlanBuilder.plan(graph, shapes: feed.map(\.shape), options: PlanOptions(threads: threads), pool: pool)
    let recorder = try Executor(plan, pool: pool).timed(feed, keepsEvents: true)
    let rows = recorder.rows
    let products = rows.filter { $0.node.name == "product" }
    // The condition ends the loop after four of five steps.
    #expect(products.map(\.runs) == [4])
    #expect(products.map(\.depth) == [1])
    #expect(rows.filter { $0.node.name == "sum" && $0.depth == 2 }.count == 2)
    #expect(rows.filter { $0.node.name == "sum" && $0.depth == 2 }.reduce(0) { $0 + $1.runs } == 4)
    #expect(rows.filter { $0.node.name == "loop" }.allSatisfy { $0.node.flops == 0 && $0.depth == 0 })
    let total = rows.reduce(0) { $0 + $1.nanoseconds }
    #expect(total > 0)

    let events = recorder.events
    #expect(events.count { rows[$0.row].node.name == "product" } >= 4)
    for event in events {
      #expect(rows.indices.contains(event.row))
      #expect(event.begin <= event.end)
      #expect((0..<threads).contains(event.thread))
    }
    let loop = try #require(events.first { rows[$0.row].node.op == "loop" })
    for event in events where rows[event.row].node.name == "product" {
      #expect(loop.begin <= event.begin && event.end <= loop.end)
    }
  }

  @Test func timedRunsGiveTheSameAndLeaveNothingBehind() throws {
    var random = TestRandom(named: "untimed")
    let (graph, feed) = try ControlFlowTests.recurrence(&random, conditional: false)
    let plan = try PlanBuilder.plan(graph, shapes: feed.map(\.shape))
    let executor = Executor(plan, pool: .single)
    let before = try executor.run(feed)
    let recorder = try executor.timed(feed)
    #expect(recorder.events.isEmpty)
    let rows = recorder.rows.map(\.runs)
    let after = try executor.run(feed)
    #expect(zip(before, after).allSatisfy { $0.bytes.elementsEqual($1.bytes) })
    #expect(recorder.rows.map(\.runs) == rows)
  }

  @Test func everyKernelChoiceHasAReason() throws {
    var random = TestRandom(named: "reasons")
    var graph = Graph(name: "convolutions")
    let x = try graph.addInput("x", TensorType(.float32, shape: [1, 28, 28, 32]))
    for (index, (kernel, stride)) in [([3, 3], 1), ([1, 1], 1), ([1, 7], 1), ([3, 3], 2), ([5, 5], 1)].enumerated() {
      let w = graph.addConstant("w\(index)", try random.tensor(TensorType(.float32, shape: kernel + [32, 48])))
      let y = try graph.addOne(Conv(strides: [stride, stride], padding: .same), [x, w], name: "y\(index)")
      graph.outputs.append(Graph.Output(name: "y\(index)", value: y))
    }
    let plan = try PlanBuilder.plan(graph, shapes: [[1, 28, 28, 32]])
    let reasons = plan.report.nodes.map(\.reason)
    #expect(reasons.allSatisfy { !$0.isEmpty })
    // The scalar tier has no transforms: 3x3 and 1x7 are done in place for the same reason.
    #expect(Set(reasons).count == (Machine.instructionSet == "scalar" ? 4 : 5))
    let exact = try PlanBuilder.plan(graph, shapes: [[1, 28, 28, 32]], options: PlanOptions(exact: true))
    #expect(exact.report.nodes[0].reason.contains("exact"))
  }

  @Test func thePeakIsThatOfTheThreads() throws {
    #expect(try Machine.peakGigaflops(.single) > 0)
  }
}
