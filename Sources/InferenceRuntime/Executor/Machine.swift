import CKernels

/// What kernels are picked by, and measured against.
package enum Machine {
  /// The instruction set in use: `scalar`, `avx2`, `avx512`.
  package static var instructionSet: String { String(cString: kiln_tier_name(kiln_cpu_tier())) }

  /// Billions of float32 operations a second that the threads of `pool` reach together in registers: the best of several
  /// short trials, now.
  package static func peakGigaflops(_ pool: ThreadPool) throws -> Double {
    let trials = 9
    let memory = try RuntimeMemory(byteCount: pool.count * 64)
    var rounds: Int64 = 20_000
    var base: UnsafeMutableRawPointer? = memory.base
    var operand = kiln_operand(base: 0, offset: 0)
    var best = Int64.max
    var trial = 0
    while trial < trials {
      let begin = kiln_pool_now()
      withUnsafePointer(to: &rounds) { rounds in
        var step = kiln_step(
          kernel: kiln_peak_f32, params: UnsafeRawPointer(rounds), first_operand: 0, operand_count: 1, parts: Int32(pool.count))
        kiln_execute(&step, 1, &operand, &base, pool.handle)
      }
      let time = kiln_pool_now() - begin
      if time < 1_000_000, rounds < 1 << 40 {
        rounds *= 2
        continue
      }
      best = min(best, time)
      trial += 1
    }
    return Double(kiln_peak_flops(rounds)) * Double(pool.count) / Double(best)
  }
}
