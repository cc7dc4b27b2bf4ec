import InferenceRuntime
import TestSupport
import Testing

@Suite struct ArenaPlannerTests {
  @Test func buffersThatAreAliveTogetherNeverOverlap() {
    var random = TestRandom(named: "arena planner")
    for _ in 0..<300 {
      let count = Int.random(in: 0...60, using: &random)
      let requests = (0..<count).map { _ in
        let first = Int.random(in: 0...40, using: &random)
        return ArenaPlanner.Request(
          byteCount: Int.random(in: 0...5000, using: &random), first: first, last: first + Int.random(in: 0...8, using: &random))
      }
      let layout = ArenaPlanner.plan(requests)
      #expect(layout.offsets.count == count)
      #expect(layout.byteCount >= ArenaPlanner.lowerBound(requests))
      #expect(layout.byteCount <= requests.reduce(0) { $0 + ArenaPlanner.aligned($1.byteCount) })
      for (i, a) in requests.enumerated() {
        #expect(layout.offsets[i] % ArenaPlanner.alignment == 0)
        #expect(layout.offsets[i] + a.byteCount <= layout.byteCount)
        for (j, b) in requests.enumerated().dropFirst(i + 1) where a.first <= b.last && b.first <= a.last {
          let apart =
            layout.offsets[i] + a.byteCount <= layout.offsets[j] || layout.offsets[j] + b.byteCount <= layout.offsets[i]
          #expect(apart, "\(a) at \(layout.offsets[i]) and \(b) at \(layout.offsets[j])")
        }
      }
    }
  }

  @Test func chainReachesTheLowerBound() {
    let requests = (0..<50).map { ArenaPlanner.Request(byteCount: 1000 + 640 * ($0 % 7), first: $0, last: $0 + 1) }
    #expect(ArenaPlanner.plan(requests).byteCount == ArenaPlanner.lowerBound(requests))
  }
}
