import GraphModule

/// The sizes of `LaneKernel`: a work-group makes a tile of the result, each of its work-items a part of it in registers.
struct LaneTile: Hashable, Sendable {
  /// The tile, and terms that pass through local memory at a time. Powers of two.
  var rows: Int
  var columns: Int
  var step: Int
  /// The work-item's part.
  var itemRows: Int
  var itemColumns: Int
  /// Parts that the sum over k is cut in: work-groups of their own, whose sums another kernel adds.
  var splits = 1

  var lanesX: Int { columns / itemColumns }
  var lanesY: Int { rows / itemRows }
  var group: Int { lanesX * lanesY }
  /// Adjacent rows and columns of a work-item.
  var rowVector: Int { min(4, itemRows) }
  var columnVector: Int { min(4, itemColumns) }
  var localBytes: Int { step * (rows + columns + 8) * 4 }

  var name: String { "\(rows)x\(columns)x\(step) by \(itemRows)x\(itemColumns)" + (splits > 1 ? " in \(splits)" : "") }

  func fits(_ device: GPUDevice) -> Bool { group <= device.maximumGroup && localBytes <= device.localMemoryBytes }

  /// From the one that is taken without timing on.
  static let family = [
    LaneTile(rows: 64, columns: 64, step: 16, itemRows: 4, itemColumns: 4),
    LaneTile(rows: 128, columns: 128, step: 8, itemRows: 8, itemColumns: 8),
    LaneTile(rows: 128, columns: 64, step: 16, itemRows: 8, itemColumns: 4),
    LaneTile(rows: 64, columns: 64, step: 16, itemRows: 8, itemColumns: 8),
    LaneTile(rows: 32, columns: 64, step: 32, itemRows: 4, itemColumns: 4),
    LaneTile(rows: 32, columns: 32, step: 32, itemRows: 4, itemColumns: 4),
    LaneTile(rows: 16, columns: 64, step: 32, itemRows: 2, itemColumns: 4),
    LaneTile(rows: 128, columns: 32, step: 16, itemRows: 4, itemColumns: 4),
    LaneTile(rows: 64, columns: 16, step: 16, itemRows: 2, itemColumns: 4),
    LaneTile(rows: 16, columns: 16, step: 16, itemRows: 4, itemColumns: 4),
  ]

  /// The tiles for `batches` products of m by n with k terms: those that fit the device, without ones that are much larger than the product, and
  /// with sums in parts where there are fewer tiles than the device keeps busy.
  static func candidates(m: Int, n: Int, k: Int, batches: Int, _ device: GPUDevice) -> [LaneTile] {
    let fitting = family.filter { $0.fits(device) }
    func suits(_ extent: Int, _ size: Int) -> Bool { extent <= 16 ? size <= 64 : extent < 2 * size }
    var tiles = fitting.filter { suits($0.rows, m) && suits($0.columns, n) && $0.group >= 32 }
    if tiles.isEmpty { tiles = Array(fitting.prefix(1)) }
    // The default: the largest tile that gives every unit work, else the smallest.
    func groups(_ tile: LaneTile) -> Int { (m + tile.rows - 1) / tile.rows * ((n + tile.columns - 1) / tile.columns) * batches }
    if let first = tiles.first, groups(first) < device.computeUnits, let small = tiles.last, m * n > 0 {
      tiles.removeAll { $0 == small }
      tiles.insert(small, at: 0)
    }
    let parts = tiles.compactMap { tile -> LaneTile? in
      var splits = 1
      while groups(tile) * splits < 2 * device.computeUnits, splits < 16, k / (2 * splits) >= 2 * tile.step { splits *= 2 }
      var cut = tile
      cut.splits = splits
      return splits > 1 ? cut : nil
    }
    return tiles + parts
  }
}
