import GraphModule
import TensorModule

/// Keras `AdaptiveAveragePooling` and `AdaptiveMaxPooling` in 1 to 3 dimensions: result i of n covers the positions from
/// ⌊i · length / n⌋ to ⌈(i + 1) · length / n⌉.
struct AdaptivePoolLayer: KerasLayerReader {
  let kind: Pool.Kind
  let rank: Int
  let sizes: [Int]
  let format: DataFormat

  init(_ config: LayerConfig, _ kind: Pool.Kind, rank: Int) {
    self.kind = kind
    self.rank = rank
    sizes = config.ints("output_size", count: rank) ?? [Int](repeating: 1, count: rank)
    if config.json("output_size") == nil { config.malformed("output_size is missing") }
    format = config.choice("data_format", .channelsLast)
  }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    var x = try call.channelsLast(try call.floatInput(), format)
    guard call.type(x).rank == rank + 2 else {
      throw KilnError(.badInput, "needs an input of rank \(rank + 2), found \(call.type(x).message)")
    }
    let lengths = try (0..<rank).map { try call.fixed(x, axis: $0 + 1) }
    guard lengths.allSatisfy({ $0 > 0 }) else { throw KilnError(.badInput, "has an empty input \(call.type(x).message)") }
    if zip(lengths, sizes).allSatisfy({ $0 % $1 == 0 }) {
      let window = zip(lengths, sizes).map { $0 / $1 }
      x = try call.add(Pool(kind, window: window, strides: window), [x], "pool")
    } else {
      for axis in 0..<rank { x = try pooled(call, x, axis, lengths[axis], sizes[axis]) }
    }
    return [KerasTensor(try call.back(x, format))]
  }

  /// One axis: windows have two lengths at most; both are pooled at every position, and the right ones taken.
  private func pooled(_ call: LayerCall, _ x: ValueID, _ axis: Int, _ length: Int, _ size: Int) throws -> ValueID {
    guard size <= 1 << 20, let last = checkedProduct([size, length]), last < 1 << 50 else {
      throw KilnError(.badInput, "output_size \(size) is too large")
    }
    let starts = (0..<size).map { $0 * length / size }
    let widths = (0..<size).map { (($0 + 1) * length + size - 1) / size - starts[$0] }
    let ones = [Int](repeating: 1, count: rank)
    var first: [Int: Int] = [:]
    var parts: [ValueID] = []
    var total = 0
    for width in Set(widths).sorted() {
      var window = ones
      window[axis] = width
      parts.append(try call.add(Pool(kind, window: window, strides: ones), [x], "pool"))
      first[width] = total
      total += length - width + 1
    }
    let joined = parts.count == 1 ? parts[0] : try call.add(Concat(axis: axis + 1), parts, "concat")
    let indices = zip(starts, widths).map { Double($0 + (first[$1] ?? 0)) }
    let taken = call.constant(try Tensor(converting: indices, to: .int32, shape: [size]), "windows_\(axis)")
    return try call.add(Gather(axis: axis + 1), [joined, taken], "gather")
  }
}
