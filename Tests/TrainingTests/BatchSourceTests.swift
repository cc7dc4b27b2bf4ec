import TensorModule
import Testing
import Training

@Suite struct BatchSourceTests {
  private final class Source: BatchSource {
    let sampleCount: Int? = 10
    let batchSize = 4
    let classNames: [String]? = nil
    func beginEpoch(_ epoch: Int, firstBatch: Int) {}
    func next() -> Batch? { nil }
  }

  @Test func aPartOfABatchCounts() {
    #expect(Source().batchCount == 3)
  }
}
