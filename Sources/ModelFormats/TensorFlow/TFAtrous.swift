import GraphModule
import TensorModule

/// A dilated convolution as TensorFlow writes it: `SpaceToBatchND`, a plain convolution of each phase, `BatchToSpaceND`; with
/// `ExpandDims` and `Squeeze` around the convolution of sequences.
///
/// It is read as one convolution, so that the amounts of padding need not be numbers: only what they leave uncut must be.
struct TFAtrous {
  private let frame: TFFrame
  private let node: TFNode
  private let convolution: (frame: TFFrame, node: Int)
  private let start: (frame: TFFrame, node: TFNode)
  private let expansion: (frame: TFFrame, axis: TFReference)?
  private let squeezed: [Int]?

  static let ops: Set<String> = ["BatchToSpaceND", "BatchToSpace"]

  /// The pattern that ends at a node; nil when there is none.
  init?(_ converter: TFConverter, _ frame: TFFrame, _ node: TFNode) throws {
    guard TFAtrous.ops.contains(node.op), let operand = node.inputs.first else { return nil }
    func maker(_ frame: TFFrame, _ reference: TFReference) throws -> (frame: TFFrame, node: Int)? {
      guard case .output(let output) = try converter.locate(frame, reference), output.index == 0 else { return nil }
      return (converter.frames[output.key.frame], output.key.node)
    }
    guard var found = try maker(frame, operand) else { return nil }
    var axes: [Int]?
    if found.frame.nodes[found.node].op == "Squeeze", let next = found.frame.nodes[found.node].inputs.first {
      let attributes = found.frame.nodes[found.node].attributes
      guard case .list(let list)? = attributes["squeeze_dims"] ?? attributes["axis"], let before = try maker(found.frame, next) else { return nil }
      axes = list.compactMap { if case .int(let axis) = $0 { axis } else { nil } }
      found = before
    }
    let convolution = found.frame.nodes[found.node]
    guard ["Conv2D", "DepthwiseConv2dNative", "Conv3D"].contains(convolution.op), convolution.inputs.count == 2,
      var source = try maker(found.frame, convolution.inputs[0])
    else { return nil }
    var expansion: (TFFrame, TFReference)?
    if source.frame.nodes[source.node].op == "ExpandDims", source.frame.nodes[source.node].inputs.count == 2 {
      let inputs = source.frame.nodes[source.node].inputs
      expansion = (source.frame, inputs[1])
      guard let before = try maker(source.frame, inputs[0]) else { return nil }
      source = before
    }
    let first = source.frame.nodes[source.node]
    guard first.op == (node.op == "BatchToSpace" ? "SpaceToBatch" : "SpaceToBatchND"), (expansion == nil) == (axes == nil) else { return nil }
    self.frame = frame
    self.node = node
    self.convolution = found
    start = (source.frame, first)
    self.expansion = expansion
    squeezed = axes
  }

  /// What must be known before anything else is looked at.
  private var operands: [(frame: TFFrame, reference: TFReference)] {
    start.node.inputs.map { (start.frame, $0) } + node.inputs.dropFirst().map { (frame, $0) }
      + [(convolution.frame, convolution.frame.nodes[convolution.node].inputs[1])] + (expansion.map { [($0.frame, $0.axis)] } ?? [])
  }

  /// The nodes to finish first; empty when all is known.
  func needs(_ converter: TFConverter) throws -> [TFKey] {
    try operands.flatMap { try converter.keys($0.frame, CollectionOfOne($0.reference)) }.filter { converter.results[$0] == nil }
  }

  private struct Plan {
    var x: TFValue
    var kernel: TFValue
    /// Where an axis of length 1 goes in, and out again.
    var expansion: Int?
    var dilations: [Int]
    var padding: [Padding.Amount]
  }

  /// Whether the operands have values that one convolution stands for.
  func fits(_ converter: TFConverter) -> Bool { (try? plan(converter)) ?? nil != nil }

  private func plan(_ converter: TFConverter) throws -> Plan? {
    let values = try operands.compactMap { try converter.value($0.frame, $0.reference) }
    guard values.count == operands.count, let x = values.first else { return nil }
    let plain = node.op == "BatchToSpace"
    let last = plain ? 3 : 5
    guard values.count >= last else { return nil }
    var (block, pads, crops): ([Int], [Dim], [Dim])
    if plain {
      guard case .int(let size)? = node.attributes["block_size"], case .int(let other)? = start.node.attributes["block_size"], size == other,
        let before = values[1].known?.elements, let after = values[2].known?.elements
      else { return nil }
      (block, pads, crops) = ([size, size], before, after)
    } else {
      guard let size = values[1].known?.fixed, size == values[3].known?.fixed, let before = values[2].known?.elements,
        let after = values[4].known?.elements
      else { return nil }
      (block, pads, crops) = (size, before, after)
    }
    let kernel = values[plain ? 3 : 5]
    let call = TFCall(converter, convolution.frame, convolution.frame.nodes[convolution.node], "", [x, kernel])
    let rank = call.op == "Conv3D" ? 3 : 2
    var axis: Int?
    if expansion != nil {
      guard let place = values.last?.known?.fixed?.first, x.type.rank == rank + 1, let squeezed, squeezed.count == 1 else { return nil }
      let positive = place < 0 ? place + rank + 2 : place
      guard (1...rank).contains(positive), (squeezed[0] < 0 ? squeezed[0] + rank + 2 : squeezed[0]) == positive else { return nil }
      axis = positive
    }
    let window = try TFWindow(call, rank: rank)
    guard x.type.rank == rank + (axis == nil ? 2 : 1), kernel.type.rank == rank + 2, let shape = kernel.type.shape,
      window.strides.allSatisfy({ $0 == 1 }), window.dilations.allSatisfy({ $0 == 1 }), !(try call.text("data_format", "NHWC").hasPrefix("NC")),
      block.count <= rank - (axis == nil ? 0 : 1), block.allSatisfy({ (1...1 << 20).contains($0) }), pads.count == 2 * block.count,
      crops.count == pads.count
    else { return nil }
    var dilations = [Int](repeating: 1, count: rank)
    var padding = [Padding.Amount](repeating: .init(0, 0), count: rank)
    for spatial in 0..<rank {
      let own: Padding.Amount
      switch window.padding {
      case .valid: own = .init(0, 0)
      case .explicit(let amounts): own = amounts[spatial]
      case .same: own = .init((shape[spatial] - 1) / 2, shape[spatial] - 1 - (shape[spatial] - 1) / 2)
      }
      padding[spatial] = own
      let source = axis.map { spatial + 1 < $0 ? spatial : spatial + 1 == $0 ? -1 : spatial - 1 } ?? spatial
      guard block.indices.contains(source) else { continue }
      let low = pads[2 * source] - crops[2 * source], high = pads[2 * source + 1] - crops[2 * source + 1]
      guard let low = low.fixed, let high = high.fixed, low >= 0, high >= 0, max(low, high) <= 1 << 20 else { return nil }
      dilations[spatial] = block[source]
      padding[spatial] = .init(low + own.low * block[source], high + own.high * block[source])
    }
    return Plan(x: x, kernel: kernel, expansion: axis, dilations: dilations, padding: padding)
  }

  /// The convolution, under the name of the last node.
  func convert(_ converter: TFConverter, _ path: String) throws -> [TFValue] {
    guard let plan = try plan(converter) else { throw KilnError(.internal, "a dilated convolution is not known yet") }
    let depthwise = convolution.frame.nodes[convolution.node].op == "DepthwiseConv2dNative"
    let call = TFCall(converter, frame, node, path, [plan.x, plan.kernel])
    var (x, kernel) = (try call.x(0), try call.x(1))
    if let axis = plan.expansion { x = try call.expand(x, axis) }
    let (channels, inner) = (try call.length(x, -1), try call.length(kernel, plan.dilations.count))
    if depthwise {
      guard inner == channels else { throw call.wrong("the kernel takes \(inner) channels, the input has \(channels)") }
      let dims = call.type(kernel).dims
      kernel = try call.reshape(kernel, [dims[0], dims[1], 1, dims[2] * dims[3]])
    }
    guard inner > 0, channels % inner == 0 else { throw call.wrong("the kernel takes \(inner) channels, the input has \(channels)") }
    let conv = Conv(
      strides: plan.dilations.map { _ in 1 }, dilations: plan.dilations,
      padding: plan.padding.contains { $0.low + $0.high > 0 } ? .explicit(plan.padding) : .valid, groups: depthwise ? channels : channels / inner)
    var result = try call.add(conv, [x, kernel], "conv")
    if let axis = plan.expansion { result = try call.drop(result, axis) }
    return try call.named(call.values([result]))
  }
}
