import GraphModule
import TensorModule

extension TFOpCatalog {
  /// Blocks of pixels moved between axes, and diagonals.
  static let blocks = Family(
    "Blocks and diagonals",
    [
      "SpaceToBatchND": { call in
        [try spaceToBatch(call, try call.integers(1, "a block"), try pairs(call, 2))]
      },
      "SpaceToBatch": { call in
        let size = try call.int("block_size")
        return [try spaceToBatch(call, [size, size], try pairs(call, 1))]
      },
      "BatchToSpaceND": { call in
        [try batchToSpace(call, try call.integers(1, "a block"), try pairs(call, 2))]
      },
      "BatchToSpace": { call in
        let size = try call.int("block_size")
        return [try batchToSpace(call, [size, size], try pairs(call, 1))]
      },
      "SpaceToDepth": { call in
        let size = try call.int("block_size")
        return try imagesLast(call, try call.x(0)) { x in
          let dims = call.type(x).dims
          guard dims.count == 4, size >= 1 else { throw call.wrong("needs images, found \(call.type(x).message)") }
          let block = Dim(size)
          let (height, width) = (dims[1].floorDivided(by: size), dims[2].floorDivided(by: size))
          let parts = try call.reshape(x, [dims[0], height, block, width, block, dims[3]])
          return try call.reshape(try call.transpose(parts, [0, 1, 3, 2, 4, 5]), [dims[0], height, width, block * block * dims[3]])
        }
      },
      "DepthToSpace": { call in
        let size = try call.int("block_size")
        return try imagesLast(call, try call.x(0)) { x in
          let dims = call.type(x).dims
          guard dims.count == 4, size >= 1 else { throw call.wrong("needs images, found \(call.type(x).message)") }
          let depth = try call.length(x, 3)
          guard depth % (size * size) == 0 else { throw call.wrong("\(depth) channels do not split in \(size) x \(size)") }
          let (block, rest) = (Dim(size), Dim(depth / (size * size)))
          let parts = try call.reshape(x, [dims[0], dims[1], dims[2], block, block, rest])
          return try call.reshape(try call.transpose(parts, [0, 1, 3, 2, 4, 5]), [dims[0], dims[1] * block, dims[2] * block, rest])
        }
      },
      "MatrixBandPart": { call in
        let x = try call.x(0)
        let dims = Array(call.type(x).dims.suffix(2))
        guard dims.count == 2 else { throw call.wrong("needs matrices, found \(call.type(x).message)") }
        guard let rows = dims[0].fixed, let columns = dims[1].fixed, let low = try call.input(1).known?.fixed?.first, let high = try call.input(2).known?.fixed?.first
        else { return [try openBand(call, x, dims)] }
        guard let count = checkedProduct([rows, columns]), count <= 1 << 24 else { throw call.wrong("its matrices are too large") }
        let mask = (0..<count).map { index -> Bool in
          let (i, j) = (index / columns, index % columns)
          return (low < 0 || i - j <= low) && (high < 0 || j - i <= high)
        }
        let kept = call.constant(try Tensor(mask, shape: [rows, columns]), "band")
        return [try call.select(kept, x, try call.scalar(0, call.type(x).dtype))]
      },
      "MatrixDiag": { [try matrixDiagonal($0, try $0.x(0), 0, nil, nil)] },
      "MatrixDiagV2": { [try diagonalMatrix($0)] },
      "MatrixDiagV3": { [try diagonalMatrix($0)] },
      "MatrixDiagPart": { [try diagonal($0, try $0.x(0), 0)] },
      "MatrixDiagPartV2": { [try diagonalPart($0)] },
      "MatrixDiagPartV3": { [try diagonalPart($0)] },
      "MatrixSetDiag": { [try mainDiagonalSet($0)] },
      "MatrixSetDiagV2": { [try diagonalSet($0)] },
      "MatrixSetDiagV3": { [try diagonalSet($0)] },
      "Diag": { call in
        let x = try call.x(0)
        let type = call.type(x)
        let count = try known(call, type)
        let flat = try call.reshape(x, [Dim(count)])
        return [try call.reshape(try matrixDiagonal(call, flat, 0, nil, nil), type.dims + type.dims)]
      },
      "DiagPart": { call in
        let x = try call.x(0)
        let dims = call.type(x).dims
        guard dims.count % 2 == 0, Array(dims.prefix(dims.count / 2)) == Array(dims.suffix(dims.count / 2)) else { throw call.wrong("needs dims twice, found \(call.type(x).message)") }
        let half = Array(dims.prefix(dims.count / 2))
        let count = half.reduce(1, *)
        return [try call.reshape(try diagonal(call, try call.reshape(x, [count, count]), 0), half)]
      },
    ])

  /// The band of matrices of open size, or of widths that the data give; a negative width is the whole half.
  private static func openBand(_ call: TFCall, _ x: ValueID, _ dims: [Dim]) throws -> ValueID {
    let row = try call.expand(try counted(call, dims[0], .int64), 1), column = try call.expand(try counted(call, dims[1], .int64), 0)
    func half(_ index: Int, _ distance: ValueID) throws -> ValueID {
      let width = try call.cast(try call.x(index), .int64)
      return try call.binary(
        .or, try call.binary(.less, width, try call.scalar(0, .int64)), try call.binary(.lessEqual, distance, width))
    }
    let low = try half(1, try call.binary(.sub, row, column)), high = try half(2, try call.binary(.sub, column, row))
    return try call.select(try call.binary(.and, low, high), x, try call.zero(call.type(x).dtype))
  }

  /// Where the main diagonal of matrices of open size is.
  private static func openDiagonal(_ call: TFCall, _ rows: Dim, _ columns: Dim) throws -> ValueID {
    try call.binary(.equal, try call.expand(try counted(call, rows, .int64), 1), try call.expand(try counted(call, columns, .int64), 0))
  }

  private static func known(_ call: TFCall, _ type: TensorType) throws -> Int {
    guard let count = type.elementCount.fixed, count <= 1 << 12 else { throw call.unsupported("the diagonal \(type.message)") }
    return count
  }

  private static func pairs(_ call: TFCall, _ index: Int) throws -> [(Dim, Dim)] {
    let numbers = try call.sizes(index, "an amount")
    guard numbers.count % 2 == 0 else { throw call.wrong("needs pairs of amounts") }
    guard numbers.allSatisfy({ (0...1 << 24).contains($0.fixed ?? 0) }) else { throw call.wrong("an amount is negative or too large") }
    return stride(from: 0, to: numbers.count, by: 2).map { (numbers[$0], numbers[$0 + 1]) }
  }

  private static func spaceToBatch(_ call: TFCall, _ block: [Int], _ paddings: [(Dim, Dim)]) throws -> ValueID {
    let given = try call.x(0)
    let rank = call.type(given).rank
    guard block.count == paddings.count, !block.isEmpty, rank > block.count, block.allSatisfy({ (1...1 << 20).contains($0) }) else {
      throw call.wrong("block and paddings do not fit \(call.type(given).message)")
    }
    let spatial = block.count
    let rest = [Dim](repeating: 0, count: rank - 1 - spatial)
    let x = try TFPadding.padded(call, given, [0] + paddings.map(\.0) + rest, [0] + paddings.map(\.1) + rest)
    let dims = call.type(x).dims
    var parts: [Dim] = [dims[0]]
    for axis in 0..<spatial {
      if let length = dims[axis + 1].fixed, length % block[axis] != 0 { throw call.wrong("\(length) does not split in blocks of \(block[axis])") }
      parts += [dims[axis + 1].floorDivided(by: block[axis]), Dim(block[axis])]
    }
    parts += dims[(spatial + 1)...]
    guard parts.count <= maximumRank else { throw call.unsupported("so many axes") }
    let order = (0..<spatial).map { 2 * $0 + 2 } + [0] + (0..<spatial).map { 2 * $0 + 1 } + Array((2 * spatial + 1)..<parts.count)
    let moved = try call.transpose(try call.reshape(x, parts), order)
    let batch = block.reduce(dims[0]) { $0 * Dim($1) }
    let result = try call.reshape(moved, [batch] + (0..<spatial).map { parts[2 * $0 + 1] } + Array(dims[(spatial + 1)...]))
    call.builder.blocks[result] = .init(x: given, block: block, paddings: paddings)
    return result
  }

  private static func batchToSpace(_ call: TFCall, _ block: [Int], _ crops: [(Dim, Dim)]) throws -> ValueID {
    let x = try call.x(0)
    let dims = call.type(x).dims
    let spatial = block.count
    guard block.count == crops.count, spatial > 0, dims.count > spatial, block.allSatisfy({ (1...1 << 20).contains($0) }) else {
      throw call.wrong("block and crops do not fit \(call.type(x).message)")
    }
    if let made = try dilated(call, x, block, crops) { return made }
    guard let batch = dims[0].exactlyDivided(by: Dim(block.reduce(1, *))) else { throw call.wrong("the batch does not split in the blocks") }
    let parts = block.map { Dim($0) } + [batch] + dims[1...]
    guard parts.count <= maximumRank else { throw call.unsupported("so many axes") }
    var order = [spatial]
    for axis in 0..<spatial { order += [spatial + 1 + axis, axis] }
    order += Array((2 * spatial + 1)..<parts.count)
    let moved = try call.transpose(try call.reshape(x, parts), order)
    let joined = try call.reshape(moved, [batch] + (0..<spatial).map { dims[$0 + 1] * Dim(block[$0]) } + Array(dims[(spatial + 1)...]))
    return try (0..<spatial).reduce(joined) { value, axis in
      let (low, high) = crops[axis]
      if let low = low.fixed, let high = high.fixed {
        return low == 0 && high == 0 ? value : try call.slice(value, axis: axis + 1, low, high == 0 ? nil : -high)
      }
      return try TFDynamicSlice.part(call, value, axis + 1, low, call.type(value).dims[axis + 1] - low - high)
    }
  }

  /// A convolution between blocks that are taken apart and put together again: one with dilations.
  private static func dilated(_ call: TFCall, _ x: ValueID, _ block: [Int], _ crops: [(Dim, Dim)]) throws -> ValueID? {
    guard let node = call.builder.producer(of: x), let conv = node.op as? Conv, let blocks = call.builder.blocks[node.inputs[0]],
      blocks.block == block, node.inputs.count == 2, conv.padding == .valid, call.type(x).rank == block.count + 2,
      (conv.strides + conv.dilations).allSatisfy({ $0 == 1 })
    else { return nil }
    var amounts: [Padding.Amount] = []
    for (padding, crop) in zip(blocks.paddings, crops) {
      guard let low = (padding.0 - crop.0).fixed, let high = (padding.1 - crop.1).fixed, low >= 0, high >= 0 else { return nil }
      amounts.append(.init(low, high))
    }
    let op = Conv(strides: conv.strides, dilations: block, padding: .explicit(amounts), groups: conv.groups)
    return try call.add(op, [blocks.x, node.inputs[1]], "conv")
  }

  /// Runs channels-last work on images of the node's data format.
  static func imagesLast(_ call: TFCall, _ x: ValueID, _ work: (ValueID) throws -> ValueID) throws -> [ValueID] {
    let rank = call.type(x).rank
    switch try call.text("data_format", rank == 5 ? "NDHWC" : "NHWC") {
    case "NHWC", "NDHWC", "": return [try work(x)]
    case "NCHW", "NCDHW":
      let last = try call.transpose(x, [0] + Array(2..<rank) + [1])
      return [try call.transpose(try work(last), [0, rank - 1] + Array(1..<rank - 1))]
    case let format: throw call.unsupported("data_format \(KilnError.quoted(format))")
    }
  }

  // MARK: Diagonals

  /// Matrices with x on diagonal k and zeros (or `padding`) elsewhere.
  static func matrixDiagonal(_ call: TFCall, _ x: ValueID, _ k: Int, _ size: (rows: Int, columns: Int)?, _ padding: ValueID?) throws -> ValueID {
    let type = call.type(x)
    guard type.rank >= 1 else { throw call.wrong("needs a vector, found \(type.message)") }
    if k == 0, size == nil, type.dims[type.rank - 1].fixed == nil {
      let count = type.dims[type.rank - 1]
      return try call.select(try openDiagonal(call, count, count), try call.expand(x, type.rank), try padding ?? call.zero(type.dtype))
    }
    let length = try call.length(x, -1)
    let rows = size?.rows ?? length + max(-k, 0), columns = size?.columns ?? length + max(k, 0)
    guard rows >= 0, columns >= 0, let count = checkedProduct([rows, columns]), count <= 1 << 24 else { throw call.wrong("its matrices are too large") }
    // Each row holds its element of x, the mask keeps it in its column.
    let places = (0..<rows).map { row -> Double in
      let index = row - max(-k, 0)
      return Double(min(max(index, 0), max(length - 1, 0)))
    }
    let mask = (0..<count).map { index in columns > 0 && index % max(columns, 1) - index / max(columns, 1) == k && (0..<length).contains(index / max(columns, 1) - max(-k, 0)) }
    let spread = try call.add(Gather(axis: type.rank - 1), [x, try call.numbers(places, [rows], .int32, "rows")], "gather")
    let kept = call.constant(try Tensor(mask, shape: [rows, columns]), "mask")
    return try call.select(kept, try call.expand(spread, type.rank), try padding ?? call.scalar(0, type.dtype))
  }

  private static func diagonal(_ call: TFCall, _ x: ValueID, _ k: Int) throws -> ValueID {
    let type = call.type(x)
    guard type.rank >= 2 else { throw call.wrong("needs matrices, found \(type.message)") }
    let last = Array(type.dims.suffix(2))
    if k == 0, last[0] == last[1], last[0].fixed == nil {
      let flat = try call.reshape(x, Array(type.dims.dropLast(2)) + [last[0] * last[1]])
      let places = try call.binary(.mul, try counted(call, last[0], .int64), try call.scalar(size: last[1] + 1, .int64))
      return try call.add(Gather(axis: type.rank - 2), [flat, places], "gather")
    }
    let (rows, columns) = (try call.length(x, -2), try call.length(x, -1))
    let length = min(rows + min(k, 0), columns - max(k, 0))
    guard length >= 0 else { throw call.wrong("diagonal \(k) leads out of \(type.message)") }
    let flat = try call.reshape(x, Array(type.dims.dropLast(2)) + [Dim(rows) * Dim(columns)])
    let places = (0..<length).map { Double(($0 + max(-k, 0)) * columns + $0 + max(k, 0)) }
    return try call.add(Gather(axis: type.rank - 2), [flat, try call.numbers(places, [length], .int32, "places")], "gather")
  }

  private static func mainDiagonalSet(_ call: TFCall) throws -> ValueID {
    let (x, values) = (try call.x(0), try call.x(1))
    let last = Array(call.type(x).dims.suffix(2))
    if last.count == 2, last[0] == last[1], last[0].fixed == nil {
      return try call.select(try openDiagonal(call, last[0], last[1]), try call.expand(values, call.type(values).rank), x)
    }
    let (rows, columns) = (try call.length(x, -2), try call.length(x, -1))
    return try matrixDiagonal(call, values, 0, (rows, columns), x)
  }
}
