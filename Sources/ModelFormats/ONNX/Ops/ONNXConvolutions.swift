import GraphModule
import TensorModule

extension ONNXOpCatalog {
  static let convolutions = Family(
    "Convolutions",
    [
      Row("Conv") { call in
        [try call.convolution(try call.x(0), try call.x(1), bias: call.has(2) ? try call.x(2) : nil)]
      },
      Row("ConvTranspose") { [try transposed($0)] },
      Row("DeformConv", since: 19) { [try DeformableConvolution($0).build()] },
      Row("Col2Im", since: 18) { [try columnsToImage($0)] },
      Row("CausalConvWithState", since: 27) { try causal($0) },
    ])

  private static func transposed(_ call: ONNXCall) throws -> ValueID {
    let (x, kernel) = (try call.x(0), try call.x(1))
    let rank = call.type(x).rank - 2
    guard rank >= 1, call.type(kernel).rank == rank + 2 else { throw call.wrong("the kernel \(call.type(kernel).message) does not fit \(call.type(x).message)") }
    let window = try ONNXWindow(call, rank: rank, kernel: try call.fixedShape(call.type(kernel)).dropFirst(2).map { $0 })
    let groups = try call.int("group", 1)
    let extra = try call.window("output_padding", rank, 0)
    let wanted = call.has("output_shape") ? try call.ints("output_shape") : nil
    guard wanted == nil || wanted?.count == rank || wanted?.count == rank + 2 else { throw call.wrong("has \(wanted?.count ?? 0) lengths in output_shape") }
    let last = try call.transpose(x, [0] + Array(2..<rank + 2) + [1])
    let weights = try call.transpose(kernel, Array(2..<rank + 2) + [1, 0])
    var (amounts, outside): ([Padding.Amount], [Int]) = ([], extra)
    for axis in 0..<rank {
      let extent = (window.kernel[axis] - 1) * window.dilations[axis] + 1
      let isSame = window.mode == "SAME_UPPER" || window.mode == "SAME_LOWER"
      guard wanted != nil || isSame else {
        amounts.append(window.mode == "VALID" ? .init(0, 0) : window.pads[axis])
        continue
      }
      var total: Int
      if let wanted {
        let length = try call.length(last, axis + 1)
        total = (length - 1) * window.strides[axis] + extra[axis] + extent - wanted[wanted.count - rank + axis]
      } else {
        total = extent - window.strides[axis] + extra[axis]
      }
      // A result longer than the whole one is filled up behind it.
      if total < 0 {
        outside[axis] -= total
        total = 0
      }
      let half = total / 2
      amounts.append(window.mode == "SAME_UPPER" ? .init(half, total - half) : .init(total - half, half))
    }
    guard amounts.allSatisfy({ $0.low >= 0 && $0.high >= 0 }) else { throw call.unsupported("negative padding") }
    var result = try call.add(
      ConvTranspose(
        strides: window.strides, dilations: window.dilations, padding: .explicit(amounts), outputPadding: outside.contains { $0 != 0 } ? outside : nil,
        groups: groups), [last, weights], "conv_transpose")
    if call.has(2) { result = try call.binary(.add, result, try call.x(2)) }
    return try call.transpose(result, [0, rank + 1] + Array(1...rank))
  }

  /// Sums columns of patches into images: a transposed convolution with a kernel that puts each number at its place.
  private static func columnsToImage(_ call: ONNXCall) throws -> ValueID {
    let x = try call.x(0), type = call.type(x)
    let (image, block) = (try call.integers(1, "an image's shape"), try call.integers(2, "a block's shape"))
    let rank = image.count
    guard (1...3).contains(rank), block.count == rank, type.rank == 3, image.allSatisfy({ (1...1 << 20).contains($0) }),
      let taps = checkedProduct(block), (1...4096).contains(taps)
    else { throw call.wrong("its image \(image) and block \(block) do not fit \(type.message)") }
    let window = try ONNXWindow(call, rank: rank, kernel: block)
    let columns = try call.fixed(type.dims[1])
    guard columns % taps == 0 else { throw call.wrong("\(columns) rows are no multiple of a block of \(taps)") }
    let channels = columns / taps
    let whole: [Int] = (0..<rank).map { axis in image[axis] + window.pads[axis].low + window.pads[axis].high }
    let extents: [Int] = (0..<rank).map { axis in (block[axis] - 1) * window.dilations[axis] + 1 }
    let counts: [Int] = (0..<rank).map { axis in (whole[axis] - extents[axis]) / window.strides[axis] + 1 }
    guard counts.allSatisfy({ $0 >= 1 }), let places = checkedProduct(counts), type.dims[2] == Dim(places) else { throw call.wrong("\(type.message) has not the columns of \(image)") }
    // Each image and channel as one of a batch; the taps are the channels that come in.
    let rows = try call.reshape(x, [type.dims[0] * Dim(channels), Dim(taps), Dim(places)])
    let last = try call.reshape(try call.transpose(rows, [0, 2, 1]), [type.dims[0] * Dim(channels)] + counts.map { Dim($0) } + [Dim(taps)])
    let unit = (0..<taps).flatMap { tap in (0..<taps).map { $0 == tap ? 1.0 : 0 } }
    let kernel = try call.numbers(unit, block + [1, taps], type.dtype, "unit")
    let full: [Int] = (0..<rank).map { axis in (counts[axis] - 1) * window.strides[axis] + extents[axis] }
    let extra: [Int] = (0..<rank).map { axis in whole[axis] - full[axis] }
    let sum = try call.add(
      ConvTranspose(
        strides: window.strides, dilations: window.dilations, padding: .explicit(window.pads), outputPadding: extra.contains { $0 > 0 } ? extra : nil),
      [last, kernel], "conv_transpose")
    return try call.reshape(sum, [type.dims[0], Dim(channels)] + image.map { Dim($0) })
  }

  /// A depthwise convolution over time with the inputs before it as a state.
  private static func causal(_ call: ONNXCall) throws -> [ValueID] {
    let (x, kernel) = (try call.x(0), try call.x(1))
    let type = call.type(x)
    guard type.rank == 3, call.type(kernel).rank == 3 else { throw call.wrong("takes [batch, channels, time], found \(type.message)") }
    let (channels, width) = (try call.fixed(type.dims[1]), try call.length(kernel, 2))
    let state = call.has(3) ? try call.x(3) : try call.broadcast(try call.scalar(0, type.dtype), [type.dims[0], type.dims[1], Dim(width - 1)])
    let whole = width > 1 ? try call.concat([state, x], axis: 2) : x
    let last = try call.transpose(whole, [0, 2, 1])
    let weights = try call.transpose(kernel, [2, 1, 0])
    var y = try call.add(Conv(strides: [1], groups: channels), [last, weights], "conv")
    if call.has(2) { y = try call.binary(.add, y, try call.x(2)) }
    switch try call.text("activation", "none") {
    case "none", "": break
    case "silu", "swish": y = try call.unary(.silu, y)
    case let name: throw call.unsupported("the activation \(KilnError.quoted(name))")
    }
    let present = width > 1 ? try call.slice(whole, axis: 2, -(width - 1), nil) : try call.slice(whole, axis: 2, 0, 0)
    return [try call.transpose(y, [0, 2, 1]), present]
  }
}

/// Strides, dilations and paddings of the spatial axes of a window op.
struct ONNXWindow {
  var kernel: [Int]
  var strides: [Int]
  var dilations: [Int]
  var pads: [Padding.Amount]
  /// `NOTSET`, `VALID`, `SAME_UPPER` or `SAME_LOWER`.
  var mode: String

  init(_ call: ONNXCall, rank: Int, kernel: [Int]) throws {
    self.kernel = call.has("kernel_shape") ? try call.window("kernel_shape", rank, 1) : kernel
    guard self.kernel.count == rank, call.op == "Col2Im" || kernel.isEmpty || kernel == self.kernel else {
      throw call.wrong("kernel_shape \(self.kernel) is not that of the kernel, \(kernel)")
    }
    strides = try call.window("strides", rank, 1)
    dilations = try call.window("dilations", rank, 1)
    guard (self.kernel + strides + dilations).allSatisfy({ (1...1 << 20).contains($0) }) else {
      throw call.wrong("its window \(self.kernel), strides \(strides) or dilations \(dilations) are out of range")
    }
    let numbers = try call.ints("pads", [Int](repeating: 0, count: 2 * rank))
    guard numbers.count == 2 * rank else { throw call.wrong("pads must have \(2 * rank) numbers, found \(numbers.count)") }
    guard numbers.allSatisfy({ (0...1 << 20).contains($0) }) else { throw call.unsupported("the padding \(numbers)") }
    pads = (0..<rank).map { .init(numbers[$0], numbers[$0 + rank]) }
    mode = try call.text("auto_pad", "NOTSET")
    guard ["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER", ""].contains(mode) else { throw call.wrong("auto_pad \(KilnError.quoted(mode)) is unknown") }
  }

  /// The padding of a convolution or pooling over an input [batch, spatial..., channels].
  func padding(_ call: ONNXCall, _ type: TensorType) throws -> Padding {
    switch mode {
    case "VALID": return .valid
    case "SAME_UPPER": return .same
    case "SAME_LOWER":
      return .explicit(
        try kernel.indices.map { axis in
          let extent = (kernel[axis] - 1) * dilations[axis] + 1
          let total: Int
          if strides[axis] == 1 { total = extent - 1 } else {
            let length = try call.fixed(type.dims[axis + 1])
            total = max(0, ((length + strides[axis] - 1) / strides[axis] - 1) * strides[axis] + extent - length)
          }
          return .init(total - total / 2, total / 2)
        })
    default: return .explicit(pads)
    }
  }
}

extension ONNXCall {
  /// A list with a number for each spatial axis.
  func window(_ key: String, _ rank: Int, _ fallback: Int) throws -> [Int] {
    let values = try ints(key, [Int](repeating: fallback, count: rank))
    if values.isEmpty { return [Int](repeating: fallback, count: rank) }
    guard values.count == rank else { throw wrong("\(key) must have \(rank) numbers, found \(values.count)") }
    return values
  }

  /// The value with its channels last while `work` is done.
  func channelsLast(_ x: ValueID, _ work: (ValueID) throws -> ValueID) throws -> ValueID {
    let rank = type(x).rank
    guard rank >= 2 else { throw wrong("needs an axis of channels, found \(type(x).message)") }
    let last = try transpose(x, [0] + Array(2..<rank) + [1])
    return try transpose(try work(last), [0, rank - 1] + Array(1..<rank - 1))
  }

  /// A convolution over [batch, channels, spatial...] with a kernel [out, in / group, spatial...].
  func convolution(_ x: ValueID, _ kernel: ValueID, bias: ValueID?) throws -> ValueID {
    let rank = type(x).rank - 2
    guard rank >= 1, type(kernel).rank == rank + 2 else { throw wrong("the kernel \(type(kernel).message) does not fit \(type(x).message)") }
    let window = try ONNXWindow(self, rank: rank, kernel: try fixedShape(type(kernel)).dropFirst(2).map { $0 })
    let groups = try int("group", 1)
    let weights = try transpose(kernel, Array(2..<rank + 2) + [1, 0])
    return try channelsLast(x) { x in
      let result = try add(
        Conv(strides: window.strides, dilations: window.dilations, padding: try window.padding(self, type(x)), groups: groups), [x, weights], "conv")
      return try bias.map { try binary(.add, result, $0) } ?? result
    }
  }
}
