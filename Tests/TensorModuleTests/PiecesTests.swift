import Synchronization
import TensorModule
import TestSupport
import Testing

/// Tensors that are read a piece at a time.
@Suite struct PiecesTests {
  /// Counts the elements that were computed.
  private final class Counter: Sendable {
    let elements = Mutex(0)
  }

  private func deferred(_ count: Int, _ counter: Counter) throws -> Tensor {
    try Tensor(dtype: .float32, shape: [count]) { elements, memory in
      counter.elements.withLock { $0 += elements.count }
      for (index, element) in elements.enumerated() { memory.storeBytes(of: Float(element), toByteOffset: 4 * index, as: Float.self) }
    }
  }

  @Test func deferredElementsAreComputedWhenAskedFor() throws {
    let count = 300_001
    let counter = Counter()
    let tensor = try deferred(count, counter)
    let expected = try Tensor((0..<count).map { Float($0) }, shape: [count])
    #expect(tensor.isDeferred && tensor.reshaped([1, count]).isDeferred && counter.elements.withLock { $0 } == 0)
    // Pieces are computed each time and not kept.
    for turn in 1...2 {
      var bytes: [UInt8] = []
      try tensor.forEachPiece { bytes += $0 }
      #expect(bytes.elementsEqual(expected.bytes) && counter.elements.withLock { $0 } == turn * count)
    }
    #expect(tensor.sample == expected.sample && counter.elements.withLock { $0 } == 2 * count + 48)
    // The address computes all of them once, for the other shape too.
    let other = tensor.reshaped([1, count])
    #expect(other.floats == expected.floats && tensor.floats == expected.floats)
    #expect(counter.elements.withLock { $0 } == 3 * count + 48)
    tensor.releaseMapping()
    #expect(tensor == expected && counter.elements.withLock { $0 } == 3 * count + 48)
  }

  @Test func equalityLooksAtEveryElement() throws {
    let count = 300_001
    let expected = try Tensor((0..<count).map { Float($0) }, shape: [count])
    #expect(try deferred(count, Counter()) == expected && expected == deferred(count, Counter()))
    #expect(try deferred(count, Counter()) == deferred(count, Counter()))
    for place in [0, 17, 150_000, 299_999, 300_000] {
      var values = expected.floats
      values[place] = -1
      let other = try Tensor(values, shape: [count])
      #expect(try other != expected && other != deferred(count, Counter()) && deferred(count, Counter()) != other)
    }
  }

  @Test(arguments: [0, 1 << 30]) func parallelWorkIsDoneOnce(bytes: Int) throws {
    let seen = Mutex([Int](repeating: 0, count: 1000))
    try ParallelWork.forEach(1000, bytes: bytes) { index in seen.withLock { $0[index] += 1 } }
    #expect(seen.withLock { $0.allSatisfy { $0 == 1 } })
    try ParallelWork.forEach(0, bytes: bytes) { _ in Issue.record("nothing is to be done") }
    #expect { try ParallelWork.forEach(100, bytes: bytes) { if $0 == 50 { throw KilnError(.failed, "at fifty") } } } throws: { "\($0)".contains("at fifty") }
  }

  @Test func twoThingsAreDoneTogether() throws {
    let done = Mutex(0)
    try ParallelWork.both({ done.withLock { $0 += 1 } }) { done.withLock { $0 += 2 } }
    #expect(done.withLock { $0 } == 3)
    #expect { try ParallelWork.both({ throw KilnError(.failed, "first") }) {} } throws: { "\($0)".contains("first") }
    #expect { try ParallelWork.both({}) { throw KilnError(.failed, "second") } } throws: { "\($0)".contains("second") }
  }
}
