import COpenCL
import GraphModule
import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// One of several ways to compute a node.
struct GPUVariant {
  /// Tells it from the node's other variants, in the table of timings and in profiles.
  var name: String
  /// Adds its kernels to the node.
  var emit: () -> Void
}

/// The kernels of a variant, with what they use.
struct RecordedKernels {
  var kernels: [PendingKernel]
  var temporaries: [Int]
  var valueBytes: (ValueID) -> Int
}

/// How variants of kernels are chosen.
package struct GPUTuning: Sendable {
  /// Seconds that timing may take for a model; 0 takes the first variant of everything.
  package var seconds: Double
  /// Takes the variant of this number, counted round and round; nothing is timed. For tests.
  package var number: Int?

  package init(seconds: Double, number: Int? = nil) {
    self.seconds = seconds
    self.number = number
  }

  package static let off = GPUTuning(seconds: 0)

  /// `KILN_GPU_TUNING`: seconds, 0 for none; 1.5 without it.
  package static var environment: GPUTuning {
    let value = getenv("KILN_GPU_TUNING").flatMap { Double(String(cString: $0)) }
    return GPUTuning(seconds: max(0, min(value ?? 1.5, 600)))
  }
}

/// Times the variants of a model's kernels on its device, within a bound.
///
/// A class of shapes is timed once for a device and driver; its first variant is the one without timing. A class whose timing was cut short
/// by the bound is timed again in the next process, which finds the programs compiled.
final class GPUTuner {
  private let context: GPUContext
  let tuning: GPUTuning
  private let precision: GPUPrecision
  private(set) var spent = 0.0
  private(set) var timed = 0
  private var queue: GPUQueue?
  private var pool: GPUBuffer?
  private var cold: GPUBuffer?
  private var isBlastReady = false

  init(_ context: GPUContext, _ tuning: GPUTuning, _ precision: GPUPrecision) {
    self.context = context
    self.tuning = tuning
    self.precision = precision
  }

  /// Operations and bytes below which all variants are as fast.
  private static let leastFlops = 2_000_000

  /// The number of the variant to take, and whether it was timed.
  ///
  /// - Parameter record: gives the kernels of a variant.
  func choose(_ key: String, _ names: [String], flops: Int, _ record: (Int) -> RecordedKernels) -> (index: Int, isTimed: Bool) {
    if let number = tuning.number { return (number % names.count, false) }
    guard tuning.seconds > 0, names.count > 1, flops >= Self.leastFlops else { return (0, false) }
    let full = "\(key) \(precision.rawValue) of \(Array(names.joined(separator: "\n").utf8).withUnsafeBytes { XXH64.text($0) })"
    if let known = context.tuning[full].flatMap({ names.firstIndex(of: $0) }) { return (known, true) }
    guard spent < tuning.seconds else { return (0, false) }
    timed += 1
    var best: (index: Int, seconds: Double)?
    for index in names.indices {
      if spent >= tuning.seconds { return (best?.index ?? 0, false) }
      let start = now()
      defer { spent += now() - start }
      guard let time = try? measure(record(index), limit: best.map { 2 * $0.seconds } ?? .infinity) else { continue }
      // An equal one is no reason to leave the one before.
      if time < (best?.seconds ?? .infinity) * 0.98 { best = (index, time) }
    }
    guard let best else { return (0, false) }
    context.tuning[full] = names[best.index]
    return (best.index, true)
  }

  /// Gives the memory back, and keeps the choices.
  func finish() {
    (queue, pool, cold) = (nil, nil, nil)
    if timed > 0 { context.tuning.save() }
  }

  private func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }

  // MARK: Timing

  /// Seconds that the kernels take over memory of their sizes, with cold caches; stops early when they take longer than `limit`.
  private func measure(_ recorded: RecordedKernels, limit: Double) throws -> Double {
    let (kernels, temporaries) = (recorded.kernels, recorded.temporaries)
    let queue = try queue ?? GPUQueue(context)
    self.queue = queue
    var memory = ScratchMemory(alignment: context.device.alignment, temporaries: temporaries, valueBytes: recorded.valueBytes)
    for kernel in kernels { for argument in kernel.arguments { memory.reserve(argument) } }
    let whole = try scratch(memory.byteCount, queue)
    var parts: [GPUBuffer] = []
    func part(_ place: (offset: Int, byteCount: Int)) throws -> GPUBuffer {
      let part = try GPUBuffer(part: whole, offset: place.offset, byteCount: place.byteCount)
      parts.append(part)
      return part
    }
    let work = try kernels.map { try GPULaunch($0, context, precision) { try memory.place($0).map(part) } }
    // A prediction runs a node once, and its weights come from memory: timing it with warm caches would favour variants with large ones.
    let cold = try coldMemory()
    func run() throws -> Double {
      var zero: UInt32 = 0
      try OpenCL.check(context.cl.enqueue_fill(queue.handle, cold.handle, &zero, 4, 0, cold.byteCount / 4 * 4, 0, nil, nil), "clear memory")
      try OpenCL.check(context.cl.finish(queue.handle), "finish its work")
      let start = now()
      for launch in work { try launch.enqueue(queue) }
      try OpenCL.check(context.cl.finish(queue.handle), "finish its work")
      return now() - start
    }
    // CLBlast compiles its kernels in each process once: that is left out of the bound.
    let first = try run()
    if kernels.contains(where: { $0.product != nil }), !isBlastReady { (isBlastReady, spent) = (true, spent - first) }
    var best = try run()
    for _ in 0..<3 where best < limit { best = min(best, try run()) }
    return best
  }

  /// More than the caches hold.
  private func coldMemory() throws -> GPUBuffer {
    if let cold { return cold }
    let made = try GPUBuffer(context, byteCount: min(context.device.kind == .gpu ? 128 << 20 : 48 << 20, context.device.maximumBufferBytes))
    cold = made
    return made
  }

  private func scratch(_ byteCount: Int, _ queue: GPUQueue) throws -> GPUBuffer {
    if let pool, pool.byteCount >= byteCount { return pool }
    pool = nil
    guard byteCount <= context.device.memoryBytes / 4 else { throw KilnError(.failed, "timing takes too much memory") }
    let made = try GPUBuffer(context, byteCount: byteCount)
    // Small normal numbers in both precisions.
    var pattern: UInt32 = 0x3C3C_3C3C
    try OpenCL.check(context.cl.enqueue_fill(queue.handle, made.handle, &pattern, 4, 0, made.byteCount / 4 * 4, 0, nil, nil), "clear memory")
    pool = made
    return made
  }
}

/// Where the operands of kernels that are timed lie: each in a place of its own.
private struct ScratchMemory {
  private enum Operand: Hashable {
    case value(Int)
    case temporary(Int)
    case weights(GPUWeights.Key)
    case flag
  }

  let alignment: Int
  let temporaries: [Int]
  let valueBytes: (ValueID) -> Int
  private var places: [Operand: (offset: Int, byteCount: Int)] = [:]
  private(set) var byteCount = 0

  init(alignment: Int, temporaries: [Int], valueBytes: @escaping (ValueID) -> Int) {
    (self.alignment, self.temporaries, self.valueBytes) = (alignment, temporaries, valueBytes)
  }

  private func operand(_ argument: GPUArgument) -> (Operand, Int)? {
    switch argument {
    case .value(let value): (.value(value.index), max(1, valueBytes(value)))
    case .temporary(let index): (.temporary(index), temporaries[index])
    case .weights(let weights): (.weights(weights.key), weights.byteCount)
    case .errorFlag: (.flag, 4)
    case .absent, .int, .long, .float, .double: nil
    }
  }

  mutating func reserve(_ argument: GPUArgument) {
    guard let (operand, bytes) = operand(argument), places[operand] == nil else { return }
    places[operand] = (byteCount, bytes)
    byteCount += (bytes + alignment - 1) / alignment * alignment
  }

  func place(_ argument: GPUArgument) -> (offset: Int, byteCount: Int)? { operand(argument).flatMap { places[$0.0] } }
}
