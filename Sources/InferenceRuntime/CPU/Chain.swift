import CKernels
import GraphModule
import TensorModule

/// A program of the chain kernel, as bindings build it: scalar functions over operands that broadcast together.
struct ChainProgram {
  typealias Source = ElementwiseChain.Operand

  struct Step {
    var function: ScalarFunction
    var parameters: [Double]
    var sources: [Source]
  }

  struct Input {
    var operand: StepOperand
    var dtype: DType
    var shape: Shape
  }

  /// The shape of the result, to which the inputs broadcast.
  var shape: Shape
  var inputs: [Input]
  /// The last step is the result; without steps the result is input 0, converted.
  var steps: [Step]
  var resultType: DType

  /// The registers that hold every type exactly, or nil when none does.
  private var registers: kiln_register_type? {
    let types = inputs.map(\.dtype) + [resultType]
    if types.contains(.string) { return nil }
    let fractions = steps.contains { step in
      step.parameters.contains { $0 != $0.rounded() && $0.isFinite }
        || step.sources.contains { if case .constant(let value) = $0 { value != value.rounded() } else { false } }
    }
    let floats = types.contains(where: \.isFloat)
    if !floats && !fractions { return KILN_REGISTER_I64 }
    let wide = types.contains { $0 == .int32 || $0 == .int64 }
    // 64-bit integers among floats: a conversion has no better than double either; arithmetic would lose digits.
    if floats, types.contains(.int64), !steps.isEmpty { return nil }
    return types.contains(.float64) || wide || !floats ? KILN_REGISTER_F64 : KILN_REGISTER_F32
  }

  private var fits: Bool { inputs.count <= Int(KILN_CHAIN_MAX_INPUTS) && steps.count <= Int(KILN_CHAIN_MAX_INSTRUCTIONS) }

  /// Whether the kernel can hold it.
  var isRunnable: Bool { registers != nil && fits && instructions() != nil }

  /// Adds the program as one step that writes `output`, or returns false when the kernel cannot hold it.
  func append(to node: NodeLowering, output: StepOperand, label: String) throws -> Bool {
    guard let kept = try prepared(node) else { return false }
    try node.step(
      kiln_chain, label, UnsafeRawPointer(kept), inputs.map(\.operand) + [output],
      parts: kiln_chain_parts(kept, node.threads))
    return true
  }

  /// The kernel's parameters, or nil when it cannot hold the program.
  func prepared(_ node: NodeLowering) throws -> UnsafeMutablePointer<kiln_chain_params>? {
    guard let registers, fits, let (instructions, result) = instructions() else { return nil }
    var params = kiln_chain_params()
    params.register_type = Int32(registers.rawValue)
    params.rank = Int32(shape.count)
    params.input_count = Int32(inputs.count)
    params.output_count = 1
    params.instruction_count = Int32(instructions.count)
    withUnsafeMutableBytes(of: &params.dims) { $0.store(shape) }
    params.inputs = try node.keep(
      array: inputs.map { input in
        var entry = kiln_chain_input()
        entry.dtype = Int32(input.dtype.rawValue)
        withUnsafeMutableBytes(of: &entry.strides) { $0.store(Self.strides(of: input.shape, in: shape)) }
        return entry
      })
    params.outputs = UnsafePointer(
      try node.keep(kiln_chain_output(dtype: Int32(resultType.rawValue), source: Int32(result))))
    params.instructions = UnsafePointer(try node.keep(array: instructions))
    let kept = try node.keep(params)
    return kiln_chain_prepare(kept) == 0 ? kept : nil
  }

  /// The instructions with registers assigned (a register is free again after its last reader), and the result's register.
  private func instructions() -> ([kiln_chain_instruction], Int)? {
    if steps.isEmpty { return ([], 0) }
    var lastReader = [Int](repeating: -1, count: steps.count)
    for (index, step) in steps.enumerated() {
      for case .step(let source) in step.sources {
        guard source < index else { return nil }
        lastReader[source] = index
      }
    }
    lastReader[steps.count - 1] = steps.count
    var free: [Int32] = []
    var next = Int32(inputs.count)
    var register = [Int32](repeating: 0, count: steps.count)
    var out: [kiln_chain_instruction] = []
    for (index, step) in steps.enumerated() {
      var instruction = kiln_chain_instruction()
      instruction.function = kiln_function_by_name(step.function.rawValue)
      guard instruction.function >= 0, step.sources.count == step.function.arity else { return nil }
      var numbers = step.parameters
      var sources: [Int32] = []
      for source in step.sources {
        switch source {
        case .input(let number): sources.append(Int32(number))
        case .step(let number): sources.append(register[number])
        case .constant(let value):
          guard step.parameters.isEmpty else { return nil }
          sources.append(-1 - Int32(numbers.count))
          numbers.append(value)
        }
      }
      guard numbers.count <= 3 else { return nil }
      withUnsafeMutableBytes(of: &instruction.src) { $0.store(sources) }
      withUnsafeMutableBytes(of: &instruction.p) { $0.store(numbers) }
      withUnsafeMutableBytes(of: &instruction.i) { $0.store(numbers.map { DType.int64.clamping($0) }) }
      for case .step(let source) in step.sources where lastReader[source] == index && !free.contains(register[source]) {
        free.append(register[source])
      }
      if let reused = free.popLast() { register[index] = reused } else {
        register[index] = next
        next += 1
      }
      instruction.dst = register[index]
      out.append(instruction)
    }
    guard next <= KILN_CHAIN_MAX_REGISTERS else { return nil }
    return (out, Int(register[steps.count - 1]))
  }

  /// Strides in elements of `shape` seen as `target`; 0 where it broadcasts.
  static func strides(of shape: Shape, in target: Shape) -> [Int] {
    let own = shape.rowMajorStrides
    let missing = target.count - shape.count
    return target.indices.map { axis in
      axis < missing || shape[axis - missing] == 1 ? 0 : own[axis - missing]
    }
  }
}

extension UnsafeMutableRawBufferPointer {
  /// Writes the elements from the start; the rest stays.
  func store<Element>(_ values: [Element]) {
    for (index, value) in values.enumerated() where (index + 1) * MemoryLayout<Element>.stride <= count {
      storeBytes(of: value, toByteOffset: index * MemoryLayout<Element>.stride, as: Element.self)
    }
  }
}
