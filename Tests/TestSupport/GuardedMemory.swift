#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Memory between two pages that may not be touched, so that a read or write beyond it ends the process.
package final class GuardedMemory: @unchecked Sendable {
  /// Which neighbour is at once beside the memory; the other one is up to a page away.
  package enum Side: Sendable, CaseIterable {
    case before, after
  }

  package let base: UnsafeMutableRawPointer
  package let byteCount: Int
  private let block: UnsafeMutableRawPointer
  private let blockSize: Int

  /// - Parameter alignment: of the address; what is after the memory is then up to `alignment` − 1 bytes away.
  package init(byteCount: Int, side: Side = .after, alignment: Int = 1) {
    let page = sysconf(Int32(_SC_PAGESIZE))
    let rounded = (byteCount + alignment - 1) / alignment * alignment
    let inner = max(page, (rounded + page - 1) / page * page)
    blockSize = inner + 2 * page
    guard let block = mmap(nil, blockSize, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), block != MAP_FAILED,
      mprotect(block + page, inner, PROT_READ | PROT_WRITE) == 0
    else { fatalError("no memory for a test") }
    self.block = block
    self.byteCount = byteCount
    base = side == .before ? block + page : block + page + inner - rounded
  }

  deinit { munmap(block, blockSize) }
}
