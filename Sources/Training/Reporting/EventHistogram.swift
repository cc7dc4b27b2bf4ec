import TensorModule

/// How the elements of a tensor are spread, in the buckets of TensorBoard's histogram summaries: 30 of one width from the
/// least to the greatest; equal elements are all in the last. NaN and infinities are left out.
package struct EventHistogram {
  package static let bucketCount = 30

  package let buckets: [(left: Double, right: Double, count: Double)]

  package init(_ tensor: Tensor) {
    let count = EventHistogram.bucketCount
    let values = tensor.doubles.filter(\.isFinite)
    guard let low = values.min(), let high = values.max() else {
      buckets = [(left: Double, right: Double, count: Double)](repeating: (0, 0, 0), count: count)
      return
    }
    let range = high - low
    let width = range / Double(count)
    // A range so small that its thirtieth is 0 counts as none.
    guard width > 0, range.isFinite else {
      buckets = (0..<count).map { (low, low, $0 == count - 1 ? Double(values.count) : 0) }
      return
    }
    var counts = [Double](repeating: 0, count: count)
    for value in values { counts[min(Int(((value - low) / width).rounded(.down)), count - 1)] += 1 }
    func edge(_ index: Int) -> Double { index == count ? high : low + Double(index) * width }
    buckets = (0..<count).map { (edge($0), edge($0 + 1), counts[$0]) }
  }
}
