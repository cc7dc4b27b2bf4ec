import GraphModule
import TensorModule

/// Evaluates nodes whose operands are all constants.
enum ConstantFolder {
  /// Bytes up to which a result may be made of anything; above, it may be this many times as large as the operands.
  private static let smallResult = 64 << 10
  private static let growth = 4
  /// Multiply-adds up to which a node is worth computing here.
  private static let work = 1 << 27

  /// The results, or nil when the node stays: an operand is no constant, a result is too large, or the op refuses.
  static func fold(_ node: Node, in workspace: Workspace) -> [Tensor]? {
    guard !node.inputs.isEmpty else { return nil }
    var operands: [Tensor] = []
    for input in node.inputs {
      guard let tensor = workspace.constant(input) else { return nil }
      operands.append(tensor)
    }
    let types = node.outputs.map(workspace.type(of:))
    let shapes = types.compactMap(\.shape)
    guard shapes.count == types.count else { return nil }
    let read = operands.reduce(0) { $0 + $1.byteCount }
    var made = 0
    for type in types {
      guard let shape = type.shape, let bytes = checkedProduct(shape + [max(type.dtype.byteCount, 16)]) else { return nil }
      made += bytes
    }
    guard made <= max(smallResult, read.multipliedReportingOverflow(by: growth).partialValue),
      node.op.flops(node.inputs.map(workspace.type(of:)), types) <= work
    else { return nil }
    if let quick = try? moved(node.op, operands, shapes) { return [quick] }
    guard let results = try? node.op.evaluated(operands.map { ReferenceTensor($0) }, types),
      results.count == types.count,
      let tensors = try? results.map({ try $0.tensor() })
    else { return nil }
    return tensors
  }

  /// Ops that only move or convert, without the way through Double.
  private static func moved(_ op: any OpDefinition, _ operands: [Tensor], _ shapes: [Shape]) throws -> Tensor? {
    switch op {
    case is Reshape: return operands[0].reshaped(shapes[0])
    case let op as Transpose where operands[0].dtype != .string: return try operands[0].transposed(op.permutation)
    default: return nil
    }
  }
}

extension Tensor {
  /// The tensor with its axes in another order; not for strings.
  package func transposed(_ permutation: [Int]) throws -> Tensor {
    let strides = shape.rowMajorStrides
    return try strided(permutation.map { shape[$0] }, permutation.map { strides[$0] })
  }

  /// A tensor of another shape whose element at coordinates c is this one's at Σ c[i] · strides[i] (in elements).
  package func strided(_ shape: Shape, _ strides: [Int]) throws -> Tensor {
    try Tensor(dtype: dtype, shape: shape) { memory in
      switch dtype.byteCount {
      case 8: Tensor.copy(address, to: memory, shape, strides, UInt64.self)
      case 4: Tensor.copy(address, to: memory, shape, strides, UInt32.self)
      case 2: Tensor.copy(address, to: memory, shape, strides, UInt16.self)
      default: Tensor.copy(address, to: memory, shape, strides, UInt8.self)
      }
    }
  }

  private static func copy<Element>(
    _ source: UnsafeRawPointer, to memory: UnsafeMutableRawBufferPointer, _ shape: Shape, _ strides: [Int], _: Element.Type
  ) {
    let count = shape.elementCount
    if count == 0 { return }
    let size = MemoryLayout<Element>.stride
    let rowLength = shape.last ?? 1
    let rowStride = strides.last ?? 0
    var at = [Int](repeating: 0, count: max(shape.count - 1, 0))
    var offset = 0
    for row in 0..<(count / rowLength) {
      for column in 0..<rowLength {
        let value = source.loadUnaligned(fromByteOffset: (offset + column * rowStride) * size, as: Element.self)
        memory.storeBytes(of: value, toByteOffset: (row * rowLength + column) * size, as: Element.self)
      }
      for axis in at.indices.reversed() {
        at[axis] += 1
        offset += strides[axis]
        if at[axis] < shape[axis] { break }
        offset -= at[axis] * strides[axis]
        at[axis] = 0
      }
    }
  }
}
