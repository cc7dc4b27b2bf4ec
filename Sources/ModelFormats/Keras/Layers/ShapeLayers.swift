import GraphModule
import TensorModule

extension LayerConfig {
  /// A pair of amounts for each spatial axis: `2`, `(1, 2)` or `((1, 0), (2, 3))`; for one axis `2` or `(1, 3)`.
  func amounts(_ key: String, rank: Int, fallback: Int) -> [(low: Int, high: Int)] {
    let none = [(low: Int, high: Int)](repeating: (fallback, fallback), count: rank)
    guard let value = json(key) else { return none }
    func number(_ json: JSON) -> Int? { json.intValue.flatMap { (0...Int(Int32.max)).contains($0) ? $0 : nil } }
    func pair(_ json: JSON) -> (low: Int, high: Int)? {
      guard let items = json.arrayValue, items.count == 2, let low = number(items[0]), let high = number(items[1])
      else { return nil }
      return (low, high)
    }
    if let all = number(value) { return [(low: Int, high: Int)](repeating: (all, all), count: rank) }
    if rank == 1, let one = pair(value) { return [one] }
    if let items = value.arrayValue, items.count == rank {
      let pairs = items.compactMap { item in number(item).map { (low: $0, high: $0) } ?? pair(item) }
      if pairs.count == rank { return pairs }
    }
    malformed("\(key) must be amounts from 0 for \(rank) axes, found \(LayerConfig.describe(value))")
    return none
  }
}

/// Keras `ZeroPadding1D` to `3D`.
struct ZeroPadding: KerasLayerReader {
  let amounts: [(low: Int, high: Int)]
  let format: DataFormat

  init(_ config: LayerConfig, rank: Int) {
    amounts = config.amounts("padding", rank: rank, fallback: 1)
    format = config.imageFormat(rank: rank, isSymmetric: amounts.allSatisfy { $0 == (0, 0) })
  }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = try call.input()
    guard call.type(x).rank == amounts.count + 2 else {
      throw KilnError(.badInput, "needs an input of rank \(amounts.count + 2), found \(call.type(x).message)")
    }
    let (low, high) = (amounts.map(\.low), amounts.map(\.high))
    let pad =
      format == .channelsLast
      ? Pad(low: [0] + low + [0], high: [0] + high + [0]) : Pad(low: [0, 0] + low, high: [0, 0] + high)
    return [KerasTensor(try call.add(pad, [x], "pad"))]
  }
}

/// Keras `Cropping1D` to `3D`.
struct Cropping: KerasLayerReader {
  let amounts: [(low: Int, high: Int)]
  let format: DataFormat

  init(_ config: LayerConfig, rank: Int) {
    amounts = config.amounts("cropping", rank: rank, fallback: rank == 1 ? 1 : 0)
    format = config.imageFormat(rank: rank, isSymmetric: amounts.allSatisfy { $0 == (0, 0) })
  }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = try call.input()
    let type = call.type(x)
    guard type.rank == amounts.count + 2 else {
      throw KilnError(.badInput, "needs an input of rank \(amounts.count + 2), found \(type.message)")
    }
    let first = format == .channelsLast ? 1 : 2
    var ranges = [Slice.Range](repeating: .all, count: type.rank)
    for (index, amount) in amounts.enumerated() {
      if let length = type.dims[first + index].fixed, amount.low + amount.high >= length {
        throw KilnError(.badInput, "crops \(amount.low) and \(amount.high) from an axis of length \(length)")
      }
      ranges[first + index] = Slice.Range(start: amount.low, end: amount.high == 0 ? nil : -amount.high)
    }
    return [KerasTensor(try call.add(Slice(ranges), [x], "slice"))]
  }
}

/// Keras `UpSampling1D` to `3D`: pixels repeated, or interpolated with half-pixel centres.
struct UpSampling: KerasLayerReader {
  let rank: Int
  let factors: [Int]
  let interpolation: Interpolation
  var isBilinear: Bool { interpolation == .bilinear }
  let coordinates: Resize.Coordinates
  let format: DataFormat

  init(_ config: LayerConfig, rank: Int) {
    self.rank = rank
    factors = config.ints("size", count: rank) ?? [Int](repeating: 2, count: rank)
    format = config.imageFormat(rank: rank, isSymmetric: factors.allSatisfy { $0 == 1 })
    interpolation = rank == 2 ? config.choice("interpolation", Interpolation.nearest) : .nearest
    let isBilinear = interpolation == .bilinear
    // Keras 2 of its own calls TensorFlow 1's resize_bilinear or Theano's, which take corners for samples.
    let isOwnKeras2 = config.dialect.generation == .keras2 && !config.dialect.isTensorFlowKeras
    coordinates = isOwnKeras2 ? .asymmetric : .halfPixel
    // tf.keras 1.13 and 1.14 do not write the key, and take nearest when they load a bilinear layer. Where it is, 1.15 or a later one wrote it.
    if rank == 2 && !config.has("interpolation") && config.dialect.isTensorFlowKeras && config.dialect.version == [2, 2, 4] {
      config.diagnostics.warn(
        config.path, "tf.keras of TensorFlow 1.13 and 1.14 does not write the interpolation; it is nearest, as when Keras loads the file")
    }
    if isBilinear && config.dialect.backend == .cntk {
      config.unsupported("interpolation 'bilinear', which Keras on CNTK does not have,", nearest: "nearest")
    }
  }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = interpolation == .nearest ? try call.input() : try call.floatInput()
    guard call.type(x).rank == rank + 2 else {
      throw KilnError(.badInput, "needs an input of rank \(rank + 2), found \(call.type(x).message)")
    }
    let last = try call.channelsLast(x, format)
    let dims = zip(call.type(last).dims.dropFirst(), factors).map { $0 * Dim($1) }
    if interpolation != .nearest && !isBilinear {
      let (rows, columns) = (try call.fixed(last, axis: 1), try call.fixed(last, axis: 2))
      guard let height = checkedProduct([rows, factors[0]]), let width = checkedProduct([columns, factors[1]]) else {
        throw KilnError(.badInput, "the images become too large")
      }
      let frame = ImageFrame(height: height, width: width)
      return [KerasTensor(try call.back(try frame.resized(call, last, interpolation), format))]
    }
    let op =
      isBilinear
      ? Resize(.bilinear, coordinates: coordinates, dims: dims) : Resize(.nearest, coordinates: .asymmetric, dims: dims)
    return [KerasTensor(try call.back(try call.add(op, [last], "resize"), format))]
  }
}

/// Keras `Flatten`; channels-first inputs are brought channels-last before.
struct Flatten: KerasLayerReader {
  let format: DataFormat

  init(_ config: LayerConfig) { format = config.choice("data_format", .channelsLast) }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = try call.channelsLast(try call.input(), format)
    let dims = call.type(x).dims
    guard let batch = dims.first else { throw KilnError(.badInput, "needs an input with a batch axis") }
    return [KerasTensor(try call.add(Reshape([batch, dims.dropFirst().reduce(1, *)]), [x], "reshape"))]
  }
}

/// Keras `Reshape`; one length may be −1.
struct ReshapeLayer: KerasLayerReader {
  let target: [Int]

  init(_ config: LayerConfig) {
    target = config.intList("target_shape") ?? []
    if config.json("target_shape") == nil { config.malformed("target_shape is missing") }
    if target.contains(where: { $0 < -1 }) || target.count(where: { $0 == -1 }) > 1 || target.count >= maximumRank {
      config.malformed("target_shape \(target) must be at most 7 lengths, one of them −1 at most")
    }
  }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = try call.input()
    let type = call.type(x)
    guard let batch = type.dims.first else { throw KilnError(.badInput, "needs an input with a batch axis") }
    let total = type.dims.dropFirst().reduce(1, *)
    var dims = target.map { Dim($0) }
    if let open = target.firstIndex(of: -1) {
      let known = target.filter { $0 != -1 }.reduce(Dim(1)) { $0 * Dim($1) }
      guard let rest = total.exactlyDivided(by: known) else {
        throw KilnError(.badInput, "\(type.message) does not reshape to \(target.shapeText)")
      }
      dims[open] = rest
    } else if let count = total.fixed, let wanted = dims.reduce(1, *).fixed, count != wanted {
      throw KilnError(
        .badInput, "\(type.message) has \(count) elements a sample and does not reshape to \(target.shapeText)")
    }
    return [KerasTensor(try call.add(Reshape([batch] + dims), [x], "reshape"))]
  }
}

/// Keras `Permute`: axes counted from 1, the batch stays.
struct Permute: KerasLayerReader {
  let axes: [Int]

  init(_ config: LayerConfig) {
    axes = config.intList("dims") ?? []
    if axes.sorted() != Array(1..<axes.count + 1) || axes.isEmpty {
      config.malformed("dims \(axes) must be a permutation from 1")
    }
  }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    [KerasTensor(try call.add(Transpose([0] + axes), [try call.input()], "transpose"))]
  }
}

/// Keras `RepeatVector`: [batch, features] → [batch, n, features].
struct RepeatVector: KerasLayerReader {
  let count: Int

  init(_ config: LayerConfig) { count = config.int("n") }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = try call.input()
    let dims = call.type(x).dims
    guard dims.count == 2 else { throw KilnError(.badInput, "needs an input of rank 2, found \(call.type(x).message)") }
    let expanded = try call.expand(x, axis: 1)
    return [KerasTensor(try call.add(BroadcastTo([dims[0], Dim(count), dims[1]]), [expanded], "broadcast"))]
  }
}
