import CKernels
import TestSupport

/// Floats between guard pages.
struct Floats {
  let memory: GuardedMemory
  let count: Int

  init(_ count: Int, alignment: Int = 4) {
    self.count = count
    memory = GuardedMemory(byteCount: count * 4, alignment: alignment)
  }

  init(_ count: Int, _ random: inout TestRandom) {
    self.init(count)
    for index in 0..<count { pointer[index] = Float.random(in: -1...1, using: &random) }
  }

  var pointer: UnsafeMutablePointer<Float> { memory.base.assumingMemoryBound(to: Float.self) }
  subscript(_ index: Int) -> Double { Double(pointer[index]) }
}

/// All parts of a step, one after the other, in an order that is not theirs.
func runParts<Params>(
  _ kernel: kiln_kernel, _ params: Params, _ operands: [UnsafeMutableRawPointer?], parts: Int32
) {
  withUnsafePointer(to: params) { params in
    operands.withUnsafeBufferPointer { operands in
      for part in (0..<parts).reversed() { kernel(params, operands.baseAddress, part, parts) }
    }
  }
}

/// The same over memory that is kept until they are done: the last use of an array of pointers does not keep it.
func runParts<Params>(_ kernel: kiln_kernel, _ params: Params, _ operands: [Floats?], parts: Int32) {
  withExtendedLifetime(operands) { runParts(kernel, params, operands.map { $0?.memory.base }, parts: parts) }
}
