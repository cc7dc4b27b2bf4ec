import GraphModule
import TensorModule

/// Keras `LocallyConnected1D` and `LocallyConnected2D`: a convolution with a kernel of its own at each position.
///
/// The three implementations store their kernels differently: [positions, taps · in, filters], the whole matrix from inputs
/// to results with zeros, or its connected elements alone. All become [positions, taps · in, filters] here.
struct LocallyConnectedLayer: KerasLayerReader {
  private enum LocalPadding: String, CaseIterable { case valid, same }

  let rank: Int
  let filters: Int
  let window: [Int]
  let strides: [Int]
  let isSame: Bool
  let format: DataFormat
  let usesBias: Bool
  let implementation: Int
  let activation: ActivationFunction

  init(_ config: LayerConfig, _ models: KerasModelReader, rank: Int) {
    self.rank = rank
    filters = config.int("filters", in: 1...1 << 24)
    window = config.ints("kernel_size", count: rank) ?? [Int](repeating: 1, count: rank)
    if config.json("kernel_size") == nil { config.malformed("kernel_size is missing") }
    strides = config.ints("strides", count: rank) ?? [Int](repeating: 1, count: rank)
    isSame = config.choice("padding", LocalPadding.valid) == .same
    format = config.choice("data_format", .channelsLast)
    usesBias = config.bool("use_bias", true)
    implementation = config.int("implementation", 1, in: 1...3)
    activation = .read(config, models)
    if isSame && implementation == 1 { config.unsupported("padding 'same' with implementation 1", nearest: "valid") }
  }

  var weights: [WeightSlot] { [WeightSlot("kernel")] + (usesBias ? [WeightSlot("bias")] : []) }

  /// Positions and taps over an input of known lengths.
  private struct Grid {
    var lengths: [Int]
    var results: [Int]
    var low: [Int]
    var channels: Int
    var positions: Int
    var taps: Int
  }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = try call.channelsLast(try call.floatInput(), format)
    guard call.type(x).rank == rank + 2 else {
      throw KilnError(.badInput, "needs an input of rank \(rank + 2), found \(call.type(x).message)")
    }
    let grid = try grid(call, x)
    let kernel = try call.weight("kernel", try storedShape(grid)) { try connections($0, grid) }
    // Zero-padded positions have no connection: their kernel elements are zeros.
    let flat = try call.reshape(x, [call.type(x).dims[0], grid.lengths.reduce(Dim(1)) { $0 * Dim($1) }, Dim(grid.channels)])
    var indices: [Double] = []
    indices.reserveCapacity(grid.positions * grid.taps)
    for position in 0..<grid.positions {
      for tap in 0..<grid.taps { indices.append(Double(source(position, tap, grid) ?? 0)) }
    }
    let places = call.constant(try Tensor(converting: indices, to: .int32, shape: [indices.count]), "places")
    let patches = try call.add(Gather(axis: 1), [flat, places], "patches")
    let batch = call.type(x).dims[0]
    let rows = try call.transpose(
      try call.reshape(patches, [batch, Dim(grid.positions), Dim(grid.taps * grid.channels)]), [1, 0, 2])
    let product = try call.add(MatMul(), [rows, kernel], "matmul")
    var result = try call.reshape(try call.transpose(product, [1, 0, 2]), [batch] + grid.results.map { Dim($0) } + [Dim(filters)])
    if usesBias { result = try call.binary(.add, result, try bias(call, grid)) }
    return [KerasTensor(try activation.apply(call, try call.back(result, format)))]
  }

  private func grid(_ call: LayerCall, _ x: ValueID) throws -> Grid {
    let lengths = try (0..<rank).map { try call.fixed(x, axis: $0 + 1) }
    let channels = try call.fixed(x, axis: -1)
    var results: [Int] = []
    var low: [Int] = []
    for (length, (size, stride)) in zip(lengths, zip(window, strides)) {
      let count = isSame ? (length + stride - 1) / stride : length >= size ? (length - size) / stride + 1 : 0
      guard count > 0 else { throw KilnError(.badInput, "kernel_size \(window) does not fit \(call.type(x).message)") }
      results.append(count)
      // Keras centres the window of 'same' at stride · position.
      low.append(isSame ? size / 2 : 0)
    }
    guard let positions = checkedProduct(results), let taps = checkedProduct(window), let inputs = checkedProduct(lengths),
      let size = checkedProduct([positions, taps, channels, filters]), size <= 1 << 31, inputs <= 1 << 31
    else { throw KilnError(.badInput, "its kernel is too large") }
    return Grid(lengths: lengths, results: results, low: low, channels: channels, positions: positions, taps: taps)
  }

  private func storedShape(_ grid: Grid) throws -> Shape {
    switch implementation {
    case 1: return [grid.positions, grid.taps * grid.channels, filters]
    case 2:
      return format == .channelsLast
        ? grid.lengths + [grid.channels] + grid.results + [filters] : [grid.channels] + grid.lengths + [filters] + grid.results
    default:
      var count = 0
      for position in 0..<grid.positions { for tap in 0..<grid.taps where source(position, tap, grid) != nil { count += 1 } }
      guard let whole = checkedProduct([count, grid.channels, filters]) else { throw KilnError(.badInput, "its kernel is too large") }
      return [whole]
    }
  }

  /// The input position that a tap of a result's window meets; nil in the padding.
  private func source(_ position: Int, _ tap: Int, _ grid: Grid) -> Int? {
    var (position, tap) = (position, tap)
    var index = 0
    var scale = 1
    for axis in (0..<rank).reversed() {
      let place = position % grid.results[axis] * strides[axis] + tap % window[axis] - grid.low[axis]
      guard (0..<grid.lengths[axis]).contains(place) else { return nil }
      index += place * scale
      scale *= grid.lengths[axis]
      position /= grid.results[axis]
      tap /= window[axis]
    }
    return index
  }

  /// The input position of each tap of each result's window, over an input of a shape [lengths…, channels]; 0 in the padding.
  func places(_ shape: [Int]) -> [Int] {
    guard shape.count == rank + 1 else { return [] }
    let lengths = Array(shape.dropLast())
    let results = lengths.indices.map { isSame ? (lengths[$0] + strides[$0] - 1) / strides[$0] : max(lengths[$0] - window[$0], 0) / strides[$0] + 1 }
    let grid = Grid(
      lengths: lengths, results: results, low: window.map { isSame ? $0 / 2 : 0 }, channels: shape[rank], positions: results.reduce(1, *),
      taps: window.reduce(1, *))
    return (0..<grid.positions).flatMap { position in (0..<grid.taps).map { source(position, $0, grid) ?? 0 } }
  }

  /// The stored kernel as [positions, taps · in, filters].
  private func connections(_ stored: Tensor, _ grid: Grid) throws -> Tensor {
    let (channels, inputs) = (grid.channels, grid.lengths.reduce(1, *))
    let shape = [grid.positions, grid.taps * channels, filters]
    if implementation == 1, format == .channelsLast { return stored }
    let values = stored.doubles
    var result = [Double](repeating: 0, count: shape.reduce(1, *))
    // Flat numbers of inputs and results in the layout of the layer.
    func input(_ place: Int, _ channel: Int) -> Int { format == .channelsLast ? place * channels + channel : channel * inputs + place }
    func output(_ position: Int, _ filter: Int) -> Int {
      format == .channelsLast ? position * filters + filter : filter * grid.positions + position
    }
    var pairs: [(output: Int, input: Int, target: Int)] = []
    for position in 0..<grid.positions {
      for tap in 0..<grid.taps {
        guard let place = source(position, tap, grid) else { continue }
        for channel in 0..<channels {
          for filter in 0..<filters {
            let target = ((position * grid.taps + tap) * channels + channel) * filters + filter
            switch implementation {
            case 1: result[target] = values[((position * channels + channel) * grid.taps + tap) * filters + filter]
            case 2: result[target] = values[input(place, channel) * grid.positions * filters + output(position, filter)]
            default: pairs.append((output(position, filter), input(place, channel), target))
            }
          }
        }
      }
    }
    if implementation == 3 {
      pairs.sort { ($0.output, $0.input) < ($1.output, $1.input) }
      for (value, pair) in zip(values, pairs) { result[pair.target] = value }
    }
    return try Tensor(converting: result, to: stored.dtype, shape: shape)
  }

  /// The bias [positions…, filters]; channels-first Keras reads the same elements as [filters, positions…].
  private func bias(_ call: LayerCall, _ grid: Grid) throws -> ValueID {
    let stored = try call.weight("bias", grid.results + [filters])
    guard format == .channelsFirst else { return stored }
    let turned = try call.reshape(stored, [Dim(filters)] + grid.results.map { Dim($0) })
    return try call.transpose(turned, Array(1...rank) + [0])
  }
}
