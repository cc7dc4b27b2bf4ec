/// Places buffers that live at different times in one block of memory.
///
/// Picture a strip packing: time runs along one axis (a buffer covers the nodes first…last), addresses along the
/// other. Buffers are taken in an order and each goes to the lowest gap that is free for its whole life. Invariants:
/// buffers whose lives meet never share a byte; every offset is a multiple of 64. Several orders are tried, by size
/// first, and the smallest packing wins; no packing is below `lowerBound`.
package enum ArenaPlanner {
  /// A buffer alive from node `first` to node `last`, both included.
  package struct Request: Hashable, Sendable {
    package var byteCount: Int
    package var first: Int
    package var last: Int

    package init(byteCount: Int, first: Int, last: Int) {
      self.byteCount = byteCount
      self.first = first
      self.last = last
    }
  }

  package struct Layout: Sendable {
    /// One for each request.
    package var offsets: [Int]
    package var byteCount: Int
    /// Of the layout that takes the largest buffers first.
    package var greedyByteCount = 0
  }

  package static let alignment = 64

  private static let improvements = 12
  /// Above this many buffers only the first order is tried.
  private static let thoroughLimit = 1500

  package static func plan(_ requests: [Request]) -> Layout {
    let bound = lowerBound(requests)
    let orders: [(Request, Request) -> Bool] = [
      { ($0.byteCount, $1.first) > ($1.byteCount, $0.first) },
      { $0.byteCount * ($0.last - $0.first + 1) > $1.byteCount * ($1.last - $1.first + 1) },
      { ($0.last - $0.first, $0.byteCount) > ($1.last - $1.first, $1.byteCount) },
      { ($0.first, $1.byteCount) < ($1.first, $0.byteCount) },
    ]
    var best = Layout(offsets: [], byteCount: Int.max)
    var bestOrder: [Int] = []
    var greedy: Int?
    for order in orders {
      let indices = requests.indices.sorted { order(requests[$0], requests[$1]) }
      let layout = place(requests, indices)
      if greedy == nil { greedy = layout.byteCount }
      if layout.byteCount < best.byteCount { (best, bestOrder) = (layout, indices) }
      if best.byteCount <= bound || requests.count > thoroughLimit { break }
    }
    if best.byteCount > bound, requests.count <= thoroughLimit { improve(&best, requests, bestOrder, bound) }
    best.greedyByteCount = greedy ?? best.byteCount
    return best
  }

  /// Has what lies on top placed first, again and again: it then lies low, and what lay there fills gaps.
  private static func improve(_ best: inout Layout, _ requests: [Request], _ order: [Int], _ bound: Int) {
    var (order, layout) = (order, best)
    for _ in 0..<improvements where best.byteCount > bound {
      guard let top = order.firstIndex(where: { layout.offsets[$0] + aligned(requests[$0].byteCount) == layout.byteCount }), top > 0
      else { return }
      order.insert(order.remove(at: top), at: 0)
      layout = place(requests, order)
      if layout.byteCount < best.byteCount { best = layout }
    }
  }

  /// The most bytes that are alive at one time: no layout can be smaller.
  package static func lowerBound(_ requests: [Request]) -> Int {
    var changes: [(time: Int, bytes: Int)] = []
    for request in requests {
      let size = aligned(request.byteCount)
      changes.append((request.first, size))
      changes.append((request.last + 1, -size))
    }
    changes.sort { ($0.time, $0.bytes) < ($1.time, $1.bytes) }
    var (alive, most) = (0, 0)
    for change in changes {
      alive += change.bytes
      most = max(most, alive)
    }
    return most
  }

  package static func aligned(_ bytes: Int) -> Int { (bytes + alignment - 1) & ~(alignment - 1) }

  private static func place(_ requests: [Request], _ order: [Int]) -> Layout {
    var layout = Layout(offsets: [Int](repeating: 0, count: requests.count), byteCount: 0)
    // Already placed buffers, by rising offset.
    var placed: [Int] = []
    for index in order {
      let request = requests[index]
      let size = aligned(request.byteCount)
      var offset = 0
      for other in placed where requests[other].first <= request.last && request.first <= requests[other].last {
        if layout.offsets[other] >= offset + size { break }
        offset = max(offset, layout.offsets[other] + aligned(requests[other].byteCount))
      }
      layout.offsets[index] = offset
      layout.byteCount = max(layout.byteCount, offset + size)
      var (low, high) = (0, placed.count)
      while low < high {
        let middle = (low + high) / 2
        if layout.offsets[placed[middle]] <= offset { low = middle + 1 } else { high = middle }
      }
      placed.insert(index, at: low)
    }
    return layout
  }
}
