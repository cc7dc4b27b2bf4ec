import COpenCL
import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// CLBlast, where it is installed: one more variant of large products. Never required.
package enum CLBlast {
  nonisolated(unsafe) static let functions: UnsafePointer<kiln_blast_functions>? = {
    // It makes its own calls of the library that is used here.
    guard (try? OpenCL.library.get()) != nil, getenv("KILN_OPENCL") == nil else { return nil }
    guard let path = getenv("KILN_CLBLAST").map({ String(cString: $0) }) else { return kiln_blast_open(nil) }
    return path == "0" ? nil : kiln_blast_open(path)
  }()

  /// Whether the library is there.
  package static var isThere: Bool { functions != nil }
}

/// Products c = a · b of row-major matrices, `batches` of them.
struct BlasProduct: Hashable, Sendable {
  var m: Int
  var n: Int
  var k: Int
  var transposeA: Bool
  var transposeB: Bool
  /// Elements between rows as they lie in memory.
  var aRow: Int
  var bRow: Int
  var batches = 1
  /// Elements between matrices.
  var aMatrix = 0
  var bMatrix = 0

  private static let halfOne: UInt16 = 0x3C00

  private var transposes: (Int32, Int32) {
    (transposeA ? kiln_blast_transposed : kiln_blast_plain, transposeB ? kiln_blast_transposed : kiln_blast_plain)
  }

  /// Bytes of memory that a call needs besides its operands; without it each call allocates some.
  func scratchBytes(_ queue: GPUQueue, _ precision: GPUPrecision) throws -> Int {
    guard let blast = CLBlast.functions?.pointee, batches == 1 else { return 0 }
    var handle: kiln_cl_queue? = queue.handle
    var size = 0
    let (ta, tb) = transposes
    let bytes = precision == .float16 ? blast.hgemm_bytes : blast.sgemm_bytes
    try check(bytes(kiln_blast_row_major, ta, tb, m, n, k, 0, aRow, 0, bRow, 0, n, &handle, &size))
    return size
  }

  func enqueue(
    _ queue: GPUQueue, _ precision: GPUPrecision, _ a: GPUBuffer, _ b: GPUBuffer, _ c: GPUBuffer, _ scratch: GPUBuffer?,
    _ event: UnsafeMutablePointer<kiln_cl_event?>?
  ) throws {
    guard let blast = CLBlast.functions?.pointee else { throw KilnError(.failed, "CLBlast is not there") }
    var handle: kiln_cl_queue? = queue.handle
    let (ta, tb) = transposes
    let row = kiln_blast_row_major
    switch (precision, batches) {
    case (.float32, 1):
      try check(
        blast.sgemm(row, ta, tb, m, n, k, 1, a.handle, 0, aRow, b.handle, 0, bRow, 0, c.handle, 0, n, &handle, event, scratch?.handle))
    case (.float16, 1):
      try check(
        blast.hgemm(
          row, ta, tb, m, n, k, Self.halfOne, a.handle, 0, aRow, b.handle, 0, bRow, 0, c.handle, 0, n, &handle, event, scratch?.handle))
    case (.float32, _):
      try check(
        blast.sgemm_batches(
          row, ta, tb, m, n, k, 1, a.handle, 0, aRow, aMatrix, b.handle, 0, bRow, bMatrix, 0, c.handle, 0, n, m * n, batches, &handle, event))
    case (.float16, _):
      try check(
        blast.hgemm_batches(
          row, ta, tb, m, n, k, Self.halfOne, a.handle, 0, aRow, aMatrix, b.handle, 0, bRow, bMatrix, 0, c.handle, 0, n, m * n, batches,
          &handle, event))
    }
  }

  private func check(_ status: Int32) throws {
    guard status != 0 else { return }
    throw KilnError(.failed, "the GPU could not run a product: CLBlast error \(status)")
  }
}
