import CKernels
import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// OpenBLAS, opened when it is first needed: processors without vector kernels of Kiln's own use its products.
///
/// It is held to one thread; Kiln's pool shares the work.
package struct OpenBLAS: @unchecked Sendable {
  typealias SGEMM = @convention(c) (
    Int32, Int32, Int32, Int32, Int32, Int32, Float, UnsafePointer<Float>?, Int32, UnsafePointer<Float>?, Int32, Float,
    UnsafeMutablePointer<Float>?, Int32
  ) -> Void

  /// The name that the library was found under.
  package let name: String
  /// The library's own description of its build.
  package let configuration: String
  let sgemm: SGEMM

  /// The library, or nil where there is none.
  package static let library: OpenBLAS? = open()

  /// Whether dense products go to it: no vector kernels here, and the tier was not lowered on purpose (a test of the
  /// scalar kernels). KILN_BLAS=1 and KILN_BLAS=0 decide otherwise.
  package static let isPreferred: Bool = {
    if let choice = getenv("KILN_BLAS").map({ String(cString: $0) }) { return choice == "1" && library != nil }
    return kiln_cpu_tier() == KILN_TIER_SCALAR && getenv("KILN_ISA_MAX") == nil && library != nil
  }()

  private static func open() -> OpenBLAS? {
    #if os(Linux)
      let names = ["libopenblas.so.0", "libopenblas.so"]
    #else
      let names = ["libopenblas.dylib"]
    #endif
    for name in names {
      guard let handle = dlopen(name, RTLD_NOW | RTLD_LOCAL) else { continue }
      guard let sgemm = dlsym(handle, "cblas_sgemm"), let setThreads = dlsym(handle, "openblas_set_num_threads") else {
        dlclose(handle)
        continue
      }
      unsafeBitCast(setThreads, to: (@convention(c) (Int32) -> Void).self)(1)
      var configuration = ""
      if let text = dlsym(handle, "openblas_get_config") {
        let get = unsafeBitCast(text, to: (@convention(c) () -> UnsafePointer<CChar>?).self)
        configuration = get().map { String(cString: $0) } ?? ""
      }
      return OpenBLAS(name: name, configuration: configuration, sgemm: unsafeBitCast(sgemm, to: SGEMM.self))
    }
    return nil
  }

  /// Parameters of `gemmKernel`: C = activation(A · B + bias + residual), B as it is stored.
  struct Parameters {
    var sgemm: SGEMM
    var m: Int
    var n: Int
    var k: Int
    var transposeB: Bool
    var activation: kiln_activation
  }

  /// Operands: A, B, bias or nil, residual or nil, C. Parts share the rows.
  static let gemmKernel: kiln_kernel = { params, operands, part, parts in
    guard let params, let operands, let c = operands[4]?.assumingMemoryBound(to: Float.self) else { return }
    let p = params.assumingMemoryBound(to: Parameters.self)
    let (m, n, k) = (p.pointee.m, p.pointee.n, p.pointee.k)
    let (first, end) = (m * Int(part) / Int(parts), m * (Int(part) + 1) / Int(parts))
    if first == end || n == 0 { return }
    let bias = operands[2].map { UnsafePointer($0.assumingMemoryBound(to: Float.self)) }
    let residual = operands[3].map { UnsafePointer($0.assumingMemoryBound(to: Float.self)) }
    for row in first..<end {
      let target = c + row * n
      for column in 0..<n {
        target[column] = (residual.map { $0[row * n + column] } ?? 0) + (bias.map { $0[column] } ?? 0)
      }
    }
    if k > 0 {
      // Row-major 101; plain 111, transposed 112: the numbers of CBLAS.
      p.pointee.sgemm(
        101, 111, p.pointee.transposeB ? 112 : 111, Int32(end - first), Int32(n), Int32(k), 1,
        operands[0].map { UnsafePointer($0.assumingMemoryBound(to: Float.self)) + first * k }, Int32(k),
        operands[1].map { UnsafePointer($0.assumingMemoryBound(to: Float.self)) }, Int32(p.pointee.transposeB ? k : n), 1,
        c + first * n, Int32(n))
    }
    kiln_apply_f32(p.pointee.activation, c + first * n, (end - first) * n)
  }
}
