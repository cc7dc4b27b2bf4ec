import GraphModule
import TensorModule

/// A value of rank 2 as a sum: Σ source · matrix + bias, over some of its columns.
struct LinearForm {
  /// Row-major matrices by the values that they multiply.
  var terms: [ValueID: [Double]] = [:]
  var bias: [Double]

  var width: Int { bias.count }

  static func + (left: LinearForm, right: LinearForm) -> LinearForm? {
    guard left.width == right.width else { return nil }
    var sum = left
    sum.bias = zip(left.bias, right.bias).map { $0 + $1 }
    for (source, matrix) in right.terms {
      guard let own = sum.terms[source] else {
        sum.terms[source] = matrix
        continue
      }
      guard own.count == matrix.count else { return nil }
      sum.terms[source] = zip(own, matrix).map { $0 + $1 }
    }
    return sum
  }

  func scaled(by factor: Double) -> LinearForm {
    LinearForm(terms: terms.mapValues { $0.map { $0 * factor } }, bias: bias.map { $0 * factor })
  }
}

/// Reads the body of a loop as arithmetic.
struct BodyReader {
  let graph: Graph
  private let producers: [ValueID: Int]
  /// How deep sums are followed.
  private static let maximumDepth = 32

  init(_ graph: Graph) {
    self.graph = graph
    producers = graph.producers()
  }

  /// The node that makes a value, through nodes that only pass it on.
  func node(_ id: ValueID) -> Node? { producers[plain(id)].map { graph.nodes[$0] } }

  /// The value itself, through nodes that only pass it on.
  func plain(_ id: ValueID) -> ValueID {
    var id = id
    while let producer = producers[id] {
      let node = graph.nodes[producer]
      switch node.op {
      case let op as Elementwise where op.function == .identity: id = node.inputs[0]
      case is Reshape, is BroadcastTo:
        guard graph.type(of: node.inputs[0]).dims == graph.type(of: node.outputs[0]).dims else { return id }
        id = node.inputs[0]
      default: return id
      }
    }
    return id
  }

  /// The operands of an elementwise function.
  func operands(_ id: ValueID, _ function: ScalarFunction) -> [ValueID]? {
    guard let node = node(id), let op = node.op as? Elementwise, op.function == function else { return nil }
    return node.inputs.map(plain)
  }

  /// The number that every element of a constant is.
  func number(_ id: ValueID) -> Double? {
    let id = plain(id)
    if let tensor = graph.constants[id] { return tensor.splat }
    guard let node = node(id), node.op is BroadcastTo else { return nil }
    return number(node.inputs[0])
  }

  /// A function of one operand, if the value is one; the columns of a slice of it are slices of the operand's.
  func activation(_ id: ValueID, _ columns: Range<Int>? = nil) -> (activation: Activation, operand: ValueID, columns: Range<Int>)? {
    let id = plain(id)
    guard let width = graph.type(of: id).dims.last?.fixed, graph.type(of: id).rank == 2 else { return nil }
    let columns = columns ?? 0..<width
    if let (input, inner) = slice(id, columns) { return activation(input, inner) }
    if let node = node(id), let op = node.op as? Elementwise, op.function.arity == 1, !op.function.isPredicate, op.function != .affine,
      op.function != .neg
    {
      return (Activation(op.function, op.parameters), node.inputs[0], columns)
    }
    return (.identity, id, columns)
  }

  /// The operand and its columns that a slice of columns takes.
  private func slice(_ id: ValueID, _ columns: Range<Int>) -> (ValueID, Range<Int>)? {
    guard let node = node(id), let op = node.op as? Slice, op.ranges.count == 2, op.ranges[0] == .all, op.ranges[1].step == 1,
      let width = graph.type(of: node.inputs[0]).dims.last?.fixed
    else { return nil }
    let (start, count) = op.ranges[1].resolved(width)
    guard columns.upperBound <= count else { return nil }
    return (node.inputs[0], start + columns.lowerBound..<start + columns.upperBound)
  }

  /// The value as a linear form of other values.
  func linear(_ id: ValueID, _ columns: Range<Int>? = nil, depth: Int = 0) -> LinearForm? {
    let id = plain(id)
    let type = graph.type(of: id)
    guard depth < BodyReader.maximumDepth, type.rank == 2, let width = type.dims[1].fixed else { return nil }
    let columns = columns ?? 0..<width
    if let (input, inner) = slice(id, columns) { return linear(input, inner, depth: depth + 1) }
    guard let node = node(id) else { return nil }
    switch node.op {
    case let op as Elementwise:
      switch op.function {
      case .add:
        for (a, b) in [(node.inputs[0], node.inputs[1]), (node.inputs[1], node.inputs[0])] {
          if let vector = vector(b, columns, width), let form = linear(a, columns, depth: depth + 1) {
            return form + LinearForm(bias: vector)
          }
        }
        guard let a = linear(node.inputs[0], columns, depth: depth + 1), let b = linear(node.inputs[1], columns, depth: depth + 1) else { return nil }
        return a + b
      case .affine:
        guard op.parameters.count == 2, let form = linear(node.inputs[0], columns, depth: depth + 1) else { return nil }
        return form.scaled(by: op.parameters[0]) + LinearForm(bias: [Double](repeating: op.parameters[1], count: columns.count))
      case .mul:
        for (a, b) in [(node.inputs[0], node.inputs[1]), (node.inputs[1], node.inputs[0])] {
          if let factor = number(b), factor.isFinite, let form = linear(a, columns, depth: depth + 1) { return form.scaled(by: factor) }
        }
        return nil
      default: return nil
      }
    case let op as MatMul: return product(op, node, columns)
    default: return nil
    }
  }

  /// A constant that is added to each row, as one number for each of the columns.
  private func vector(_ id: ValueID, _ columns: Range<Int>, _ width: Int) -> [Double]? {
    if let number = number(id) { return [Double](repeating: number, count: columns.count) }
    guard let tensor = graph.constants[plain(id)], tensor.dtype.isFloat, tensor.count == width, tensor.shape.last == width else { return nil }
    return Array(tensor.doubles[columns])
  }

  private func product(_ op: MatMul, _ node: Node, _ columns: Range<Int>) -> LinearForm? {
    guard !op.transposeA, op.epilogue.activation == .identity, !op.epilogue.residual, let weights = graph.constants[plain(node.inputs[1])], weights.shape.count == 2,
      weights.dtype.isFloat, graph.type(of: node.inputs[0]).rank == 2
    else { return nil }
    let (rows, width) = op.transposeB ? (weights.shape[1], weights.shape[0]) : (weights.shape[0], weights.shape[1])
    guard columns.upperBound <= width else { return nil }
    let numbers = weights.doubles
    func matrix(_ first: Int, _ count: Int) -> [Double] {
      var picked: [Double] = []
      picked.reserveCapacity(count * columns.count)
      for row in first..<first + count { for column in columns { picked.append(op.transposeB ? numbers[column * rows + row] : numbers[row * width + column]) } }
      return picked
    }
    var form = LinearForm(bias: [Double](repeating: 0, count: columns.count))
    if op.epilogue.bias {
      guard node.inputs.count > 2, let bias = vector(node.inputs[2], columns, width) else { return nil }
      form.bias = bias
    }
    var first = 0
    for part in parts(node.inputs[0]) {
      guard let count = graph.type(of: part).dims[1].fixed, first + count <= rows else { return nil }
      guard let sum = form + LinearForm(terms: [part: matrix(first, count)], bias: [Double](repeating: 0, count: columns.count)) else { return nil }
      form = sum
      first += count
    }
    return first == rows ? form : nil
  }

  /// What a value is joined of, column after column.
  private func parts(_ id: ValueID) -> [ValueID] {
    let id = plain(id)
    guard let node = node(id), let op = node.op as? Concat, op.axis == 1, graph.type(of: id).rank == 2 else { return [id] }
    return node.inputs.map(plain)
  }
}
