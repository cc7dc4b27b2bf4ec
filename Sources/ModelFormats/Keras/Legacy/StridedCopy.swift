import TensorModule

/// A copy of an array with its axes in another order, the first ones turned round.
struct StridedCopy {
  /// The result's lengths, and for each axis the step in the source, in elements.
  private var lengths: [Int]
  private var steps: [Int]
  /// Where the result's first element is in the source.
  private var start = 0

  /// The side of the square blocks in which an axis that is contiguous in the source is exchanged with the result's last.
  private static let block = 32

  /// Lengths come from files: where the number of elements overflows nothing is copied.
  init(from shape: [Int], _ permutation: [Int], reversing: Int) {
    var strides = [Int](repeating: 1, count: shape.count)
    for axis in shape.indices.dropLast().reversed() { strides[axis] = strides[axis + 1] &* shape[axis + 1] }
    lengths = permutation.map { shape[$0] }
    steps = permutation.map { strides[$0] }
    for axis in lengths.indices.prefix(reversing) where lengths[axis] > 0 {
      start &+= (lengths[axis] - 1) &* steps[axis]
      steps[axis] = 0 &- steps[axis]
    }
    join()
  }

  /// Makes one axis of neighbours that the source has in the same order, and leaves out axes of length 1.
  private mutating func join() {
    var (joined, joinedSteps): ([Int], [Int]) = ([], [])
    for (length, step) in zip(lengths, steps) where length != 1 {
      if let last = joined.indices.last, joinedSteps[last] == length &* step {
        joined[last] = joined[last] &* length
        joinedSteps[last] = step
      } else {
        joined.append(length)
        joinedSteps.append(step)
      }
    }
    (lengths, steps) = (joined, joinedSteps)
  }

  /// Copies elements of `size` bytes; both buffers hold all elements of the shape, else the target becomes zeros.
  func run(_ source: UnsafeRawBufferPointer, _ target: UnsafeMutableRawBufferPointer, _ size: Int) {
    guard let count = checkedProduct(lengths), count > 0, count <= source.count / max(size, 1), count == target.count / max(size, 1),
      let from = source.baseAddress, let to = target.baseAddress
    else {
      for index in target.indices { target[index] = 0 }
      return
    }
    switch size {
    case 1: copy(from, to, UInt8.self)
    case 2: copy(from, to, UInt16.self)
    case 4: copy(from, to, UInt32.self)
    case 8: copy(from, to, UInt64.self)
    default: break
    }
  }

  private func copy<Element: BitwiseCopyable>(_ from: UnsafeRawPointer, _ to: UnsafeMutableRawPointer, _: Element.Type) {
    guard let last = lengths.indices.last else {
      to.storeBytes(of: from.loadUnaligned(as: Element.self), as: Element.self)
      return
    }
    let size = MemoryLayout<Element>.size
    var targetSteps = [Int](repeating: 1, count: lengths.count)
    for axis in lengths.indices.dropLast().reversed() { targetSteps[axis] = targetSteps[axis + 1] * lengths[axis + 1] }
    // The axis along which the source is contiguous; with the last axis it makes the inner plane.
    let near = lengths.indices.filter { steps[$0].magnitude == 1 && lengths[$0] > 1 }.last ?? last
    let outer = lengths.indices.filter { $0 != last && $0 != near }
    var index = [Int](repeating: 0, count: outer.count)
    var (source, target) = (start, 0)
    let rows = near == last ? 1 : lengths[near]
    let (rowStep, rowTarget) = near == last ? (0, 0) : (steps[near], targetSteps[near])
    let (columns, step) = (lengths[last], steps[last])
    // Runs that are contiguous in both are copied whole.
    let width = step == 1 ? max(columns, 1) : StridedCopy.block
    while true {
      for top in stride(from: 0, to: rows, by: StridedCopy.block) {
        for left in stride(from: 0, to: columns, by: width) {
          for row in top..<min(top + StridedCopy.block, rows) {
            var input = from + (source + row * rowStep + left * step) * size
            var output = to + (target + row * rowTarget + left) * size
            if step == 1 {
              output.copyMemory(from: input, byteCount: (min(left + width, columns) - left) * size)
              continue
            }
            for _ in left..<min(left + width, columns) {
              output.storeBytes(of: input.loadUnaligned(as: Element.self), as: Element.self)
              input += step * size
              output += size
            }
          }
        }
      }
      var place = outer.count - 1
      while place >= 0 {
        let axis = outer[place]
        index[place] += 1
        source += steps[axis]
        target += targetSteps[axis]
        if index[place] < lengths[axis] { break }
        source -= lengths[axis] * steps[axis]
        target -= lengths[axis] * targetSteps[axis]
        index[place] = 0
        place -= 1
      }
      if place < 0 { return }
    }
  }
}
