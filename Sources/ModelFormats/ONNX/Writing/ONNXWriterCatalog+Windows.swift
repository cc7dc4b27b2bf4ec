import GraphModule
import TensorModule

extension ONNXWriterCatalog {
  static let windows: [Row] = [
    .written(Conv.self, "Conv") { op, w in
      let rank = w.type(0).rank
      let order = ONNXGraphWriter.channelsFirst(rank)
      guard let kernel = w.type(1).shape else { throw w.unsupported("a kernel of open size") }
      let weights = try w.x(1, order: Array(2..<rank) + [1, 0])
      let window = Array(kernel.prefix(rank - 2))
      let padded = try padding(op.padding, window, op.strides, op.dilations, w, order)
      let bias = try op.epilogue.biasIndex().map { [try w.x($0)] } ?? []
      let name = w.emit(
        "Conv", [padded.name, weights] + bias,
        [
          ("kernel_shape", .ints(window)), ("strides", .ints(op.strides)), ("dilations", .ints(op.dilations)), ("group", .int(op.groups)),
        ] + padded.attributes)[0]
      try w.epilogue(op.epilogue, name, order: order, dtype: w.type(0).dtype)
    },
    .written(ConvTranspose.self, "ConvTranspose") { op, w in
      let rank = w.type(0).rank
      let order = ONNXGraphWriter.channelsFirst(rank)
      guard let kernel = w.type(1).shape else { throw w.unsupported("a kernel of open size") }
      let weights = try w.x(1, order: Array(2..<rank) + [1, 0])
      var (low, high, extra): ([Int], [Int], [Int]) = ([], [], [])
      for axis in 0..<rank - 2 {
        let (stride, extent) = (op.strides[axis], (kernel[axis] - 1) * op.dilations[axis] + 1)
        let given = op.outputPadding?[axis] ?? 0
        switch op.padding {
        case .explicit(let amounts):
          low.append(amounts[axis].low)
          high.append(amounts[axis].high)
          extra.append(given)
        case .valid:
          low.append(0)
          high.append(0)
          extra.append(op.outputPadding != nil ? given : max(stride - extent, 0))
        case .same:
          // What is cut off the full result does not depend on the length.
          let cut = op.outputPadding != nil ? 2 * (extent / 2) : extent - stride
          let front = max(cut - given, 0) / 2
          low.append(front)
          high.append(max(cut - front, 0))
          extra.append(given + max(-cut, 0))
        }
      }
      for (axis, amount) in extra.enumerated() where amount >= max(op.strides[axis], op.dilations[axis]) {
        throw w.unsupported("output padding \(amount) with stride \(op.strides[axis])")
      }
      let bias = try op.epilogue.biasIndex().map { [try w.x($0)] } ?? []
      let name = w.emit(
        "ConvTranspose", [try w.x(0, order: order), weights] + bias,
        [
          ("kernel_shape", .ints(Array(kernel.prefix(rank - 2)))), ("strides", .ints(op.strides)), ("dilations", .ints(op.dilations)),
          ("group", .int(op.groups)), ("pads", .ints(low + high)), ("output_padding", .ints(extra)),
        ])[0]
      try w.epilogue(op.epilogue, name, order: order, dtype: w.type(0).dtype)
    },
    .written(Pool.self, "MaxPool, AveragePool") { op, w in
      let order = ONNXGraphWriter.channelsFirst(w.type(0).rank)
      let dtype = w.type(0).dtype
      let shared: [(String, ONNXDraftAttribute)] = [("kernel_shape", .ints(op.window)), ("strides", .ints(op.strides)), ("dilations", .ints(op.dilations))]
      let padded = try padding(op.padding, op.window, op.strides, op.dilations, w, order, fill: op.kind == .max ? -.infinity : nil)
      if op.kind == .average {
        return w.finish("AveragePool", [padded.name], shared + [("count_include_pad", .int(op.countsPadding ? 1 : 0))] + padded.attributes, order: order)
      }
      if dtype.isFloat || dtype == .int8 || dtype == .uint8 { return w.finish("MaxPool", [padded.name], shared + padded.attributes, order: order) }
      guard dtype != .int64 else { throw w.unsupported("max pooling of int64") }
      w.define(0, w.cast(w.emit("MaxPool", [w.cast(padded.name, .float64)], shared + padded.attributes)[0], dtype), order: order)
    },
    .written(Resize.self, "Resize") { op, w in
      let rank = w.type(0).rank
      let order = ONNXGraphWriter.channelsFirst(rank)
      let x = w.type(0).dims
      let coordinates =
        switch op.coordinates {
        case .halfPixel: "half_pixel"
        case .alignCorners: "align_corners"
        case .asymmetric: "asymmetric"
        }
      var attributes: [(String, ONNXDraftAttribute)] = [
        ("mode", .text(op.mode == .nearest ? "nearest" : "linear")), ("coordinate_transformation_mode", .text(coordinates)),
      ]
      if op.mode == .nearest {
        let rounding =
          switch op.rounding {
          // ⌊(i + ½) · in / out⌋ is the position with half pixels rounded half up.
          case .floor: op.coordinates == .halfPixel ? "round_prefer_ceil" : "floor"
          case .preferFloor: "round_prefer_floor"
          case .ceil: "ceil"
          }
        attributes.append(("nearest_mode", .text(rounding)))
      }
      w.finish("Resize", [try w.x(0, order: order), "", "", try w.scope.shape([x[0], x[rank - 1]] + op.dims)], attributes, order: order)
    },
    .written(BatchNorm.self, "BatchNormalization; Mul and Add where it would need transposes") { op, w in
      let rank = w.type(0).rank
      guard rank >= 2, let channels = w.type(0).dims.last else { throw w.unsupported("batch normalization of a vector") }
      let order = ONNXGraphWriter.channelsFirst(rank)
      let operands = op.operands
      if try scaled(op, w) { return }
      func filled(_ value: Double) throws -> String {
        guard let count = channels.fixed else { throw w.unsupported("batch normalization over an open number of channels") }
        return try w.scope.draft.numbers([Double](repeating: value, count: count), w.type(0).dtype, [count])
      }
      let gamma = try operands.gamma.map { try w.x($0) } ?? filled(1)
      let beta = try operands.beta.map { try w.x($0) } ?? filled(0)
      w.finish(
        "BatchNormalization", [try w.x(0, order: order), gamma, beta, try w.x(operands.mean), try w.x(operands.variance)],
        [("epsilon", .float(op.epsilon))], order: order)
    },
  ]

  /// A batch normalization with known statistics of a value that does not lie channels-first, as a product and a sum.
  private static func scaled(_ op: BatchNorm, _ w: ONNXNodeWriter) throws -> Bool {
    let (rank, operands) = (w.type(0).rank, op.operands)
    let form = try w.scope.native(w.node.inputs[0])
    guard rank > 2, !(w.scope.forms[w.node.inputs[0]] ?? []).contains(where: { $0.order == ONNXGraphWriter.channelsFirst(rank) }),
      let mean = w.constant(operands.mean), let variance = w.constant(operands.variance),
      operands.gamma.map({ w.constant($0) != nil }) ?? true, operands.beta.map({ w.constant($0) != nil }) ?? true
    else { return false }
    let gamma = operands.gamma.flatMap { w.constant($0)?.doubles }
    let beta = operands.beta.flatMap { w.constant($0)?.doubles }
    var (factors, offsets): ([Double], [Double]) = ([], [])
    for (index, (mean, variance)) in zip(mean.doubles, variance.doubles).enumerated() {
      let factor = (gamma?[index] ?? 1) / (variance + op.epsilon).squareRoot()
      factors.append(factor)
      offsets.append((beta?[index] ?? 0) - mean * factor)
    }
    var shape = [Int](repeating: 1, count: rank)
    shape[form.order[rank - 1]] = factors.count
    let dtype = w.type(0).dtype
    let factor = w.scope.draft.initializer("\(w.label)/factor", try Tensor(converting: factors, to: dtype, shape: shape))
    let offset = w.scope.draft.initializer("\(w.label)/offset", try Tensor(converting: offsets, to: dtype, shape: shape))
    w.finish("Add", [w.one("Mul", form.name, factor), offset], order: form.order)
    return true
  }

  /// The input of a window op and the attributes that say its padding: amounts, SAME_UPPER where they depend on an open length, or a Pad before it
  /// where ONNX does not take that either.
  ///
  /// - Parameter fill: what a Pad puts in for pooling; nil for 0, and no Pad where padding is to be left out of averages.
  private static func padding(
    _ padding: Padding, _ window: [Int], _ strides: [Int], _ dilations: [Int], _ w: ONNXNodeWriter, _ order: [Int], fill: Double? = nil
  ) throws -> (name: String, attributes: [(String, ONNXDraftAttribute)]) {
    let name = try w.x(0, order: order)
    let dims = w.type(0).dims
    if padding == .valid { return (name, []) }
    if case .explicit(let amounts) = padding { return (name, [("pads", .ints(amounts.map(\.low) + amounts.map(\.high)))]) }
    let extents = window.indices.map { (window[$0] - 1) * dilations[$0] + 1 }
    let amounts: [Padding.Amount?] = window.indices.map { axis in
      if strides[axis] == 1 { return Padding.Amount((extents[axis] - 1) / 2, extents[axis] - 1 - (extents[axis] - 1) / 2) }
      return dims[axis + 1].fixed.map { padding.amount($0, size: window[axis], stride: strides[axis], dilation: dilations[axis], axis: axis) }
    }
    let known = amounts.compactMap { $0 }
    if known.count == amounts.count { return (name, [("pads", .ints(known.map(\.low) + known.map(\.high)))]) }
    if dilations.allSatisfy({ $0 == 1 }) { return (name, [("auto_pad", .text("SAME_UPPER"))]) }
    throw w.unsupported("padding 'same' of dilated windows with strides over an open length")
  }
}
