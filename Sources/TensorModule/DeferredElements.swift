import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Elements that a function computes, and a place for all of them that takes memory only when they are kept there.
@usableFromInline final class DeferredElements: Sendable {
  let byteCount: Int
  private let count: Int
  private let fill: @Sendable (Range<Int>, UnsafeMutableRawBufferPointer) -> Void
  /// Where the elements are once `compute` has returned.
  nonisolated(unsafe) let memory: UnsafeMutableRawPointer
  private let isComputed = Mutex(false)

  /// - Throws: `KilnError` (`failed`) when the address space for the elements cannot be had.
  init(count: Int, byteCount: Int, _ fill: @escaping @Sendable (Range<Int>, UnsafeMutableRawBufferPointer) -> Void) throws(KilnError) {
    let address = mmap(nil, max(byteCount, 1), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let address, address != MAP_FAILED else {
      throw KilnError(.failed, "out of memory: \(byteCount) bytes could not be allocated")
    }
    (self.count, self.byteCount, self.fill, memory) = (count, byteCount, fill, address)
  }

  /// Computes all elements, unless they are there.
  @usableFromInline func compute() {
    isComputed.withLock { isComputed in
      if isComputed { return }
      fill(0..<count, UnsafeMutableRawBufferPointer(start: memory, count: byteCount))
      isComputed = true
    }
  }

  /// Computes some of them, or copies those that are there.
  func copy(_ elements: Range<Int>, to target: UnsafeMutableRawBufferPointer) {
    guard isComputed.withLock({ $0 }) else { return fill(elements, target) }
    let size = byteCount / max(count, 1)
    target.copyMemory(from: UnsafeRawBufferPointer(start: memory + elements.lowerBound * size, count: elements.count * size))
  }

  deinit { munmap(memory, max(byteCount, 1)) }
}
