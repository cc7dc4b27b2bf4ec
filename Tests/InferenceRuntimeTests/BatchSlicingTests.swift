import GraphModule
import GraphTestSupport
import InferenceRuntime
import TensorModule
import TestSupport
import Testing

@Suite struct BatchSlicingTests {
  /// Large activations, few weights.
  private static func network(_ random: inout TestRandom) throws -> Graph {
    var graph = Graph(name: "network")
    let x = try graph.addInput("x", TensorType(.float32, [.symbol("batch"), 12, 12, 3]))
    let w0 = graph.addConstant("w0", try random.tensor(TensorType(.float32, shape: [3, 3, 3, 16])))
    let w1 = graph.addConstant("w1", try random.tensor(TensorType(.float32, shape: [16, 10])))
    var y = try graph.addOne(Conv(strides: [1, 1], padding: .same), [x, w0], name: "conv")
    let skip = y
    y = try graph.addOne(Elementwise(.tanh), [y], name: "tanh")
    y = try graph.addOne(Concat(axis: 1), [y, skip], name: "joined")
    y = try graph.addOne(Slice([.all, Slice.Range(step: 2), .all, .all]), [y], name: "every other row")
    y = try graph.addOne(Reduce(.mean, axes: [1, 2], keepDims: false), [y], name: "mean")
    y = try graph.addOne(MatMul(), [y, w1], name: "logits")
    y = try graph.addOne(Softmax(axis: 1), [y], name: "y")
    graph.outputs = [Graph.Output(name: "y", value: y), Graph.Output(name: "skip", value: skip)]
    return graph
  }

  @Test(arguments: [1, 2]) func slicesGiveWhatTheWholeBatchGives(threads: Int) throws {
    var random = TestRandom(named: "slices")
    let graph = try Self.network(&random)
    for batch in [2, 6, 7] {
      let feed = [try random.tensor(TensorType(.float32, shape: [batch, 12, 12, 3]))]
      let expected = try ReferenceBackend.run(graph, feed)
      // Caches that hold the activations of a sample or two.
      let sliced = try #require(try BatchSlicing.sliced(graph, shapes: feed.map(\.shape), cachedBytes: 20_000))
      #expect(sliced.nodes.contains { $0.op is Loop })
      let (outputs, plan) = try run(sliced, feed, threads: threads)
      #expect(plan.isNative)
      #expect(plan.outputs.map(\.name) == graph.outputs.map(\.name))
      for (got, wanted) in zip(outputs, expected) {
        #expect(firstDifference(got, wanted, relative: 1e-4, absolute: 1e-5) == nil)
      }
    }
  }

  /// Recurrent layers in slices of whole groups of rows.
  @Test(arguments: [1, 2]) func recurrentLayersAreSliced(threads: Int) throws {
    var random = TestRandom(named: "recurrent slices")
    var graph = Graph(name: "recurrent")
    let x = try graph.addInput("x", TensorType(.float32, [.symbol("batch"), 30, 5]))
    func weights(_ name: String, _ shape: Shape) throws -> ValueID {
      graph.addConstant(name, try random.tensor(TensorType(.float32, shape: shape), range: -0.3...0.3))
    }
    var sides: [ValueID] = []
    for backwards in [false, true] {
      let name = backwards ? "back" : "forth"
      let operands = [x, try weights("\(name)/w", [5, 60]), try weights("\(name)/r", [20, 60]), try weights("\(name)/b", [2, 60])]
      let rnn = RNN(cell: .gruResetAfter, goBackwards: backwards, returnSequences: true)
      var side = try graph.add(rnn, operands, name: name)[0]
      if backwards { side = try graph.addOne(Reverse(axes: [1]), [side], name: "turned") }
      sides.append(side)
    }
    graph.outputs = [.init(name: "y", value: try graph.addOne(Concat(axis: 2), sides, name: "y"))]
    for (batch, slice) in [(8, 4), (12, 4)] {
      let feed = [try random.tensor(TensorType(.float32, shape: [batch, 30, 5]))]
      let sliced = try BatchSlicing.sliced(graph, shapes: feed.map(\.shape), cachedBytes: 40_000)
      let loop = sliced?.nodes.compactMap { $0.op as? Loop }.first
      #expect((loop.flatMap { $0.body.type(of: $0.body.inputs[1]).dims.first?.fixed } ?? batch) == slice)
      let (outputs, _) = try run(sliced ?? graph, feed, threads: threads)
      for (got, wanted) in zip(outputs, try ReferenceBackend.run(graph, feed)) {
        #expect(firstDifference(got, wanted, relative: 1e-4, absolute: 1e-5) == nil)
      }
    }
  }

  @Test func batchesThatFitTheCachesStayWhole() throws {
    var random = TestRandom(named: "whole")
    let (graph, feed) = try ExecutorTests.network(&random)
    #expect(try BatchSlicing.sliced(graph, shapes: feed.map(\.shape)) == nil)
  }

  /// Networks in which samples meet, each in another way.
  @Test(arguments: 0..<6) func samplesThatMeetStayTogether(_ which: Int) throws {
    var graph = Graph(name: "meeting")
    let x = try graph.addInput("x", TensorType(.float32, [.symbol("batch"), 4, 4]))
    let batch = Dim.symbol("batch")
    let y: ValueID =
      switch which {
      case 0: try graph.addOne(Reduce(.mean, axes: [0], keepDims: true), [x], name: "y")
      case 1: try graph.addOne(Softmax(axis: 0), [x], name: "y")
      case 2: try graph.addOne(Reshape([16, batch]), [x], name: "y")
      case 3: try graph.addOne(Transpose([1, 0, 2]), [x], name: "y")
      case 4: try graph.addOne(Concat(axis: 0), [x, x], name: "y")
      default: try graph.addOne(Pad(.constant, low: [1, 0, 0], high: [0, 0, 0]), [x], name: "y")
      }
    var result = y
    // Back to the batch's axis, so that only the middle mixes samples.
    if which < 2 { result = try graph.addOne(Elementwise(.sub), [x, y], name: "z") }
    if which == 2 { result = try graph.addOne(Reshape([batch, 16]), [y], name: "z") }
    if which == 3 { result = try graph.addOne(Transpose([1, 0, 2]), [y], name: "z") }
    graph.outputs = [Graph.Output(name: "y", value: result)]
    #expect(try BatchSlicing.sliced(graph, shapes: [[6, 4, 4]], cachedBytes: 1) == nil)
  }
}
