import COpenCL
import TensorModule

/// One kernel call outside of a plan, to be timed.
struct GPULaunch {
  private enum Work {
    case kernel(GPUKernel, global: [Int], local: [Int])
    case product(BlasProduct, GPUPrecision, [GPUBuffer])
  }

  private let work: Work
  private let context: GPUContext

  /// - Parameter memory: the buffer of an argument that has one.
  init(_ pending: PendingKernel, _ context: GPUContext, _ precision: GPUPrecision, _ memory: (GPUArgument) throws -> GPUBuffer?) throws {
    self.context = context
    if let product = pending.product {
      work = .product(product, precision, try pending.arguments.compactMap(memory))
      return
    }
    let kernel = try context.program(pending.source.program(precision)).kernel(pending.name)
    for (number, argument) in pending.arguments.enumerated() {
      switch argument {
      case .absent: try kernel.set(number, OpaquePointer?.none)
      case .value, .temporary, .weights, .errorFlag: try kernel.set(number, memory(argument)?.handle)
      case .int(let value): try kernel.set(number, value)
      case .long(let value): try kernel.set(number, value)
      case .float(let value): try kernel.set(number, value)
      case .double(let value): try kernel.set(number, value)
      }
    }
    work = .kernel(kernel, global: pending.global, local: pending.local)
  }

  func enqueue(_ queue: GPUQueue) throws {
    switch work {
    case .kernel(let kernel, let global, let local):
      try OpenCL.check(
        context.cl.enqueue_kernel(queue.handle, kernel.handle, UInt32(global.count), nil, global, local, 0, nil, nil), "run a kernel")
    case .product(let product, let precision, let operands):
      guard operands.count == 3 else { throw KilnError(.internal, "a product has no memory") }
      try product.enqueue(queue, precision, operands[0], operands[1], operands[2], nil, nil)
    }
  }
}
