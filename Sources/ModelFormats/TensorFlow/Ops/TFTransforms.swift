import GraphModule
import TensorModule

extension TFOpCatalog {
  /// Pictures under projections, and windows of volumes.
  static let transforms = Family(
    "Projections and windows",
    [
      "ImageProjectiveTransformV2": { [try projected($0, fill: 0)] },
      "ImageProjectiveTransformV3": { [try projected($0, fill: try $0.number(3, "a fill value"))] },
      "ExtractVolumePatches": { [try volumePatches($0)] },
    ])

  /// Each result pixel takes the input pixel that its projection (a0 … a5, c0, c1) says.
  private static func projected(_ call: TFCall, fill: Double) throws -> ValueID {
    let x = try call.x(0), type = call.type(x)
    let transforms = try call.cast(try call.x(1), .float32)
    let size = try call.integers(2, "a size")
    guard type.rank == 4, size.count == 2, size.allSatisfy({ (1...1 << 14).contains($0) }), call.type(transforms).rank == 2 else {
      throw call.wrong("needs images, transforms and a size")
    }
    let (rows, columns) = (size[0], size[1])
    let (height, width) = (try call.length(x, 1), try call.length(x, 2))
    guard height > 0, width > 0, let area = checkedProduct([height, width]), area < 1 << 31, rows * columns <= 1 << 22 else { throw call.unsupported("\(type.message) at \(rows) x \(columns)") }
    func grid(_ value: (Int) -> Int, _ name: String) throws -> ValueID {
      try call.numbers((0..<rows * columns).map { Double(value($0)) }, [1, rows * columns], .float32, name)
    }
    let (column, row) = (try grid({ $0 % columns }, "columns"), try grid({ $0 / columns }, "rows"))
    func part(_ index: Int) throws -> ValueID { try call.slice(transforms, axis: 1, index, index + 1) }
    func linear(_ first: Int) throws -> ValueID {
      try call.binary(.add, try call.binary(.mul, try part(first), column), try call.binary(.mul, try part(first + 1), row))
    }
    let depth = try call.unary(.affine, try linear(6), [1, 1])
    let zero = try call.scalar(0, .float32)
    let flatDepth = try call.binary(.equal, depth, zero)
    func place(_ first: Int, _ length: Int) throws -> ValueID {
      let value = try call.binary(.div, try call.binary(.add, try linear(first), try part(first + 2)), depth)
      return try mapped(call, value, length)
    }
    let (atX, atY) = (try place(0, width), try place(3, height))
    // All transforms for one, or one for all images.
    let batch = type.dims[0]
    let flat = try call.reshape(x, [batch, Dim(height * width), type.dims[3]])
    func inside(_ value: ValueID, _ length: Int) throws -> ValueID {
      try call.binary(
        .and, try call.binary(.greaterEqual, value, zero), try call.binary(.lessEqual, value, try call.scalar(Double(length - 1), .float32)))
    }
    let wide: DType = type.dtype == .float64 ? .float64 : .float32
    func pixels(_ y: ValueID, _ x: ValueID) throws -> ValueID {
      let valid = try call.binary(.and, try inside(y, height), try inside(x, width))
      func index(_ value: ValueID, _ length: Int) throws -> ValueID { try call.cast(try call.unary(.clip, value, [0, Double(length - 1)]), .int32) }
      let line = try call.binary(.mul, try index(y, height), try call.scalar(Double(width), .int32))
      let places = try call.broadcast(try call.binary(.add, line, try index(x, width)), [batch, Dim(rows * columns)])
      let found = try call.cast(try call.add(Gather(axis: 1, batchDims: 1), [flat, places], "gather"), wide)
      return try call.select(try call.expand(valid, 2), found, try call.scalar(fill, wide))
    }
    var result: ValueID
    switch try call.text("interpolation") {
    case "NEAREST": result = try pixels(try rounded(call, atY), try rounded(call, atX))
    case "BILINEAR":
      let (top, left) = (try call.unary(.floor, atY), try call.unary(.floor, atX))
      let (bottom, right) = (try call.unary(.affine, top, [1, 1]), try call.unary(.affine, left, [1, 1]))
      func share(_ a: ValueID, _ b: ValueID) throws -> ValueID { try call.cast(try call.expand(try call.binary(.sub, a, b), 2), wide) }
      let (toRight, toLeft) = (try share(right, atX), try share(atX, left))
      func line(_ y: ValueID) throws -> ValueID {
        try call.binary(.add, try call.binary(.mul, toRight, try pixels(y, left)), try call.binary(.mul, toLeft, try pixels(y, right)))
      }
      result = try call.binary(
        .add, try call.binary(.mul, try share(bottom, atY), try line(top)), try call.binary(.mul, try share(atY, top), try line(bottom)))
    case let name: throw call.unsupported("interpolation \(KilnError.quoted(name))")
    }
    result = try call.select(try call.expand(flatDepth, 2), try call.scalar(fill, wide), result)
    return try call.reshape(try call.cast(result, type.dtype), [batch, Dim(rows), Dim(columns), type.dims[3]])
  }

  /// What a place outside stands for.
  private static func mapped(_ call: TFCall, _ x: ValueID, _ length: Int) throws -> ValueID {
    func number(_ value: Int) throws -> ValueID { try call.scalar(Double(value), .float32) }
    let mode = try call.text("fill_mode", "CONSTANT")
    if mode == "CONSTANT" { return x }
    let last = Double(length - 1)
    if length == 1, mode == "REFLECT" || mode == "WRAP" { return try call.binary(.mul, x, try number(0)) }
    let negative = try call.binary(.less, x, try number(0))
    let beyond = try call.binary(.greater, x, try number(length - 1))
    func periods(_ value: ValueID, _ period: Int) throws -> ValueID { try call.unary(.trunc, try call.binary(.div, value, try number(period))) }
    switch mode {
    case "NEAREST": return try call.unary(.clip, x, [0, last])
    case "WRAP":
      let back = try call.unary(.affine, try periods(try call.unary(.neg, x), length - 1), [1, 1])
      let low = try call.binary(.add, x, try call.binary(.mul, try number(length), back))
      let high = try call.binary(.sub, x, try call.binary(.mul, try number(length), try periods(x, length - 1)))
      return try call.unary(.clip, try call.select(negative, low, try call.select(beyond, high, x)), [0, last])
    case "REFLECT":
      // [abcd] as …dcba|abcd|dcba…
      let twice = 2 * length
      let raised = try call.binary(.add, x, try call.binary(.mul, try number(twice), try periods(try call.unary(.neg, x), twice)))
      let low = try call.select(
        try call.binary(.less, raised, try number(-length)), try call.unary(.affine, raised, [1, Double(twice)]), try call.unary(.affine, raised, [-1, -1]))
      let lowered = try call.binary(.sub, x, try call.binary(.mul, try number(twice), try periods(x, twice)))
      let high = try call.select(
        try call.binary(.greaterEqual, lowered, try number(length)), try call.unary(.affine, lowered, [-1, Double(twice - 1)]), lowered)
      return try call.unary(.clip, try call.select(negative, low, try call.select(beyond, high, x)), [0, last])
    default: throw call.unsupported("fill_mode \(KilnError.quoted(mode))")
    }
  }

  /// Windows of voxels laid along the channels: plane, row, column, channel.
  private static func volumePatches(_ call: TFCall) throws -> ValueID {
    var x = try call.x(0)
    guard call.type(x).rank == 5 else { throw call.wrong("needs volumes, found \(call.type(x).message)") }
    let window = try TFWindow.spatial(call, try call.ints("ksizes"), 3, false, "ksizes")
    let strides = try TFWindow.spatial(call, try call.ints("strides"), 3, false, "strides")
    guard let size = checkedProduct(window), size <= 4096 else { throw call.unsupported("so large a window") }
    let padding: Padding = try call.text("padding") == "SAME" ? .same : .valid
    var (low, high, lengths): ([Int], [Int], [Int]) = ([0], [0], [])
    for axis in 0..<3 {
      let length = try call.length(x, axis + 1)
      let amount = padding.amount(length, size: window[axis], stride: strides[axis], dilation: 1, axis: axis)
      low.append(amount.low)
      high.append(amount.high)
      lengths.append(max(0, (length + amount.low + amount.high - window[axis]) / strides[axis] + 1))
    }
    guard lengths.allSatisfy({ $0 > 0 }) else { throw call.unsupported("a window larger than \(call.type(x).message)") }
    if (low + high).contains(where: { $0 > 0 }) { x = try call.add(Pad(.constant, low: low + [0], high: high + [0]), [x], "pad") }
    let parts = try (0..<size).map { index -> ValueID in
      let place = [index / (window[1] * window[2]), index / window[2] % window[1], index % window[2]]
      let ranges = (0..<3).map { Slice.Range(start: place[$0], end: place[$0] + (lengths[$0] - 1) * strides[$0] + 1, step: strides[$0]) }
      return try call.add(Slice([.all] + ranges + [.all]), [x], "slice")
    }
    return try call.concat(parts, axis: 4)
  }
}
