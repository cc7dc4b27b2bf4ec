import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A block of 64-byte aligned memory that is not cleared, freed with its object.
///
/// Blocks of a few MiB and more are aligned to huge pages and ask for them, which spares address translation in
/// matrices that are streamed once per prediction.
package final class RuntimeMemory: @unchecked Sendable {
  package let base: UnsafeMutableRawPointer
  package let byteCount: Int

  private static let hugePage = 2 << 20

  /// - Throws: `KilnError` (`failed`) when memory cannot be had.
  package init(byteCount: Int) throws {
    var pointer: UnsafeMutableRawPointer?
    let huge = byteCount >= 2 * Self.hugePage
    guard byteCount >= 0, byteCount < 1 << 46,
      posix_memalign(&pointer, huge ? Self.hugePage : 64, max(64, byteCount)) == 0, let pointer
    else { throw KilnError(.failed, "out of memory: \(byteCount) bytes could not be allocated") }
    #if os(Linux)
      if huge { madvise(pointer, byteCount / Self.hugePage * Self.hugePage, MADV_HUGEPAGE) }
    #endif
    base = pointer
    self.byteCount = byteCount
  }

  deinit { free(base) }
}

/// Memory for the small structs that a plan's steps point to. They keep their address as long as the plan lives.
package final class ParameterMemory: @unchecked Sendable {
  private var blocks: [RuntimeMemory] = []
  private var used = 0

  package init() {}

  /// A copy of `value`, which must be trivial (a C struct).
  package func store<Value>(_ value: Value) throws -> UnsafeMutablePointer<Value> {
    try store(CollectionOfOne(value))
  }

  /// Copies of `values`, adjacent. The elements must be trivial.
  package func store<Values: Collection>(_ values: Values) throws -> UnsafeMutablePointer<Values.Element> {
    let bytes = max(1, values.count) * MemoryLayout<Values.Element>.stride
    let size = (bytes + 63) & ~63
    if blocks.isEmpty || used + size > blocks[blocks.count - 1].byteCount {
      blocks.append(try RuntimeMemory(byteCount: max(size, 16 << 10)))
      used = 0
    }
    let address = blocks[blocks.count - 1].base + used
    used += size
    let pointer = address.bindMemory(to: Values.Element.self, capacity: max(1, values.count))
    for (index, value) in values.enumerated() { (pointer + index).initialize(to: value) }
    return pointer
  }
}
