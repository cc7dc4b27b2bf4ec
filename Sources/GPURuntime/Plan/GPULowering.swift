import GraphModule
import TensorModule

/// What a binding sees of its node, and where it puts its kernels. Lives while the node is lowered.
package final class GPULowering {
  package let node: Node
  package let inputs: [TensorType]
  package let outputs: [TensorType]
  package let inputShapes: [Shape]
  package let outputShapes: [Shape]
  package let device: GPUDevice
  package let precision: GPUPrecision
  /// Whether a work-item should be a vector loop of its own (a processor) rather than a lane of many (a GPU).
  package let prefersVectors: Bool
  /// Only algorithms whose rounding is that of plain sums (no Winograd).
  package let exact: Bool

  private let graph: Graph
  private let isUsed: (ValueID) -> Bool
  private let tuner: GPUTuner?

  // What the binding decided.
  private(set) var kernels: [PendingKernel] = []
  private(set) var temporaries: [Int] = []
  private(set) var aliases: [(output: Int, input: Int, byteOffset: Int)] = []
  private(set) var inPlace: [(output: Int, input: Int)] = []
  private(set) var errorMessages: [String] = []
  /// The variants that were taken, and why.
  private(set) var variants: [String] = []
  private(set) var reason = ""

  /// - Returns: nil for shapes that a kernel's int indices cannot count, or strings.
  init?(
    _ node: Node, in graph: Graph, isUsed: @escaping (ValueID) -> Bool, device: GPUDevice, precision: GPUPrecision, prefersVectors: Bool,
    exact: Bool = false, tuner: GPUTuner? = nil
  ) {
    self.exact = exact
    self.tuner = tuner
    self.node = node
    self.graph = graph
    self.isUsed = isUsed
    self.device = device
    self.precision = precision
    self.prefersVectors = prefersVectors
    inputs = node.inputs.map(graph.type(of:))
    outputs = node.outputs.map(graph.type(of:))
    inputShapes = inputs.compactMap(\.shape)
    outputShapes = outputs.compactMap(\.shape)
    let types = inputs + outputs
    guard inputShapes.count + outputShapes.count == types.count,
      types.allSatisfy({ $0.dtype != .string && ($0.elementCount.fixed ?? .max) < 1 << 31 })
    else { return nil }
  }

  // MARK: Operands

  /// The tensor of a constant operand.
  package func constant(_ input: Int) -> Tensor? { graph.constants[node.inputs[input]] }

  /// The operand as it is stored: constants are uploaded once.
  package func input(_ index: Int) -> GPUArgument {
    guard let tensor = constant(index) else { return .value(node.inputs[index]) }
    if tensor.dtype == .float32 {
      return weights(tensor, layout: "plain", count: tensor.count) { target in
        let source = tensor.bytes.bindMemory(to: Float.self)
        for i in 0..<source.count { target[i] = source[i] }
      }
    }
    return .weights(
      GPUWeights(
        key: .init(constant: ObjectIdentifier(tensor), layout: "bytes", numbers: []), constant: tensor, byteCount: tensor.byteCount,
        fill: { if let base = $0.baseAddress { base.copyMemory(from: tensor.address, byteCount: min($0.count, tensor.byteCount)) } }))
  }

  /// The operand of that index, or an absent one.
  package func optionalInput(_ index: Int?) -> GPUArgument { index.map { input($0) } ?? .absent }

  package func output(_ index: Int = 0) -> GPUArgument { .value(node.outputs[index]) }

  /// The result of that index, or an absent argument when the node has none or nothing reads it.
  package func optionalOutput(_ index: Int) -> GPUArgument {
    node.outputs.indices.contains(index) && isUsed(node.outputs[index]) ? output(index) : .absent
  }

  /// Memory for the kernels of this node, not cleared.
  package func temporary(byteCount: Int) -> GPUArgument {
    temporaries.append(max(1, byteCount))
    return .temporary(temporaries.count - 1)
  }

  /// Memory for `count` numbers of the device's `real` type.
  package func temporary(reals count: Int) -> GPUArgument { temporary(byteCount: count * precision.byteCount) }

  /// Work-items of a group along an axis of so many: a power of two, 64 at most.
  package func group(of lanes: Int) -> Int {
    min([64, 32, 16, 8, 4, 2, 1].first { $0 <= max(1, lanes) } ?? 1, device.maximumGroup)
  }

  /// A flag for a kernel to set when the data are wrong; the prediction then fails with the message.
  package func errorFlag(_ message: String) -> GPUArgument {
    errorMessages.append(message)
    return .errorFlag(errorMessages.count - 1)
  }

  /// Numbers made from a constant, stored as `real`, once per model.
  ///
  /// - Parameters:
  ///   - layout, key: tell this layout of the constant from others.
  ///   - fill: writes all `count` numbers.
  package func weights(
    _ constant: Tensor, layout: String, key: [Int] = [], count: Int, fill: @escaping @Sendable (inout UnsafeMutableBufferPointer<Float>) -> Void
  ) -> GPUArgument {
    let precision = precision
    return .weights(
      GPUWeights(
        key: .init(constant: ObjectIdentifier(constant), layout: layout, numbers: key), constant: constant,
        byteCount: count * precision.byteCount,
        fill: { bytes in
          if precision == .float32 {
            var numbers = bytes.bindMemory(to: Float.self)
            fill(&numbers)
            return
          }
          let numbers = UnsafeMutableBufferPointer<Float>.allocate(capacity: count)
          defer { numbers.deallocate() }
          var filled = numbers
          fill(&filled)
          let halves = bytes.bindMemory(to: UInt16.self)
          for i in 0..<min(count, halves.count) { halves[i] = HalfPrecision.float16Bits(Double(numbers[i])) }
        }))
  }

  /// At least `count` numbers that are 0.
  package func zeros(_ count: Int) -> GPUArgument {
    let rounded = (count + 1023) / 1024 * 1024
    return weights(Self.zero, layout: "zeros", key: [rounded], count: rounded) { $0.update(repeating: 0) }
  }

  /// Numbers that only the node's attributes and shapes tell, once per model.
  ///
  /// - Parameters:
  ///   - name, key: tell this table from others.
  ///   - fill: writes all bytes, in the form that the kernel reads whatever the precision.
  package func table(_ name: String, key: [Int], byteCount: Int, fill: @escaping @Sendable (UnsafeMutableRawBufferPointer) -> Void) -> GPUArgument {
    .weights(
      GPUWeights(key: .init(constant: ObjectIdentifier(Self.zero), layout: name, numbers: key), constant: Self.zero, byteCount: byteCount, fill: fill))
  }

  /// Stands for a constant in the weights' keys.
  private static let zero = Tensor(strings: [""], shape: [1])

  // MARK: Decisions

  /// Adds a kernel call. `global` is rounded up to multiples of `local`: kernels check their indices.
  package func kernel(_ source: KernelSource, _ name: String, _ arguments: [GPUArgument], global: [Int], local: [Int]) {
    let rounded = zip(global, local).map { ($0 + $1 - 1) / $1 * $1 }
    kernels.append(PendingKernel(source: source, name: name, arguments: arguments, global: rounded, local: local))
  }

  /// Adds a product of matrices that CLBlast computes, with operands and result stored as `real`.
  func kernel(_ product: BlasProduct, _ a: GPUArgument, _ b: GPUArgument, _ c: GPUArgument) {
    kernels.append(PendingKernel(source: KernelSource(""), name: "clblast", arguments: [a, b, c], global: [1], local: [1], product: product))
  }

  /// Whether variants are to be offered that are never the fastest on such a device.
  var takesEveryVariant: Bool { tuner?.tuning.number != nil }

  /// Adds the kernels of the variant that is the fastest on this device, as timed before or now; the first where nothing is timed.
  ///
  /// - Parameters:
  ///   - kind, numbers: the class of shapes; all its nodes take the same variant.
  ///   - flops: operations of the kernels; small ones are not timed.
  /// - Returns: false when there is no variant.
  func fastest(_ kind: String, _ numbers: [Int], flops: Int, of ways: [GPUVariant]) -> Bool {
    guard let first = ways.first else { return false }
    guard let tuner, ways.count > 1 else {
      first.emit()
      variants.append(first.name)
      return true
    }
    let marks = (kernels.count, temporaries.count)
    func drop() {
      kernels.removeSubrange(marks.0...)
      temporaries.removeSubrange(marks.1...)
    }
    let key = ([kind] + numbers.map(String.init)).joined(separator: " ")
    let choice = tuner.choose(key, ways.map(\.name), flops: flops) { index in
      defer { drop() }
      ways[index].emit()
      return RecordedKernels(kernels: Array(kernels[marks.0...]), temporaries: temporaries) { [graph, precision] value in
        let type = graph.type(of: value)
        return (type.elementCount.fixed ?? 0) * precision.storedBytes(type.dtype)
      }
    }
    ways[choice.index].emit()
    variants.append(ways[choice.index].name)
    if choice.isTimed { reason = "the fastest of \(ways.count) as timed" }
    return true
  }

  /// Adds a kernel call over `count` elements in one dimension.
  package func kernel(_ source: KernelSource, _ name: String, _ arguments: [GPUArgument], count: Int) {
    let group = min(prefersVectors ? 256 : 128, device.maximumGroup)
    kernel(source, name, arguments, global: [max(1, count)], local: [max(1, group)])
  }

  /// The result is the operand's memory, from `byteOffset` on: nothing runs. The offset counts bytes as they are stored
  /// (`storedBytes` for each element).
  ///
  /// - Returns: false when the offset is not aligned for this device, or the operand is a constant; it must then be copied.
  package func alias(output: Int = 0, of input: Int, byteOffset: Int = 0) -> Bool {
    guard constant(input) == nil, byteOffset % device.alignment == 0 else { return false }
    aliases.append((output, input, byteOffset))
    return true
  }

  /// The result may take over the operand's memory when nothing else needs it.
  ///
  /// The kernels must stay right when both are the same memory: no work-item may read an element of the operand that another one
  /// has written.
  package func allowInPlace(output: Int = 0, over input: Int) { inPlace.append((output, input)) }

  /// Bytes of an element in the device's memory.
  package func storedBytes(_ dtype: DType) -> Int { precision.storedBytes(dtype) }

  /// Whether all operands and results have this dtype.
  package func isAll(_ dtype: DType) -> Bool { (inputs + outputs).allSatisfy { $0.dtype == dtype } }
}

extension GPULowering {
  /// The names of the kernels, and of the variants of them that were taken.
  var kernelText: String {
    let names = kernels.map(\.name).joined(separator: " + ")
    return variants.isEmpty ? names : "\(names) (\(variants.joined(separator: ", ")))"
  }
}

extension GPUPrecision {
  func storedBytes(_ dtype: DType) -> Int { dtype == .float32 ? byteCount : dtype.byteCount }
}
