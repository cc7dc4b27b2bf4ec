import GraphModule
import TensorModule

/// Writes convolutions that have no kernel of their own as sums of those that have: three spatial axes as one convolution over two
/// axes for each tap of the first, transposed ones with groups as convolutions of their input with zeros between its pixels.
struct WindowDecomposition {
  private var graph: Graph
  private let scope: String
  private let name: String

  /// The graph with such nodes replaced; lengths that are not known leave a node as it is.
  static func apply(_ graph: Graph) throws -> Graph {
    guard graph.nodes.contains(where: { isWanted($0.op) || $0.op is any ControlFlowOp }) else { return graph }
    var out = Graph(name: graph.name)
    out.metadata = graph.metadata
    var map: [ValueID: ValueID] = [:]
    for input in graph.inputs { map[input] = try out.addInput(graph[input].name, graph.type(of: input)) }
    for (id, tensor) in graph.constants.sorted(by: { $0.key.index < $1.key.index }) { map[id] = out.addConstant(graph[id].name, tensor) }
    for node in graph.nodes {
      let operands = try node.inputs.map { id in
        guard let operand = map[id] else { throw KilnError(.internal, "'\(graph[id].name)' is used before it is made") }
        return operand
      }
      let name = node.outputs.first.map { graph[$0].name } ?? node.op.opName
      if isWanted(node.op), node.inputs.allSatisfy({ graph.type(of: $0).dtype == .float32 }) {
        var own = WindowDecomposition(graph: out, scope: node.scope, name: name)
        if let result = try own.decomposed(node.op, operands, graph.type(of: node.outputs[0])) {
          out = own.graph
          map[node.outputs[0]] = result
          continue
        }
      }
      var op = node.op
      if let control = op as? any ControlFlowOp { op = control.replacing(subgraphs: try control.subgraphs.map(apply)) }
      for (old, new) in zip(node.outputs, try out.add(op, operands, name: name, scope: node.scope, device: node.device)) { map[old] = new }
    }
    out.outputs = try graph.outputs.map { output in
      guard let value = map[output.value] else { throw KilnError(.internal, "output '\(output.name)' is not made") }
      return Graph.Output(name: output.name, value: value)
    }
    return out
  }

  private static func isWanted(_ op: any OpDefinition) -> Bool {
    if let conv = op as? Conv { return conv.strides.count == 3 }
    if let conv = op as? ConvTranspose { return conv.strides.count == 3 || conv.groups > 1 }
    return (op as? ConvKernelGradient)?.strides.count == 3
  }

  /// Nil where a length is not known or nothing fits.
  private mutating func decomposed(_ op: any OpDefinition, _ operands: [ValueID], _ type: TensorType) throws -> ValueID? {
    if let conv = op as? Conv { return try convolution(conv, operands, type) }
    if let gradient = op as? ConvKernelGradient { return try kernelGradient(gradient, operands) }
    guard let conv = op as? ConvTranspose else { return nil }
    return conv.strides.count == 3 ? try transposed(conv, operands, type) : try grouped(conv, operands, type)
  }

  // MARK: Three axes

  private mutating func convolution(_ conv: Conv, _ operands: [ValueID], _ type: TensorType) throws -> ValueID? {
    let (x, w) = (dims(operands[0]), dims(operands[1]))
    guard let depth = x[1].fixed, let taps = w[0].fixed, let outDepth = type.dims[1].fixed, taps > 0, outDepth > 0 else { return nil }
    let amount = conv.padding.amount(depth, size: taps, stride: conv.strides[0], dilation: conv.dilations[0], axis: 0)
    let padded = try pad(operands[0], axis: 1, amount.low, amount.high)
    let padding: Padding = if case .explicit(let amounts) = conv.padding { .explicit(Array(amounts.dropFirst())) } else { conv.padding }
    let planes = [type.dims[0] * Dim(outDepth)] + type.dims.dropFirst(2)
    var sum = try conv.epilogue.residualIndex().map { try reshape(operands[$0], planes) }
    for tap in 0..<taps {
      var epilogue = Epilogue(residual: sum != nil)
      if tap == taps - 1 { (epilogue.bias, epilogue.activation) = (conv.epilogue.bias, conv.epilogue.activation) }
      let op = Conv(
        strides: Array(conv.strides.dropFirst()), dilations: Array(conv.dilations.dropFirst()), padding: padding, groups: conv.groups, epilogue: epilogue)
      let bias = epilogue.bias ? conv.epilogue.biasIndex().map { [operands[$0]] } ?? [] : []
      let plane = try planesAt(padded, start: tap * conv.dilations[0], step: conv.strides[0], count: outDepth)
      sum = try add(op, [plane, try tapOf(operands[1], tap)] + bias + (sum.map { [$0] } ?? []))
    }
    return try sum.map { try reshape($0, type.dims) }
  }

  private mutating func kernelGradient(_ op: ConvKernelGradient, _ operands: [ValueID]) throws -> ValueID? {
    guard let depth = dims(operands[0])[1].fixed, let outDepth = dims(operands[1])[1].fixed, outDepth > 0 else { return nil }
    let reach = (outDepth - 1) * op.strides[0] + (op.window[0] - 1) * op.dilations[0] + 1
    let padded = try pad(operands[0], axis: 1, op.low[0], max(0, reach - op.low[0] - depth))
    let slope = try reshape(operands[1], [dims(operands[1])[0] * Dim(outDepth)] + dims(operands[1]).dropFirst(2))
    let plane = ConvKernelGradient(
      window: Array(op.window.dropFirst()), strides: Array(op.strides.dropFirst()), dilations: Array(op.dilations.dropFirst()),
      low: Array(op.low.dropFirst()), groups: op.groups)
    let parts = try (0..<op.window[0]).map { tap -> ValueID in
      let own = try add(plane, [try planesAt(padded, start: tap * op.dilations[0], step: op.strides[0], count: outDepth), slope])
      return try reshape(own, [1] + dims(own))
    }
    return parts.count == 1 ? parts[0] : try add(Concat(axis: 0), parts)
  }

  private mutating func transposed(_ conv: ConvTranspose, _ operands: [ValueID], _ type: TensorType) throws -> ValueID? {
    let (x, w) = (dims(operands[0]), dims(operands[1]))
    guard let depth = x[1].fixed, let taps = w[0].fixed, let outDepth = type.dims[1].fixed, depth > 0, taps > 0, outDepth > 0 else { return nil }
    let cut = conv.cut(depth, output: outDepth, size: taps, axis: 0)
    let padding: Padding = if case .explicit(let amounts) = conv.padding { .explicit(Array(amounts.dropFirst())) } else { conv.padding }
    let plane = ConvTranspose(
      strides: Array(conv.strides.dropFirst()), dilations: Array(conv.dilations.dropFirst()), padding: padding,
      outputPadding: conv.outputPadding.map { Array($0.dropFirst()) }, groups: conv.groups)
    let planes = try reshape(operands[0], [x[0] * Dim(depth)] + x.dropFirst(2))
    let planeType = TensorType(type.dtype, [x[0] * Dim(depth)] + type.dims.dropFirst(2))
    var sum = conv.epilogue.residualIndex().map { operands[$0] }
    for tap in 0..<taps {
      let weights = try tapOf(operands[1], tap)
      guard let own = conv.groups > 1 ? try grouped(plane, [planes, weights], planeType) : try add(plane, [planes, weights]) else { return nil }
      var spread = try reshape(own, [x[0], Dim(depth)] + type.dims.dropFirst(2))
      spread = try self.spread(spread, axis: 1, depth, conv.strides[0])
      // Where the tap's first plane lies in the result.
      let first = tap * conv.dilations[0] - cut
      let length = (depth - 1) * conv.strides[0] + 1
      let (from, end) = (max(0, -first), min(length, outDepth - first))
      if from >= end { continue }
      spread = try slice(spread, axis: 1, from, end)
      spread = try pad(spread, axis: 1, max(0, first), outDepth - max(0, first) - (end - from))
      sum = try sum.map { try add(Elementwise(.add), [$0, spread]) } ?? spread
    }
    guard let sum else { return nil }
    return try finish(sum, conv.epilogue, operands)
  }

  // MARK: Groups

  /// The convolution of x with zeros between its pixels with the kernel turned round.
  private mutating func grouped(_ conv: ConvTranspose, _ operands: [ValueID], _ type: TensorType) throws -> ValueID? {
    let (x, w) = (dims(operands[0]), dims(operands[1]))
    let rank = conv.strides.count
    let lengths = (0..<rank).compactMap { x[$0 + 1].fixed }
    let outLengths = (0..<rank).compactMap { type.dims[$0 + 1].fixed }
    let kernel = w.compactMap(\.fixed)
    guard lengths.count == rank, outLengths.count == rank, kernel.count == rank + 2, !lengths.contains(0) else { return nil }
    var amounts: [Padding.Amount] = []
    for axis in 0..<rank {
      let extent = (kernel[axis] - 1) * conv.dilations[axis] + 1
      let low = extent - 1 - conv.cut(lengths[axis], output: outLengths[axis], size: kernel[axis], axis: axis)
      let high = outLengths[axis] - ((lengths[axis] - 1) * conv.strides[axis] + 1) - low + extent - 1
      guard low >= 0, high >= 0 else { return nil }
      amounts.append(Padding.Amount(low, high))
    }
    var spread = operands[0]
    for axis in 0..<rank { spread = try self.spread(spread, axis: axis + 1, lengths[axis], conv.strides[axis]) }
    let (own, channels) = (kernel[rank], kernel[rank + 1])
    var turned = operands[1]
    let axes = (0..<rank).filter { kernel[$0] > 1 }
    if !axes.isEmpty { turned = try add(Reverse(axes: axes), [turned]) }
    let window = kernel.prefix(rank).map { Dim($0) }
    turned = try reshape(turned, window + [Dim(own), Dim(conv.groups), Dim(channels / conv.groups)])
    turned = try add(Transpose(Array(0..<rank) + [rank + 2, rank + 1, rank]), [turned])
    turned = try reshape(turned, window + [Dim(channels / conv.groups), Dim(own * conv.groups)])
    let op = Conv(
      strides: conv.strides.map { _ in 1 }, dilations: conv.dilations, padding: .explicit(amounts), groups: conv.groups, epilogue: conv.epilogue)
    return try add(op, [spread, turned] + operands.dropFirst(2))
  }

  // MARK: Expressions

  private func dims(_ value: ValueID) -> [Dim] { graph.type(of: value).dims }

  private mutating func add(_ op: any OpDefinition, _ operands: [ValueID]) throws -> ValueID {
    try graph.addOne(op, operands, name: name, scope: scope)
  }

  private mutating func reshape(_ x: ValueID, _ dims: [Dim]) throws -> ValueID {
    self.dims(x) == dims ? x : try add(Reshape(dims), [x])
  }

  private mutating func pad(_ x: ValueID, axis: Int, _ low: Int, _ high: Int) throws -> ValueID {
    if low == 0, high == 0 { return x }
    func amounts(_ amount: Int) -> [Int] { dims(x).indices.map { $0 == axis ? amount : 0 } }
    return try add(Pad(low: amounts(low), high: amounts(high)), [x])
  }

  private mutating func slice(_ x: ValueID, axis: Int, _ start: Int, _ end: Int, step: Int = 1) throws -> ValueID {
    if start == 0, step == 1, dims(x)[axis].fixed == end { return x }
    return try add(Slice(dims(x).indices.map { $0 == axis ? Slice.Range(start: start, end: end, step: step) : .all }), [x])
  }

  /// Planes start, start + step, … of the first spatial axis as samples.
  private mutating func planesAt(_ x: ValueID, start: Int, step: Int, count: Int) throws -> ValueID {
    let cut = try slice(x, axis: 1, start, start + (count - 1) * step + 1, step: step)
    return try reshape(cut, [dims(x)[0] * Dim(count)] + dims(x).dropFirst(2))
  }

  private mutating func tapOf(_ weights: ValueID, _ tap: Int) throws -> ValueID {
    try reshape(try slice(weights, axis: 0, tap, tap + 1), Array(dims(weights).dropFirst()))
  }

  /// x with stride − 1 zeros between its positions along an axis of `length`.
  private mutating func spread(_ x: ValueID, axis: Int, _ length: Int, _ stride: Int) throws -> ValueID {
    if stride == 1 || length == 1 { return x }
    var split = dims(x)
    split.insert(1, at: axis + 1)
    let padded = try pad(try reshape(x, split), axis: axis + 1, 0, stride - 1)
    var joined = dims(x)
    joined[axis] = Dim(length * stride)
    return try slice(try reshape(padded, joined), axis: axis, 0, (length - 1) * stride + 1)
  }

  private mutating func finish(_ sum: ValueID, _ epilogue: Epilogue, _ operands: [ValueID]) throws -> ValueID {
    var result = sum
    if let index = epilogue.biasIndex() { result = try add(Elementwise(.add), [result, operands[index]]) }
    if epilogue.activation != .identity {
      result = try add(Elementwise(epilogue.activation.function, epilogue.activation.parameters), [result])
    }
    return result
  }
}
