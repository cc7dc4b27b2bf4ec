import COpenCL
import InferenceRuntime
import TensorModule

/// The memory and the kernels of one prediction on the device. Used by one call at a time.
final class GPUWorkspace: DeviceWorkspace {
  private enum Work {
    case kernel(GPUKernel, dimensions: UInt32, sizes: Int)
    case product(BlasProduct, GPUPrecision, [GPUBuffer], scratch: GPUBuffer?)
    case copy(from: GPUBuffer, to: GPUBuffer, byteCount: Int)
  }

  private let plan: GPUPlan
  private let context: GPUContext
  private let queue: GPUQueue
  private var work: [Work] = []
  /// Global and local sizes of all kernels: three each.
  private let sizes: UnsafeMutablePointer<Int>
  private var buffers: [GPUBuffer] = []
  private let flags: GPUBuffer?
  private var inboxes: [GPUBuffer?] = []
  private var outboxes: [GPUBuffer?] = []
  /// Where boxes of several pieces are put together; as large as the largest.
  private let staging: RuntimeMemory
  private var inputs: [[UnsafeRawPointer?]]
  private var outputs: [[UnsafeMutableRawPointer?]]

  init(_ plan: GPUPlan) throws {
    self.plan = plan
    context = plan.context
    queue = try plan.memories.first?.queue ?? GPUQueue(plan.context, profiling: false)
    let kernelCount = plan.commands.count
    sizes = .allocate(capacity: max(1, kernelCount * 6))
    sizes.initialize(repeating: 1, count: max(1, kernelCount * 6))
    inputs = plan.parts.map { [UnsafeRawPointer?](repeating: nil, count: $0.operandCount) }
    outputs = plan.parts.map { [UnsafeMutableRawPointer?](repeating: nil, count: $0.resultCount) }
    staging = try RuntimeMemory(byteCount: plan.parts.map { max($0.inbox.byteCount, $0.outbox.byteCount) }.max() ?? 0)
    let flagBytes = plan.flagErrors.count * plan.context.device.alignment
    flags = plan.flagErrors.isEmpty ? nil : try GPUBuffer(plan.context, byteCount: flagBytes)
    let arena = try GPUBuffer(plan.context, byteCount: plan.arenaBytes)
    try build(arena)
  }

  deinit {
    _ = context.cl.finish(queue.handle)
    sizes.deallocate()
  }

  private func build(_ arena: GPUBuffer) throws {
    var parts: [GPUPlan.Region: GPUBuffer] = [:]
    func buffer(_ region: GPUPlan.Region) throws -> GPUBuffer {
      if let found = parts[region] { return found }
      let whole = region.memory < 0 ? arena : plan.memories[region.memory].buffer
      let made = try GPUBuffer(part: whole, offset: region.offset, byteCount: region.byteCount)
      parts[region] = made
      buffers.append(made)
      return made
    }
    let slot = context.device.alignment
    for (index, command) in plan.commands.enumerated() {
      switch command.work {
      case .copy(let from, let to):
        work.append(.copy(from: try buffer(from), to: try buffer(to), byteCount: to.byteCount))
      case .product(let product, let precision, let arguments):
        let operands = try arguments.compactMap { argument -> GPUBuffer? in
          switch argument {
          case .region(let region): try buffer(region)
          case .weights(let weights): weights
          default: nil
          }
        }
        guard operands.count == 3 else { throw KilnError(.internal, "a product has no memory") }
        let size = try product.scratchBytes(queue, precision)
        let scratch = try size > 0 ? GPUBuffer(context, byteCount: size) : nil
        work.append(.product(product, precision, operands, scratch: scratch))
      case .flags(let to):
        guard let flags else { continue }
        work.append(.copy(from: flags, to: try buffer(to), byteCount: to.byteCount))
      case .kernel(let program, let name, let arguments, let global, let local):
        let kernel = try program.kernel(name)
        for (number, argument) in arguments.enumerated() {
          switch argument {
          case .absent: try kernel.set(number, OpaquePointer?.none)
          case .region(let region): try kernel.set(number, try buffer(region).handle)
          case .weights(let weights): try kernel.set(number, weights.handle)
          case .flag(let flag):
            guard let flags else { continue }
            let part = try GPUBuffer(part: flags, offset: flag * slot, byteCount: 4)
            buffers.append(part)
            try kernel.set(number, part.handle)
          case .int(let value): try kernel.set(number, value)
          case .long(let value): try kernel.set(number, value)
          case .float(let value): try kernel.set(number, value)
          case .double(let value): try kernel.set(number, value)
          }
        }
        for (axis, size) in global.prefix(3).enumerated() { sizes[index * 6 + axis] = size }
        for (axis, size) in local.prefix(3).enumerated() { sizes[index * 6 + 3 + axis] = size }
        work.append(.kernel(kernel, dimensions: UInt32(min(3, global.count)), sizes: index * 6))
      }
    }
    for part in plan.parts {
      inboxes.append(part.inbox.byteCount > 0 ? try buffer(part.inbox) : nil)
      outboxes.append(part.outbox.byteCount > 0 ? try buffer(part.outbox) : nil)
    }
  }

  func setInput(_ part: Int, _ index: Int, _ address: UnsafeRawPointer?) { inputs[part][index] = address }

  func setOutput(_ part: Int, _ index: Int, _ address: UnsafeMutableRawPointer?) { outputs[part][index] = address }

  func run(_ part: Int) throws {
    try plan.failure.noting { try enqueueAll(part) }
  }

  private func enqueueAll(_ part: Int) throws {
    let steps = plan.parts[part]
    try upload(steps, part)
    for index in steps.commands { try enqueue(index, nil) }
    try download(steps, part)
  }

  func timedRun(_ part: Int) throws -> (nodes: [Int64], transfers: Int64) {
    let steps = plan.parts[part]
    let clock = ContinuousClock()
    func finish() throws { try OpenCL.check(context.cl.finish(queue.handle), "finish its work") }
    var times = [Int64](repeating: 0, count: steps.nodes.count)
    var transfers = nanoseconds(
      try clock.measure {
        try upload(steps, part)
        try finish()
      })
    for index in steps.commands {
      let node = plan.commands[index].node
      let time = nanoseconds(
        try clock.measure {
          try enqueue(index, nil)
          try finish()
        })
      if times.indices.contains(node) { times[node] += time } else { transfers += time }
    }
    transfers += nanoseconds(try clock.measure { try download(steps, part) })
    return (times, transfers)
  }

  private func nanoseconds(_ duration: Duration) -> Int64 {
    duration.components.seconds * 1_000_000_000 + duration.components.attoseconds / 1_000_000_000
  }

  private func upload(_ steps: GPUPlan.Part, _ part: Int) throws {
    if let flags, !steps.flags.isEmpty {
      var zero: Int32 = 0
      let slot = context.device.alignment
      try OpenCL.check(
        context.cl.enqueue_fill(
          queue.handle, flags.handle, &zero, 4, steps.flags.lowerBound * slot, steps.flags.count * slot, 0, nil, nil), "clear flags")
    }
    guard let inbox = inboxes[part] else { return }
    var source = UnsafeRawPointer(staging.base)
    if steps.uploads.count == 1, let only = inputs[part][steps.uploads[0].operand] { source = only } else {
      for piece in steps.uploads {
        guard let from = inputs[part][piece.operand] else { continue }
        (staging.base + piece.boxOffset).copyMemory(from: from, byteCount: piece.byteCount)
      }
    }
    let bytes = steps.uploads.count == 1 ? steps.uploads[0].byteCount : inbox.byteCount
    context.count(\.uploads)
    // The staging memory is written again only when the part has finished.
    try OpenCL.check(context.cl.enqueue_write(queue.handle, inbox.handle, 0, 0, bytes, source, 0, nil, nil), "take the inputs")
  }

  private func download(_ steps: GPUPlan.Part, _ part: Int) throws {
    guard let outbox = outboxes[part] else {
      return try OpenCL.check(context.cl.finish(queue.handle), "finish its work")
    }
    context.count(\.downloads)
    let isDirect = steps.downloads.count == 1 && steps.flags.isEmpty
    let direct = isDirect ? outputs[part][steps.downloads[0].operand] : nil
    let bytes = isDirect ? steps.downloads[0].byteCount : outbox.byteCount
    try OpenCL.check(
      context.cl.enqueue_read(queue.handle, outbox.handle, 1, 0, bytes, direct ?? staging.base, 0, nil, nil), "give the results")
    if isDirect { return }
    for piece in steps.downloads {
      outputs[part][piece.operand]?.copyMemory(from: staging.base + piece.boxOffset, byteCount: piece.byteCount)
    }
    for (index, flag) in steps.flags.enumerated() {
      let set = staging.base.load(fromByteOffset: steps.flagOffset + index * context.device.alignment, as: Int32.self)
      if set != 0 { throw plan.flagErrors[flag] }
    }
  }

  @inline(__always)
  private func enqueue(_ index: Int, _ event: UnsafeMutablePointer<kiln_cl_event?>?) throws {
    switch work[index] {
    case .kernel(let kernel, let dimensions, let at):
      let status = context.cl.enqueue_kernel(queue.handle, kernel.handle, dimensions, nil, sizes + at, sizes + at + 3, 0, nil, event)
      if status != 0 { try OpenCL.check(status, "run a kernel") }
    case .product(let product, let precision, let operands, let scratch):
      try product.enqueue(queue, precision, operands[0], operands[1], operands[2], scratch, event)
    case .copy(let from, let to, let bytes):
      let status = context.cl.enqueue_copy(queue.handle, from.handle, to.handle, 0, 0, bytes, 0, nil, event)
      if status != 0 { try OpenCL.check(status, "copy") }
    }
  }
}
