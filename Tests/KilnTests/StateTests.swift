import GraphModule
import Kiln
import MallocCount
import ModelFile
import TensorModule
import TestSupport
import Testing


/// Models that hand their state from one prediction to the next.
@Suite struct StateTests {
  /// total ← total + x for 2 samples at once; gives the total doubled.
  static func graph() throws -> Graph {
    var graph = Graph(name: "running sum")
    let x = try graph.addInput("x", TensorType(.float32, [2, 1]))
    let total = graph.addConstant("total", try Tensor([0, 100] as [Float], shape: [2, 1]))
    let next = try graph.addOne(Elementwise(.add), [total, x], name: "next")
    let y = try graph.addOne(Elementwise(.add), [next, next], name: "y")
    graph.states = [State(value: total, next: next)]
    graph.outputs = [.init(name: "y", value: y)]
    return graph
  }

  private func tensor(_ values: [Float]) throws -> Tensor { try Tensor(values, shape: [values.count, 1]) }

  @Test func predictionsGoOnFromAState() throws {
    let model = try Model(graph: Self.graph())
    #expect(model.isStateful && model.stateBatch == 2)
    #expect(model.inputs.count == 1 && model.outputs.count == 1)
    var state = model.initialState
    #expect(try model.predict([tensor([1, 1])], state: &state)[0].floats == [2, 202])
    #expect(try model.predict([tensor([1, 2])], state: &state)[0].floats == [4, 206])
    state = model.initialState
    #expect(try model.predict([tensor([5, 5])], state: &state)[0].floats == [10, 210])
    // Without a state each call starts afresh and hands it from batch to batch.
    for _ in 0..<2 { #expect(try model.predict(tensor([1, 1, 1, 2])).floats == [2, 202, 4, 206]) }
    #expect(throws: KilnError.self) { try model.predict(tensor([1, 1, 1])) }
    #expect(throws: KilnError.self) { try model.predict(tensor([1, 1]), batchSize: 1) }
  }

  @Test func sessionsKeepTheirState() throws {
    let model = try Model(graph: Self.graph())
    let session = try model.session()
    let other = try model.session()
    func run(_ session: Session, _ values: [Float]) throws -> [Float] {
      values.withUnsafeBytes { session.inputBytes(0).copyMemory(from: $0) }
      try session.run()
      return Array(session.outputBytes(0).bindMemory(to: Float.self))
    }
    #expect(session.inputShapes == [[2, 1]] && session.outputShapes == [[2, 1]])
    #expect(try run(session, [1, 1]) == [2, 202])
    #expect(try run(session, [1, 2]) == [4, 206])
    #expect(try run(other, [0, 0]) == [0, 200])
    session.resetStates()
    #expect(try run(session, [5, 5]) == [10, 210])
    guard malloc_count_available() else { return }
    let before = malloc_count()
    for _ in 0..<20 { try session.run() }
    #expect(malloc_count() == before)
  }

  @Test func statesAreSavedAndPrinted() throws {
    let graph = try Self.graph()
    #expect(try TextForm.parse(TextForm.print(graph)) == graph)
    let folder = TemporaryFolder()
    try KilnFile.save(StoredModel(graph: graph), to: folder.file("m.kiln"))
    #expect(try KilnFile.load(path: folder.file("m.kiln")).graph == graph.compacted())
    var states: [Tensor] = []
    _ = try ReferenceBackend.run(graph, [tensor([1, 1])], states: &states)
    #expect(try ReferenceBackend.run(graph, [tensor([1, 2])], states: &states)[0].floats == [4, 206])
    var wrong = graph
    wrong.states[0].value = wrong.inputs[0]
    #expect(throws: KilnError.self) { try Verifier.verify(wrong) }
  }
}
