import CKernels
import GraphModule
import TensorModule

/// An op that has fast kernels on this processor. One file for each op family, beside this protocol's users in `CPU/`.
package protocol CPUBinding: OpDefinition {
  /// Adds the steps that compute the node, or declares its result an alias of an operand.
  ///
  /// - Returns: false when no kernel fits these types or attributes; the node then takes the slow path, and what was
  ///   added is dropped.
  func lower(_ node: NodeLowering) throws -> Bool
  /// Whether its work is one long sequence, which threads can hardly divide.
  var isSequential: Bool { get }
  /// Whether the node applies the prologue to its first operand; `lower` must then do so.
  func takesPrologue(_ prologue: Prologue, _ node: Node, in graph: Graph, _ options: PlanOptions) -> Bool
}

extension CPUBinding {
  package var isSequential: Bool { false }
  package func takesPrologue(_ prologue: Prologue, _ node: Node, in graph: Graph, _ options: PlanOptions) -> Bool { false }
}

/// Where a step's operand lives, before memory is planned.
package enum StepOperand {
  /// An optional operand that is not there.
  case absent
  /// An operand or result of the node, from `byteOffset` on.
  case value(ValueID, byteOffset: Int)
  /// Memory that the node's steps use among themselves.
  case temporary(Int, byteOffset: Int)
  /// An int32 that a kernel sets when data are wrong; 0 at first, looked at after the prediction.
  case errorFlag(Int)
  /// Weights.
  case memory(UnsafeRawPointer)

  /// The operand from `bytes` further on.
  func advanced(by bytes: Int) -> StepOperand {
    switch self {
    case .absent, .errorFlag: self
    case .value(let id, let offset): .value(id, byteOffset: offset + bytes)
    case .temporary(let index, let offset): .temporary(index, byteOffset: offset + bytes)
    case .memory(let address): .memory(address + bytes)
    }
  }
}

/// A step before memory is planned.
struct PendingStep {
  var kernel: kiln_kernel
  var params: UnsafeRawPointer?
  var operands: [StepOperand]
  var parts: Int32
  /// Long and undivided: worth a thread of its own beside another one.
  var isSequence = false
}

/// What a binding sees of its node, and where it puts its steps. Lives while the node is lowered.
package final class NodeLowering {
  package let node: Node
  package let inputs: [TensorType]
  package let outputs: [TensorType]
  package let inputShapes: [Shape]
  package let outputShapes: [Shape]
  package let options: PlanOptions
  /// Whether another sequential node, independent of this one, runs at the same time.
  package let hasCompanion: Bool
  /// What the first operand goes through on its way in; that operand itself is then never made.
  package let prologue: Prologue?
  /// What the result of a pooling goes through.
  package let activation: Activation
  /// The nodes that run in turns and end with this one, whose results between them are then never made.
  package let band: Band<Node>?
  /// Of a product: the one in front of it, whose result is then never made.
  package let first: Node?
  /// The attention that ends in this node, in place of what the node does alone.
  package let attention: Attention?

  private let graph: Graph
  private let isUsed: (ValueID) -> Bool
  private let parameters: ParameterMemory
  private let store: WeightStore

  // What the binding decided.
  private(set) var steps: [PendingStep] = []
  private(set) var temporaries: [Int] = []
  private(set) var aliases: [(output: Int, input: Int, byteOffset: Int)] = []
  private(set) var inPlace: [(output: Int, input: Int)] = []
  private(set) var weights: [RuntimeMemory] = []
  private(set) var labels: [String] = []
  private(set) var reason = ""
  private(set) var errorMessages: [String] = []
  private(set) var merged: [(input: Int, byteOffset: Int)] = []
  private let canMerge: (Int) -> Bool

  init(
    _ node: Node, in graph: Graph, isUsed: @escaping (ValueID) -> Bool,
    canMerge: @escaping (Int) -> Bool, options: PlanOptions, parameters: ParameterMemory, store: WeightStore,
    hasCompanion: Bool = false, prologue: Prologue? = nil, activation: Activation = .identity, band: Band<Node>? = nil,
    first: Node? = nil, attention: Attention? = nil
  ) throws {
    self.activation = activation
    self.attention = attention
    self.prologue = prologue
    self.band = band
    self.first = first
    self.hasCompanion = hasCompanion
    self.node = node
    self.graph = graph
    self.isUsed = isUsed
    self.canMerge = canMerge
    self.options = options
    self.parameters = parameters
    self.store = store
    inputs = node.inputs.map(graph.type(of:))
    outputs = node.outputs.map(graph.type(of:))
    inputShapes = inputs.compactMap(\.shape)
    outputShapes = outputs.compactMap(\.shape)
    guard inputShapes.count == inputs.count, outputShapes.count == outputs.count else {
      throw KilnError(.internal, "a plan is made of a graph with symbols", at: [node.op.opName])
    }
  }

  package var threads: Int32 { Int32(clamping: options.threads) }

  // MARK: Operands

  /// The tensor of a constant operand.
  package func constant(_ input: Int) -> Tensor? { constant(node.inputs[input]) }

  package func constant(_ value: ValueID) -> Tensor? { graph.constants[value] }

  package func shape(of value: ValueID) -> Shape? { graph.type(of: value).shape }

  /// Whether an operand is known to be zeros: a constant, or a number spread out.
  package func isZeros(_ input: Int) -> Bool {
    var tensor = constant(input)
    if tensor == nil, let maker = graph.nodes.first(where: { $0.outputs.contains(node.inputs[input]) }), maker.op is BroadcastTo {
      tensor = graph.constants[maker.inputs[0]]
    }
    guard let tensor, tensor.dtype != .string else { return false }
    return tensor.bytes.allSatisfy { $0 == 0 }
  }

  package func input(_ index: Int, byteOffset: Int = 0) -> StepOperand {
    operand(node.inputs[index]).advanced(by: byteOffset)
  }

  package func operand(_ value: ValueID) -> StepOperand {
    if let tensor = graph.constants[value] { return .memory(tensor.address) }
    return .value(value, byteOffset: 0)
  }

  /// The length of a value's last axis.
  package func width(of value: ValueID) -> Int { graph.type(of: value).shape?.last ?? 0 }

  /// The operand of that index, or an absent one.
  package func optionalInput(_ index: Int?) -> StepOperand { index.map { input($0) } ?? .absent }

  package func output(_ index: Int = 0, byteOffset: Int = 0) -> StepOperand {
    .value(node.outputs[index], byteOffset: byteOffset)
  }

  /// The result of that index, or an absent operand when the node has none or nothing reads it.
  package func optionalOutput(_ index: Int) -> StepOperand {
    node.outputs.indices.contains(index) && isUsed(node.outputs[index]) ? output(index) : .absent
  }

  /// Memory for the steps of this node, 64-byte aligned, not cleared; absent for 0 bytes.
  package func temporary(byteCount: Int) -> StepOperand {
    if byteCount <= 0 { return .absent }
    temporaries.append(byteCount)
    return .temporary(temporaries.count - 1, byteOffset: 0)
  }

  /// A flag for a kernel to set when the data are wrong; the prediction then fails with the message.
  package func errorFlag(_ message: String) -> StepOperand {
    errorMessages.append(message)
    return .errorFlag(errorMessages.count - 1)
  }

  /// A constant in the layout that a kernel reads, made once per model.
  ///
  /// - Parameters:
  ///   - layout: the kind of layout.
  ///   - key: the numbers that the layout depends on.
  ///   - pack: fills the memory, which is 64-byte aligned and not cleared, once the plan is made; on any thread.
  package func packed(
    _ constant: Tensor, layout: String, key: [Int], byteCount: Int,
    pack: @escaping @Sendable (UnsafeMutableRawPointer) -> Void
  ) throws -> StepOperand {
    let memory = try store.packed(constant, layout: layout, parameters: key, byteCount: byteCount, pack: pack)
    weights.append(memory)
    return .memory(UnsafeRawPointer(memory.base))
  }

  /// A copy of parameters that lives as long as the plan.
  package func keep<Value>(_ value: Value) throws -> UnsafeMutablePointer<Value> { try parameters.store(value) }

  package func keep<Values: Collection>(array values: Values) throws -> UnsafeMutablePointer<Values.Element> {
    try parameters.store(values)
  }

  // MARK: Decisions

  /// Adds a step.
  ///
  /// - Parameter label: the kernel's name in reports.
  package func step(
    _ kernel: kiln_kernel, _ label: String, _ params: UnsafeRawPointer?, _ operands: [StepOperand], parts: Int32 = 1,
    isSequence: Bool = false
  ) throws {
    guard operands.count <= Int(KILN_MAX_OPERANDS) else {
      throw KilnError(.internal, "a step has \(operands.count) operands")
    }
    steps.append(PendingStep(kernel: kernel, params: params, operands: operands, parts: max(1, parts), isSequence: isSequence))
    labels.append(label)
  }

  /// Says why the kernels are what they are, for reports.
  package func because(_ reason: String) { self.reason = reason }

  /// Adds a step whose parameters are `value`.
  package func step<Value>(
    _ kernel: kiln_kernel, _ label: String, copying value: Value, _ operands: [StepOperand], parts: Int32 = 1,
    isSequence: Bool = false
  ) throws {
    try step(kernel, label, UnsafeRawPointer(try keep(value)), operands, parts: parts, isSequence: isSequence)
  }

  /// The result is the operand's memory, from `byteOffset` on: nothing runs.
  package func alias(output: Int = 0, of input: Int, byteOffset: Int = 0) {
    aliases.append((output, input, byteOffset))
  }

  /// Lets the operand be computed in its place inside the result (a part of a concatenation), so that no copy is needed.
  ///
  /// - Returns: false when the operand's memory is not free to move; it must then be copied.
  package func mergeIntoResult(_ input: Int, byteOffset: Int) -> Bool {
    guard canMerge(input), !merged.contains(where: { node.inputs[$0.input] == node.inputs[input] }) else { return false }
    merged.append((input, byteOffset))
    return true
  }

  /// The result may take over the operand's memory when nothing else needs it.
  ///
  /// The steps must stay right when both are the same memory: no element of the operand is read after that of the
  /// result at its place was written.
  package func allowInPlace(output: Int = 0, over input: Int) { inPlace.append((output, input)) }
}
