/// How much boxes overlap, in float32 as TensorFlow compares.
enum BoxOverlap {
  /// Intersection over union of the boxes that begin at two places, of any corner order; 0 for a box without area.
  static func iou(_ boxes: [Float], _ a: Int, _ b: Int) -> Float {
    func corners(_ at: Int) -> (y0: Float, x0: Float, y1: Float, x1: Float) {
      (
        min(boxes[at], boxes[at + 2]), min(boxes[at + 1], boxes[at + 3]), max(boxes[at], boxes[at + 2]),
        max(boxes[at + 1], boxes[at + 3])
      )
    }
    let (p, q) = (corners(a), corners(b))
    let areaP = (p.y1 - p.y0) * (p.x1 - p.x0)
    let areaQ = (q.y1 - q.y0) * (q.x1 - q.x0)
    if !(areaP > 0) || !(areaQ > 0) { return 0 }
    let height = max(min(p.y1, q.y1) - max(p.y0, q.y0), 0)
    let width = max(min(p.x1, q.x1) - max(p.x0, q.x0), 0)
    return height * width / (areaP + areaQ - height * width)
  }
}

/// A binary heap whose order of equals is that of the C++ library's `push_heap` and `pop_heap`.
struct Heap<Element> {
  private var items: [Element] = []
  private let isBefore: (Element, Element) -> Bool

  init(_ isBefore: @escaping (Element, Element) -> Bool) { self.isBefore = isBefore }

  mutating func insert(_ element: Element) {
    items.append(element)
    rise(items.count - 1)
  }

  mutating func removeFirst() -> Element? {
    guard let first = items.first, let last = items.popLast() else { return nil }
    if items.isEmpty { return first }
    // The hole goes down to a leaf, the last element up from there.
    var hole = 0
    while 2 * hole + 1 < items.count {
      var child = 2 * hole + 2
      if child >= items.count || isBefore(items[child - 1], items[child]) { child -= 1 }
      items[hole] = items[child]
      hole = child
    }
    items[hole] = last
    rise(hole)
    return first
  }

  private mutating func rise(_ start: Int) {
    var child = start
    while child > 0, isBefore(items[child], items[(child - 1) / 2]) {
      items.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }
}
