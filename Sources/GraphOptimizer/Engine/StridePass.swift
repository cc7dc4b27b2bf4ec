import GraphModule
import TensorModule

/// Moves strides from readers that skip positions into the convolution that computes them: 1×1 convolutions, pools of one
/// element and slices, as the first blocks of the stages of a ResNet have. Three of four positions need not be computed.
enum StridePass {
  /// One convolution that takes strides over, and what reads it from then on.
  struct Change {
    /// The convolution without its operands' change.
    var conv: Conv
    var type: TensorType
    /// Where the residual is read: it must be taken apart as the result is.
    var residual: (place: Int, slice: Slice)?
    /// The readers' slots, and their new ops; nil for those that become the convolution's result itself.
    var readers: [(slot: Int, op: (any OpDefinition)?)]
  }

  /// What the convolution in a slot can take over from all of its readers, or nil.
  static func change(_ slot: Int, in workspace: Workspace) -> Change? {
    let node = workspace.node(slot)
    guard let conv = node.op as? Conv, let result = node.outputs.first, !workspace.isOutput(result) else { return nil }
    let users = workspace.users(of: result)
    let type = workspace.type(of: result)
    var common = [Int](repeating: 0, count: conv.strides.count)
    var readers: [(slot: Int, strides: [Int])] = []
    for user in users {
      guard let strides = skips(user, result, in: workspace) else { return nil }
      for axis in common.indices { common[axis] = greatestCommonDivisor(common[axis], strides[axis]) }
      readers.append((user, strides))
    }
    guard !readers.isEmpty, common.contains(where: { $0 > 1 }), workspace.haveOneDevice([slot] + users) else { return nil }
    guard let wider = strided(conv, by: common, node, in: workspace) else { return nil }
    let ranges = [.all] + common.map { Slice.Range(step: $0) } + [.all]
    let residual = conv.epilogue.residualIndex().map { ($0, Slice(ranges)) }
    var operands = node.inputs.map(workspace.type(of:))
    if let (place, slice) = residual {
      guard let part = try? slice.infer([operands[place]]) else { return nil }
      operands[place] = part[0]
    }
    guard let types = try? wider.infer(operands), types[0].dtype == type.dtype else { return nil }
    let rests = readers.map { ($0.slot, without(common, $0.strides, workspace.node($0.slot).op)) }
    // A length that is not known may not be seen to stay: then nothing moves.
    for (slot, op) in rests {
      let reader = workspace.node(slot)
      let found = op.map { try? $0.infer([types[0]] + reader.inputs.dropFirst().map(workspace.type(of:))) } ?? types
      guard found == [workspace.type(of: reader.outputs[0])] else { return nil }
    }
    return Change(conv: wider, type: types[0], residual: residual, readers: rests)
  }

  /// How far apart the positions are that a node reads of a value, per spatial axis, from the first on; nil when it reads
  /// others too.
  private static func skips(_ slot: Int, _ value: ValueID, in workspace: Workspace) -> [Int]? {
    let node = workspace.node(slot)
    guard node.inputs.first == value, !node.inputs.dropFirst().contains(value), node.outputs.count == 1 else { return nil }
    switch node.op {
    case let op as Conv:
      guard workspace.type(of: node.inputs[1]).shape?.dropLast(2).allSatisfy({ $0 == 1 }) == true, isFree(op.padding) else { return nil }
      return op.strides
    case let op as Pool: return op.window.allSatisfy { $0 == 1 } && isFree(op.padding) ? op.strides : nil
    case let op as Slice:
      let ranges = op.ranges
      guard ranges.count >= 3, ranges.first == .all, ranges.last == .all,
        ranges.allSatisfy({ ($0.start ?? 0) == 0 && $0.end == nil && $0.step > 0 })
      else { return nil }
      return ranges.dropFirst().dropLast().map(\.step)
    default: return nil
    }
  }

  /// Whether windows of one element are not padded.
  private static func isFree(_ padding: Padding) -> Bool {
    switch padding {
    case .valid, .same: true
    case .explicit(let amounts): amounts.allSatisfy { $0.low == 0 && $0.high == 0 }
    }
  }

  /// The convolution that computes the positions that many apart; nil where `same` depends on a length that is not known.
  private static func strided(_ conv: Conv, by factors: [Int], _ node: Node, in workspace: Workspace) -> Conv? {
    let input = workspace.type(of: node.inputs[0])
    guard let kernel = workspace.type(of: node.inputs[1]).shape else { return nil }
    var wider = conv
    var amounts: [Padding.Amount] = []
    for axis in factors.indices {
      let (stride, overflow) = conv.strides[axis].multipliedReportingOverflow(by: factors[axis])
      // With stride 1 the amounts of `same` are the same for every length.
      guard !overflow, let length = input.dims[axis + 1].fixed ?? (conv.padding != .same || conv.strides[axis] == 1 ? 1 : nil) else {
        return nil
      }
      amounts.append(
        conv.padding.amount(length, size: kernel[axis], stride: conv.strides[axis], dilation: conv.dilations[axis], axis: axis))
      wider.strides[axis] = stride
    }
    if conv.padding == .same { wider.padding = .explicit(amounts) }
    return wider
  }

  /// The reader with the strides that are left, or nil when it does nothing any more.
  private static func without(_ factors: [Int], _ strides: [Int], _ op: any OpDefinition) -> (any OpDefinition)? {
    let rest = zip(strides, factors).map { $0 / $1 }
    switch op {
    case var op as Conv:
      op.strides = rest
      return op
    case var op as Pool:
      op.strides = rest
      return rest.allSatisfy { $0 == 1 } ? nil : op
    default: return rest.allSatisfy { $0 == 1 } ? nil : Slice([.all] + rest.map { Slice.Range(step: $0) } + [.all])
    }
  }

  private static func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
    var (a, b) = (a, b)
    while b != 0 { (a, b) = (b, a % b) }
    return a
  }
}
